"""The listings of a session's MCP servers: which were asked for their tools, and what they told. Pure.

Every method returns what follows, in the order of the Realtime reference, section D.6. A server is asked once; its
secrets are in the command alone.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from pipeline import commands, reports
from pipeline.commands import Command
from pipeline.conversation import Conversation
from pipeline.events import mcp as wire
from pipeline.events.config import McpServer, SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import ListedTool, McpListTools
from pipeline.events.refusal import BadEvent
from pipeline.item_requests import ItemRequests
from pipeline.limits import Limits
from pipeline.mcp.tool import McpTool
from pipeline.mcp_offer import NOTHING, Offer, allowed, offer_of, servers_of

Output: TypeAlias = ServerEvent | Command

MOST_LISTING = 32
"""Servers asked for their tools at a time, each a connection to open."""


LISTING_BYTES = 256 * 1024
"""Of one server's tools as JSON. A model reads them with every answer; large servers have 100 KiB."""


class Stage(enum.Enum):
    """Of a listing."""

    ASKED = enum.auto()
    LISTED = enum.auto()
    FAILED = enum.auto()


LEGAL_STEPS: dict[Stage, frozenset[Stage]] = {
    Stage.ASKED: frozenset({Stage.LISTED, Stage.FAILED}),
    Stage.LISTED: frozenset(),
    Stage.FAILED: frozenset(),
}


@dataclass(slots=True)
class _Listing:
    server: McpServer
    """As `_listed_as` has it."""
    item_id: str
    stage: Stage = Stage.ASKED
    tools: tuple[McpTool, ...] = ()


class McpListings:
    """See the module's docstring."""

    def __init__(
        self, conversation: Conversation, items: ItemRequests, make_id: Callable[[str], str], limits: Limits
    ) -> None:
        self._conversation = conversation
        self._items = items
        self._make_id = make_id
        self._limits = limits
        self._listings: list[_Listing] = []
        self._own: tuple[McpServer, ...] = ()
        """The session's servers, as `_listed_as` has them; others belong to single responses."""

    def check(self, config: SessionConfig) -> None:
        """Whether all new servers of a configuration can be asked. Raises `BadEvent`."""
        new = len(self._new(config))
        if new and len(self._conversation) + new > self._limits.items:
            text = f"The conversation has {self._limits.items} items already. Delete some first."
            raise BadEvent("conversation_full", text, "tools")
        asked = sum(listing.stage is Stage.ASKED for listing in self._listings)
        if new and asked + new > MOST_LISTING:
            text = f"At most {MOST_LISTING} MCP servers are asked for their tools at a time. Wait for some."
            raise BadEvent("rate_limit_exceeded", text, "tools")

    def follow(self, config: SessionConfig) -> list[Output]:
        """The session has this configuration from now on."""
        own = tuple(_listed_as(server) for server in servers_of(config))
        self._listings = [
            listing for listing in self._listings if listing.stage is not Stage.FAILED or listing.server in own
        ]
        outputs = self.introduce(config)
        self._own = own
        return outputs

    def introduce(self, config: SessionConfig) -> list[Output]:
        """Ask the servers that are new for their tools. One that failed for a response is new for the next."""
        return [output for server in self._new(config) for output in self._ask(server)]

    def is_asking(self, config: SessionConfig) -> bool:
        """A server of it has still to tell its tools."""
        found = (self._find(server) for server in servers_of(config))
        return any(listing is not None and listing.stage is Stage.ASKED for listing in found)

    def is_new_to(self, config: SessionConfig) -> bool:
        """It has servers that are still to be asked."""
        return bool(self._new(config))

    def offer(self, config: SessionConfig) -> Offer:
        """What a model may use of it now."""
        return offer_of(config, self._tools_of) if servers_of(config) else NOTHING

    def listed(self, report: reports.ToolsListed | reports.ListingFailed) -> list[ServerEvent]:
        """A server has answered, or never will."""
        listing = next((each for each in self._listings if each.item_id == report.item_id), None)
        if listing is None or listing.stage is not Stage.ASKED:
            return []
        item = McpListTools(id=listing.item_id, server_label=listing.server.server_label)
        tools = allowed(listing.server, report.tools) if isinstance(report, reports.ToolsListed) else ()
        shown = msgspec.structs.replace(item, tools=tuple(map(_shown, tools)))
        size = len(msgspec.json.encode(shown))
        fits = size <= LISTING_BYTES and self._items.makes_room(item.id, size)
        event: ServerEvent
        if isinstance(report, reports.ToolsListed) and fits:
            listing.tools = tools
            self._step(listing, Stage.LISTED)
            item = shown
            event = wire.ListingCompleted(event_id=self._make_id("event"), item_id=item.id)
        else:
            self._step(listing, Stage.FAILED)
            event = wire.ListingFailed(event_id=self._make_id("event"), item_id=item.id)
        return [event, *self._items.done(item)]

    def _new(self, config: SessionConfig) -> list[McpServer]:
        return [server for server in servers_of(config) if self._is_new(server)]

    def _is_new(self, server: McpServer) -> bool:
        listing = self._find(server)
        return listing is None or (listing.stage is Stage.FAILED and listing.server not in self._own)

    def _find(self, server: McpServer) -> _Listing | None:
        wanted = _listed_as(server)
        return next((listing for listing in self._listings if listing.server == wanted), None)

    def _tools_of(self, server: McpServer) -> tuple[McpTool, ...]:
        listing = self._find(server)
        return () if listing is None else listing.tools

    def _ask(self, server: McpServer) -> list[Output]:
        wanted = _listed_as(server)
        self._listings = [listing for listing in self._listings if listing.server != wanted]
        self._forget_one()
        item = McpListTools(id=self._make_id("mcpl"), server_label=server.server_label)
        self._listings.append(_Listing(wanted, item.id))
        in_progress = wire.ListingInProgress(event_id=self._make_id("event"), item_id=item.id)
        return [*self._items.begun(item), in_progress, commands.ListTools(item.id, server)]

    def _forget_one(self) -> None:
        """Servers of responses long gone are not remembered for ever; if they come again, they are asked again."""
        if len(self._listings) < self._limits.tools + MOST_LISTING:
            return
        unused = (each for each in self._listings if each.stage is not Stage.ASKED and each.server not in self._own)
        if (oldest := next(unused, None)) is not None:
            self._listings.remove(oldest)

    def _step(self, listing: _Listing, stage: Stage) -> None:
        if stage not in LEGAL_STEPS[listing.stage]:
            raise AssertionError(f"a listing that is {listing.stage.name} cannot become {stage.name}")
        listing.stage = stage


def _listed_as(server: McpServer) -> McpServer:
    """What a listing depends on: who may approve a call, and what a model is told of the server, may change."""
    return msgspec.structs.replace(server, require_approval="always", server_description=None)


def _shown(tool: McpTool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        annotations=UNSET if tool.annotations is None else tool.annotations,
    )
