"""What a peer may ask of responses: create one, in the conversation or out of band, and cancel one. Pure.

Each answer is the list of what follows; what cannot be done is a `BadEvent`, or one `error` event.
"""

from __future__ import annotations

from pipeline.answers import Answers
from pipeline.commands import Command
from pipeline.events import response as wire
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import ItemReference
from pipeline.events.refusal import BadEvent
from pipeline.item_requests import ItemRequests
from pipeline.limits import Limits
from pipeline.mcp_listings import McpListings
from pipeline.output_line import OutputLine
from pipeline.response import already_active


class ResponseRequests:
    """The session's answers as its peer may ask for them."""

    def __init__(
        self, items: ItemRequests, answers: Answers, line: OutputLine, limits: Limits, listings: McpListings
    ) -> None:
        self._listings = listings
        self._items = items
        self._answers = answers
        self._line = line
        self._limits = limits

    def create(
        self, event: wire.ResponseCreate, session: SessionConfig, *, is_held: bool
    ) -> list[ServerEvent | Command]:
        """Begin what is asked for. `is_held`: something said before is not yet understood, so it must wait.

        Raises `BadEvent`. Asked for while an answer that called functions is being closed, it waits for that.
        """
        config = event.config or session
        self._check(event, config)
        input = None if event.input is None else self._items.resolve(event.input)
        if event.input is not None and not any(isinstance(item, ItemReference) for item in event.input):
            is_held = False
        if event.is_out_of_band:
            if event.config is not None and self._listings.is_new_to(event.config):
                text = (
                    "MCP servers are not asked out of band, where no items tell of them. Name them in the session."
                )
                raise BadEvent("invalid_value", text, "response.tools")
            if len(self._answers.asides) >= self._limits.asides:
                text = f"{self._limits.asides} responses are running out of band already. Wait until one is done."
                raise BadEvent("rate_limit_exceeded", text, "response.conversation")
            return self._answers.respond_aside(config, input=input, metadata=event.metadata, is_held=is_held)
        if active := self._answers.active:
            # A client may send a function's result, and ask on, before it has seen the response's end.
            if active.calls and self._answers.queued is None:
                self._answers.queued = event
                return []
            raise BadEvent("conversation_already_has_active_response", already_active(active.id))
        self._listings.check(config)
        asked = self._listings.introduce(config)
        is_held = is_held or self._listings.is_asking(config)
        begun = self._answers.respond(config, input=input, metadata=event.metadata, is_held=is_held)
        return [*asked, *begun]

    def take_next(self) -> wire.ResponseCreate | None:
        """The request that waited, once it may go on."""
        if self._answers.active is not None:
            return None
        asked, self._answers.queued = self._answers.queued, None
        return asked

    def cancel(self, event: wire.ResponseCancel) -> list[ServerEvent | Command]:
        """Stop the response that is meant."""
        active, wanted = self._answers.active, event.response_id
        if wanted is not None and wanted in self._answers.asides:
            stops, closers = self._answers.cancel_aside(wanted)
        elif active is None or wanted not in (None, active.id):
            text = "Cancellation failed: no active response found"
            return [*self._items.refused("response_cancel_not_active", text, event_id=event.event_id)]
        else:
            stops, closers = self._answers.cancel("client_cancelled")
        return [*stops, *closers]

    def _check(self, event: wire.ResponseCreate, config: SessionConfig) -> None:
        if config.type == "transcription":
            raise BadEvent("invalid_value", "A transcription session makes no responses.", "type")
        if not self._line.plays:
            return
        if config.output_format != self._line.format:
            text = "This session's sound is played on a line of its own, whose format cannot change."
            raise BadEvent("invalid_value", text, "response.audio.output.format")
        if event.is_out_of_band and config.output_modality == "audio":
            text = "This session's sound is played on a line of its own: out of band, ask for ['text']."
            raise BadEvent("invalid_value", text, "response.output_modalities")
