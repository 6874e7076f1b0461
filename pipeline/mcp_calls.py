"""Calls of MCP servers' tools: made once their response is done, or somebody has agreed. Pure, like the session.

Every method returns what follows, in the order of the Realtime reference, section D.6. A call is made once, and its
result is kept whenever it comes. Secrets of a server are in the command alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from pipeline import commands, reports
from pipeline.commands import Command
from pipeline.conversation import Conversation
from pipeline.events import mcp as wire
from pipeline.events.config import McpServer
from pipeline.events.event import ServerEvent
from pipeline.events.items import AnyItem, McpApprovalRequest, McpApprovalResponse, McpCall, McpError
from pipeline.events.refusal import BadEvent
from pipeline.item_requests import ItemRequests
from pipeline.limits import Limits
from pipeline.mcp.tool import FailureKind

Output: TypeAlias = ServerEvent | Command


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that the model asked for."""

    item: McpCall
    output_index: int
    server: McpServer


class McpCalls:
    """See the module's docstring."""

    def __init__(
        self, conversation: Conversation, items: ItemRequests, make_id: Callable[[str], str], limits: Limits
    ) -> None:
        self._conversation = conversation
        self._items = items
        self._make_id = make_id
        self._limits = limits
        self._running: dict[str, Asked] = {}
        """By the item's id."""
        self._undecided: dict[str, tuple[McpApprovalRequest, McpServer]] = {}
        """Requests of ours, by id."""
        self._decided: set[str] = set()

    @property
    def is_calling(self) -> bool:
        """A call has still to come to its end."""
        return bool(self._running)

    def run(self, calls: Iterable[Asked]) -> list[Output]:
        """The response that asked for them is done: make the calls, but those that the peer has deleted."""
        return [output for call in calls if self._conversation.holds(call.item.id) for output in self._run(call)]

    def finish(self, report: reports.McpReturned | reports.McpFailed) -> list[ServerEvent]:
        """A call has come to its end; what is told of it later counts no more."""
        if isinstance(report, reports.McpFailed):
            return self._fail(report.item_id, _error(report.kind, report.message, report.code))
        asked = self._running.get(report.item_id)
        if asked is None:
            return []
        size = len(report.output.encode(errors="replace"))
        if size > self._limits.item_words_bytes:
            text = f"The result has {size} bytes; at most {self._limits.item_words_bytes} are taken."
            return self._fail(report.item_id, _error("tool_execution_error", text))
        if not self._items.makes_room(report.item_id, size):
            text = "The conversation is full. Delete items of it first."
            return self._fail(report.item_id, _error("tool_execution_error", text))
        del self._running[report.item_id]
        event = wire.McpCallCompleted(
            event_id=self._make_id("event"), item_id=report.item_id, output_index=asked.output_index
        )
        return [event, *self._items.done(msgspec.structs.replace(asked.item, output=report.output))]

    def _run(self, call: Asked) -> list[Output]:
        item = call.item
        self._running[item.id] = call
        outputs: list[Output] = [
            wire.McpCallInProgress(event_id=self._make_id("event"), item_id=item.id, output_index=call.output_index)
        ]
        if not is_object(item.arguments):
            error = _error("tool_execution_error", "The arguments are not a JSON object.")
            return [*outputs, *self._fail(item.id, error)]
        return [*outputs, commands.CallMcpTool(item.id, call.server, item.name, item.arguments)]

    def _fail(self, item_id: str, error: McpError) -> list[ServerEvent]:
        asked = self._running.pop(item_id, None)
        if asked is None:
            return []
        event = wire.McpCallFailed(
            event_id=self._make_id("event"), item_id=item_id, output_index=asked.output_index
        )
        return [event, *self._items.done(msgspec.structs.replace(asked.item, error=error))]

    # Approval

    def await_approval(self, request: McpApprovalRequest, server: McpServer) -> None:
        """The peer has been asked whether this call may be made."""
        self._undecided[request.id] = (request, server)

    def check_answer(self, item: AnyItem) -> None:
        """Whether an item that the peer wants to create answers a request that is open. Raises `BadEvent`.

        Requests that the peer has itself put in are history: so are their answers, and nothing follows from them.
        """
        if not isinstance(item, McpApprovalResponse):
            return
        request_id, param = item.approval_request_id, "item.approval_request_id"
        there = self._conversation.items
        if not any(isinstance(other, McpApprovalRequest) and other.id == request_id for other in there):
            text = f"Invalid value: {request_id!r}. No approval request with this id is in the conversation."
            raise BadEvent("invalid_value", text, param)
        if request_id in self._decided or any(
            isinstance(other, McpApprovalResponse) and other.approval_request_id == request_id for other in there
        ):
            raise BadEvent("invalid_value", f"The approval request {request_id!r} was answered before.", param)

    def decide(self, answer: McpApprovalResponse) -> list[Output]:
        """The peer has agreed, and the call is made; or it has not, and the model is told with its next answer."""
        request_id = answer.approval_request_id
        undecided = self._undecided.pop(request_id, None)
        if undecided is None:
            return []
        self._decided.add(request_id)
        if not answer.approve:
            return []
        request, server = undecided
        call = McpCall(
            id=self._make_id("mcp"),
            server_label=request.server_label,
            name=request.name,
            arguments=request.arguments,
            approval_request_id=request.id,
        )
        return [*self._items.begun(call), *self._run(Asked(call, 0, server))]


def is_object(text: str) -> bool:
    """It is a JSON object."""
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False


def _error(kind: FailureKind, message: str, code: int | None = None) -> McpError:
    """A failure whose number nobody knows is told as the kind that has none."""
    if kind == "tool_execution_error" or code is None:
        return McpError(type="tool_execution_error", message=message)
    return McpError(type=kind, message=message, code=code)
