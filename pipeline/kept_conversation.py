"""A conversation that was cut off, as JSON, until its client goes on with it in a new session. Pure.

Kept are the items as they stood at the end, so of an answer what was heard of it, and the session object as its
client was shown it. Not kept are sound, secrets of MCP servers, and what only the old session could have brought to
an end: a call under way has failed, a request for approval that nobody answered is withdrawn, and servers are asked
anew for their tools. A function of the client's still awaits its output. Knows neither whose it is nor where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from pipeline.dialects import Dialect
from pipeline.events.config import McpServer, SessionConfig
from pipeline.events.conversation import ConversationItemAdded, ConversationItemDone
from pipeline.events.event import ServerEvent
from pipeline.events.items import (
    AnyItem,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpError,
    McpListTools,
    Message,
)
from pipeline.events.refusal import BadEvent
from pipeline.limits import MIB, Limits
from pipeline.session_object import merged, shown
from pipeline.session_parts import mcp_server

MOST_BYTES: Final = MIB
"""Of one conversation as JSON. Whoever goes on is told all of it twice, and a client that leaves 8 MiB unread is
given up."""
MOST_ITEMS: Final = 500
"""Eight a minute for an hour; a quarter of what a conversation may have, so that there is room to go on."""
CONFIG_BYTES: Final = MOST_BYTES // 2
"""Of its session object. The longest instructions and tools together have less; past it only the items are kept."""

_DIALECT: Final = Dialect.IW
"""The one that shows most of a configuration."""
_BROKEN_OFF: Final = McpError(
    type="tool_execution_error", message="The session was cut off before the result came."
)


class Unreadable(Exception):
    """What was to be a kept conversation is none, or one of another version."""


class KeptConversation(msgspec.Struct, frozen=True, kw_only=True):
    """See the module's docstring. Made by `kept_of`."""

    items: tuple[AnyItem, ...]
    session: dict[str, Any]
    """The session object in Inworld's dialect, without its MCP servers; empty: too large to be kept."""
    servers: tuple[dict[str, Any], ...] = ()
    """The MCP servers, as tools of the session object."""
    secretive: tuple[str, ...] = ()
    """Labels of those that had secrets, and so are of no use without."""
    v: Literal[1] = 1
    """Of this format."""


def kept_of(items: tuple[AnyItem, ...], config: SessionConfig) -> KeptConversation:
    """What is to be kept of a session that has ended."""
    tools = tuple(tool for tool in config.tools if not isinstance(tool, McpServer))
    servers = tuple(tool for tool in config.tools if isinstance(tool, McpServer))
    return KeptConversation(
        items=ended(items),
        session=shown(msgspec.structs.replace(config, tools=tools), _DIALECT, session_id=""),
        servers=tuple(mcp_server.shown(server) for server in servers),
        secretive=tuple(server.server_label for server in servers if server.authorization or server.headers),
    )


def ended(items: tuple[AnyItem, ...]) -> tuple[AnyItem, ...]:
    """The items, without what only their session could have brought to an end."""
    answered = {item.approval_request_id for item in items if isinstance(item, McpApprovalResponse)}
    kept: list[AnyItem] = []
    for item in items:
        match item:
            case McpListTools():
                continue
            case McpApprovalRequest(id=item_id) if item_id not in answered:
                continue  # the model may ask again; a peer that agreed to this one would wait in vain
            case McpCall(output=None, error=error) if error is UNSET:
                kept.append(msgspec.structs.replace(item, error=_BROKEN_OFF))
            case _:
                kept.append(item)
    return tuple(kept)


def configured(
    kept: KeptConversation, base: SessionConfig, limits: Limits, *, serves_mcp: bool = False
) -> SessionConfig:
    """`base`, which is what the new session would have begun with, and above it all that was kept.

    A server whose secrets are gone is there again only if `base` has one of its label, and then as `base` has it.
    `base` alone is the answer if it is a transcription session and the kept one answered, because whoever may only
    transcribe may not do more; and if this version or its settings refuse what was kept.
    """
    if not kept.session or (base.type == "transcription" and kept.session.get("type") != base.type):
        return base
    session = dict(kept.session)
    if kept.session.get("type") == "realtime":
        servers = _servers(kept, base) if serves_mcp else []
        functions = kept.session.get("tools")
        session["tools"] = [*(functions if isinstance(functions, list) else ()), *servers]
        choice, labels = session.get("tool_choice"), [server.get("server_label") for server in servers]
        if isinstance(choice, dict) and choice.get("type") == "mcp" and choice.get("server_label") not in labels:
            session["tool_choice"] = "auto"
    try:
        return merged(base, session, _DIALECT, limits=limits, serves_mcp=serves_mcp, is_first=True)
    except BadEvent:
        return base


def _servers(kept: KeptConversation, base: SessionConfig) -> list[dict[str, Any]]:
    present = {tool.server_label: tool for tool in base.tools if isinstance(tool, McpServer)}
    servers: list[dict[str, Any]] = []
    for server in kept.servers:
        label = server.get("server_label")
        if label not in kept.secretive:
            servers.append(server)
        elif label in present:
            servers.append(mcp_server.shown(present[label]))  # which reads as that one, secrets and all
    return servers


def told_again(items: tuple[AnyItem, ...], make_id: Callable[[str], str]) -> list[ServerEvent]:
    """The items, as events that tell a client of them: each is whole from the beginning."""
    events: list[ServerEvent] = []
    previous: str | None = None
    for item in items:
        events += (
            ConversationItemAdded(event_id=make_id("event"), previous_item_id=previous, item=item),
            ConversationItemDone(event_id=make_id("event"), previous_item_id=previous, item=item),
        )
        previous = item.id
    return events


# As JSON


def encoded(kept: KeptConversation) -> bytes:
    """At most `MOST_BYTES`. If it has more, pictures are left out, then the oldest items.

    What belongs together goes together: a function call and its output, a request for approval and what followed.
    """
    frame = msgspec.structs.replace(kept, items=())
    head = msgspec.json.encode(frame)
    if len(head) > CONFIG_BYTES:
        head = msgspec.json.encode(KeptConversation(items=(), session={}))
    fields = msgspec.json.decode(head, type=dict[str, msgspec.Raw])
    texts = [msgspec.Raw(text) for text in _within(kept.items, MOST_BYTES - len(head))]
    return msgspec.json.encode({**fields, "items": texts})


def decoded(text: bytes) -> KeptConversation:
    """What `encoded` has made. Raises `Unreadable`."""
    try:
        kept = msgspec.json.decode(text, type=KeptConversation)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"No kept conversation: {error}.") from error
    if len({item.id for item in kept.items}) < len(kept.items):
        raise Unreadable("No kept conversation: two of its items have the same id.")
    return kept


def _within(items: tuple[AnyItem, ...], most_bytes: int) -> list[bytes]:
    newest = items[-MOST_ITEMS:]
    texts = [msgspec.json.encode(item) for item in newest]
    if _size(texts) > most_bytes:
        texts = [msgspec.json.encode(_without_pictures(item)) for item in newest]
    chosen: set[int] = set()
    room = most_bytes
    for at in reversed(range(len(newest))):
        size = len(texts[at]) + 1
        if size > most_bytes:
            continue  # there would never be room for it, and what is around it still tells something
        if size > room:
            break
        room -= size
        chosen.add(at)
    lost = items[:-MOST_ITEMS] + tuple(item for at, item in enumerate(newest) if at not in chosen)
    torn = {_bond(item) for item in lost} - {None}
    return [texts[at] for at in sorted(chosen) if _bond(newest[at]) not in torn]


def _size(texts: list[bytes]) -> int:
    """With the commas between."""
    return sum(len(text) + 1 for text in texts)


def _without_pictures(item: AnyItem) -> AnyItem:
    if not isinstance(item, Message) or not item.images:
        return item
    content = tuple(part for part in item.content if not isinstance(part, InputImage))
    return msgspec.structs.replace(item, content=content)


def _bond(item: AnyItem) -> tuple[str, str] | None:
    """The same for all items that mean nothing without each other; None: it stands for itself."""
    match item:
        case FunctionCall(call_id=call_id) | FunctionCallOutput(call_id=call_id) if call_id:
            return "function", call_id
        case McpApprovalRequest(id=request_id) | McpApprovalResponse(approval_request_id=request_id):
            return "approval", request_id
        case McpCall(approval_request_id=str() as request_id):
            return "approval", request_id
        case _:
            return None
