"""Answers: the session's own side. At most one response at a time, the functions it asked for, and its failures.

Pure, like the session that owns it. Every method returns what follows, in order; none decides *when* an answer
is due, only how one runs and ends.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from pipeline import commands, reports
from pipeline.conversation import Conversation
from pipeline.events import response as wire
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import FunctionCallOutput
from pipeline.item_requests import ItemRequests
from pipeline.playback_ledger import PlaybackLedger
from pipeline.provider import Prompt
from pipeline.response import Response, ResponseState

MOST_FAILURES = 3
"""Failures in a row that are answered with an apology; one more, and the call ends with words instead."""


class Phase(enum.Enum):
    """How far the whole conversation has come."""

    TALKING = "talking"
    ENDING = "ending"
    """A farewell is being said; once its last word is heard, the session hangs up. The caller may still object."""
    ENDED = "ended"


LEGAL_STEPS: dict[Phase, frozenset[Phase]] = {
    Phase.TALKING: frozenset({Phase.ENDING, Phase.ENDED}),
    Phase.ENDING: frozenset({Phase.TALKING, Phase.ENDED}),
    Phase.ENDED: frozenset(),
}


class Answers:
    """The response under way and all that hangs on it.

    `plays`: our transport plays the sound, so it can be flushed, and a farewell can be waited for.
    """

    def __init__(
        self,
        conversation: Conversation,
        ledger: PlaybackLedger,
        items: ItemRequests,
        make_id: Callable[[str], str],
        *,
        plays: bool,
        own_tools: frozenset[str],
        apology: str,
    ) -> None:
        self.phase = Phase.TALKING
        self.active: Response | None = None
        self._conversation = conversation
        self._ledger = ledger
        self._items = items
        self._make_id = make_id
        self._plays = plays
        self._own_tools = own_tools
        self._apology = apology
        self._apologising: str | None = None
        """The last response that was an apology."""
        self._running_tools: set[str] = set()
        self._failures = 0

    @property
    def is_free(self) -> bool:
        """A new answer may begin: none is under way, no function is awaited, nobody is saying goodbye."""
        return self.active is None and not self._running_tools and self.phase is Phase.TALKING

    def respond(
        self,
        config: SessionConfig,
        *,
        script: str | None = None,
        is_recorded: bool = False,
        instructions: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> list[ServerEvent | commands.Command]:
        """Begin an answer; only while none is active."""
        speaks = config.output_modality == "audio"
        response = Response(self._conversation, self._make_id, speaks=speaks, metadata=metadata)
        self.active = response
        prompt = Prompt(
            instructions=config.instructions if instructions is None else instructions,
            items=self._conversation.as_prompt(),
            tools=config.tools,
            max_output_tokens=config.max_output_tokens,
            temperature=config.temperature,
        )
        respond = commands.Respond(response.id, prompt, script=script, speaks=speaks, is_recorded=is_recorded)
        return [response.created(), respond]

    def think(self, made: reports.TextMade) -> list[ServerEvent]:
        response = self._current(made.response_id)
        return response.say(made.text) if response else []

    def speak(self, made: reports.AudioMade, samples: int) -> list[ServerEvent]:
        response = self._current(made.response_id)
        if response is None:
            return []
        events = response.sound(made.audio)
        if item_id := response.spoken_item_id:
            self._ledger.write(item_id, samples, made.text, made.words)
        return events

    def request(self, asked: reports.ToolRequested) -> list[ServerEvent]:
        response = self._current(asked.response_id)
        return response.call(asked.call_id, asked.name, asked.arguments) if response else []

    def finish(self, finished: reports.Finished) -> list[ServerEvent | commands.Command]:
        """All has been said: close the response, and run the functions that are ours."""
        response = self._current(finished.response_id)
        if response is None:
            return []
        if response.id != self._apologising:
            self._failures = 0
        usage = wire.Usage(input_tokens=finished.input_tokens, output_tokens=finished.output_tokens)
        outputs: list[ServerEvent | commands.Command] = [*self._end(response, ResponseState.COMPLETED, usage=usage)]
        for call in response.calls:
            if call.name in self._own_tools:
                self._running_tools.add(call.call_id)
                outputs.append(commands.CallTool(call.call_id, call.name, call.arguments))
        return outputs

    def fail(self, failed: reports.Failed, config: SessionConfig) -> list[ServerEvent | commands.Command]:
        """A provider could not go on: the response ends as failed, and the caller hears an apology."""
        response = self._current(failed.response_id)
        if response is None:
            return []
        details = wire.StatusDetails(type="failed", code=failed.code, message=failed.message)
        spoken_id = response.spoken_item_id
        events = self._end(response, ResponseState.FAILED, details) + self._unsay(response, spoken_id)
        return [*events, *self.apologise(config, is_voiceless=failed.is_voiceless)]

    def apologise(self, config: SessionConfig, *, is_voiceless: bool) -> list[ServerEvent | commands.Command]:
        """Say that something failed; after too many failures end the call, with words of the carrier's."""
        self._failures += 1
        if self._failures > MOST_FAILURES and self._plays and self.phase is not Phase.ENDED:
            self._step(Phase.ENDED)
            return [commands.HangUp(reason="provider_failed", farewell=self._apology)]
        if not self._apology or self.active is not None or self.phase is Phase.ENDED:
            return []
        outputs = self.respond(config, script=self._apology, is_recorded=is_voiceless)
        self._apologising = self.active.id if self.active else None
        return outputs

    def cancel(
        self, reason: wire.CancelReason, *, cut_follows: bool = False
    ) -> tuple[list[commands.Command], list[ServerEvent]]:
        """Stop the answer under way, if any: the command, and the closers of all it had opened.

        `cut_follows`: the caller of this has its sound cut, and with it its words.
        """
        response = self.active
        if response is None:
            return [], []
        details = wire.StatusDetails(type="cancelled", reason=reason)
        spoken_id = response.spoken_item_id
        events = self._end(response, ResponseState.CANCELLED, details)
        if not (cut_follows and spoken_id and self._ledger.holds(spoken_id)):
            events += self._unsay(response, spoken_id)
        return [commands.Cancel(response.id)], events

    def interrupt(
        self, reason: wire.CancelReason = "turn_detected"
    ) -> tuple[list[commands.Command], list[ServerEvent]]:
        """The caller cuts in: stop the answer, and whatever of earlier ones is still to be heard."""
        flushes = self._plays and not self._ledger.is_drained
        stops, events = self.cancel(reason, cut_follows=flushes)
        if flushes:
            stops.append(commands.Flush())
        if stops and self.phase is Phase.ENDING:
            self._step(Phase.TALKING)
        return stops, events

    def close(self) -> list[ServerEvent | commands.Command]:
        """Nobody listens any more: stop everything, and begin nothing new."""
        stops, events = self.interrupt("client_cancelled")
        if self.phase is not Phase.ENDED:
            self._step(Phase.ENDED)
        return [*stops, *events]

    def keep_result(self, returned: reports.ToolReturned, *, ends_call: bool) -> list[ServerEvent]:
        """A function of ours has returned; its result joins the conversation exactly once."""
        if returned.call_id not in self._running_tools:
            return []
        self._running_tools.discard(returned.call_id)
        if ends_call and self.phase is Phase.TALKING:
            self._step(Phase.ENDING)
        item_id = self._make_id("item")
        return self._items.added(FunctionCallOutput(id=item_id, call_id=returned.call_id, output=returned.output))

    def hang_up_if_due(self) -> list[commands.Command]:
        """The farewell has been heard to its last word."""
        if self.phase is not Phase.ENDING or self.active is not None or self._running_tools:
            return []
        if self._plays and not self._ledger.is_drained:
            return []
        self._step(Phase.ENDED)
        return [commands.HangUp(reason="agent_hung_up")]

    def _current(self, response_id: str) -> Response | None:
        """The active response, if it is the one that is meant: cancelled ones go on reporting for a moment."""
        return self.active if self.active is not None and self.active.id == response_id else None

    def _end(
        self,
        response: Response,
        state: ResponseState,
        details: wire.StatusDetails | None = None,
        usage: wire.Usage | None = None,
    ) -> list[ServerEvent]:
        if response.spoken_item_id and state is ResponseState.COMPLETED:
            self._ledger.finish(response.spoken_item_id)
        self.active = None
        return response.end(state, details, usage)

    def _unsay(self, response: Response, spoken_id: str | None) -> list[ServerEvent]:
        """Words of a broken-off answer that got no sound were never said. A client that plays tells us itself."""
        if spoken_id is None or not (self._plays and response.speaks):
            return []
        return self._items.cut(self._ledger.made(spoken_id))

    def _step(self, phase: Phase) -> None:
        if phase not in LEGAL_STEPS[self.phase]:
            raise AssertionError(f"a conversation that is {self.phase.value} cannot become {phase.value}")
        self.phase = phase
