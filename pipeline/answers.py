"""Answers: the session's own side. The response under way, those out of band beside it, the functions it asked
for, and its failures.

Pure, like the session that owns it. Every method returns what follows, in order; none decides *when* an answer
is due, only how one runs and ends. One response at a time writes to the conversation; any number may run out of
band (Realtime reference, section B.0).
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline import commands, reports
from pipeline.conversation import Conversation
from pipeline.events import response as wire
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import AnyItem, FunctionCallOutput, Message
from pipeline.item_requests import ItemRequests
from pipeline.mcp_calls import McpCalls, is_object
from pipeline.mcp_listings import McpListings
from pipeline.orders import Orders
from pipeline.output_line import OutputLine
from pipeline.own_calls import OwnCalls
from pipeline.phase import LEGAL_STEPS, Phase
from pipeline.provider import FunctionTool
from pipeline.response import Response, ResponseState, already_active, usage_of

MOST_FAILURES = 3
"""Failures in a row that are answered with an apology; one more, and the call ends with words instead."""


class Answers:
    """The response under way and all that hangs on it.

    `line` is where its sound goes. `own_tools` are the functions we run, `patient_tools` those of them that wait
    for the caller; with `apology` failures are answered.
    """

    def __init__(
        self,
        conversation: Conversation,
        line: OutputLine,
        items: ItemRequests,
        make_id: Callable[[str], str],
        *,
        own_tools: frozenset[str],
        apology: str,
        patient_tools: frozenset[str] = frozenset(),
        listings: McpListings,
        mcp_calls: McpCalls,
    ) -> None:
        self.phase = Phase.TALKING
        self.active: Response | None = None
        self.asides: dict[str, Response] = {}
        """Those out of band, by id."""
        self.queued: wire.ResponseCreate | None = None
        """Asked for while the active one, which has called functions, is being closed; it is next."""
        self._conversation = conversation
        self._line = line
        self._items = items
        self._make_id = make_id
        self.listings = listings
        self._mcp_calls = mcp_calls
        self._orders = Orders(conversation, line, listings)
        self._apology = apology
        self._apologising: str | None = None
        """The last response that was an apology."""
        self.own_calls = OwnCalls(own_tools, patient_tools)
        self.transfer_to = ""
        """Whom the caller is connected to once the farewell is heard."""
        self._failures = 0

    @property
    def is_free(self) -> bool:
        """A new answer may begin: none is under way, no function is awaited, nobody is saying goodbye."""
        return self.active is None and not self.own_calls.are_running and self.phase is Phase.TALKING

    @property
    def is_busy(self) -> bool:
        """An answer is being made, or a function runs that the caller waits for."""
        active = self.active
        return (active is not None and active.speaks) or self.own_calls.are_awaited

    def respond(
        self,
        config: SessionConfig,
        *,
        script: str | None = None,
        is_recorded: bool = False,
        input: tuple[AnyItem, ...] | None = None,
        remark: str = "",
        metadata: dict[str, str] | None = None,
        is_held: bool = False,
    ) -> list[ServerEvent | commands.Command]:
        """Begin an answer; only while none is active. `input`: what the model is told instead of the conversation.
        `is_held`: it is created now, and begins with `release`."""
        response = self.active = Response(self._conversation, self._make_id, config, metadata)
        response.remark, response.promised = remark, script
        if is_held:
            self._orders.hold(response, input, remark)
            return [response.created()]
        return [response.created(), self._orders.order(response, input, remark, script, is_recorded)]

    def respond_aside(
        self,
        config: SessionConfig,
        *,
        input: tuple[AnyItem, ...] | None,
        metadata: dict[str, str] | None,
        is_held: bool = False,
    ) -> list[ServerEvent | commands.Command]:
        """Begin an answer out of band, beside whatever else runs."""
        response = Response(None, self._make_id, config, metadata)
        self.asides[response.id] = response
        if is_held:
            self._orders.hold(response, input)
            return [response.created()]
        return [response.created(), self._orders.order(response, input)]

    def anticipate(self, config: SessionConfig, said: Message) -> list[commands.Anticipate]:
        """Begin in secret the answer to what the caller seems to have said, if it could be given at once."""
        if not self.is_free or self.listings.is_asking(config):
            return []
        return [self._orders.anticipate(config, said)]

    def release(self) -> list[commands.Respond]:
        """What was said before is understood: the answers that waited for it may begin."""
        return self._orders.release(lambda response_id: self._current(response_id) is not None)

    def think(self, made: reports.TextMade) -> list[ServerEvent]:
        response = self._current(made.response_id)
        return response.think(made.text) if response else []

    def think_out(self, ended: reports.TextEnded) -> list[ServerEvent]:
        """Nothing follows; it is good to know if the session must go on elsewhere."""
        if response := self._current(ended.response_id):
            response.is_thought_out = True
        return []

    def speak(self, made: reports.AudioMade) -> list[ServerEvent]:
        response = self._current(made.response_id)
        if response is None:
            return []
        # Words may be timed apart from their sound, before or after it.
        events = response.sound(made.audio) if made.audio else []
        if response is self.active and (item_id := response.spoken_item_id):
            self._line.write(response.id, item_id, made, response.config.output_format)
        return events

    def request(self, asked: reports.ToolRequested) -> list[ServerEvent]:
        response = self._current(asked.response_id)
        if response is None:
            return []
        offered, arguments = response.offer.find(asked.name), asked.arguments or "{}"
        if offered is None:
            return response.call(asked.call_id, asked.name, asked.arguments)
        if not (offered.needs_approval and is_object(arguments)):  # what can't be run, nobody need agree to
            return response.call_mcp(offered, arguments)
        request, events = response.request_approval(offered, arguments)
        self._mcp_calls.await_approval(request, offered.server)
        return events

    def finish(self, finished: reports.Finished) -> list[ServerEvent | commands.Command]:
        """All has been said: close the response, and run the functions that are ours."""
        response = self._current(finished.response_id)
        if response is None:
            return []
        state, details = ResponseState.COMPLETED, None
        if finished.cut_off is not None:
            state, details = (
                ResponseState.INCOMPLETE,
                wire.StatusDetails(type="incomplete", reason=finished.cut_off),
            )
        is_aside = response is not self.active
        outputs: list[ServerEvent | commands.Command] = [*self._end(response, state, details, usage_of(finished))]
        if is_aside:
            return outputs
        if response.id != self._apologising:
            self._failures = 0
        own = self.own_calls.begin(response.calls, self._others(response.config))
        return [*outputs, *own, *self._mcp_calls.run(response.mcp_calls)]

    def fail(self, failed: reports.Failed, config: SessionConfig) -> list[ServerEvent | commands.Command]:
        """A provider could not go on: the response ends as failed, and the caller hears an apology."""
        response = self._current(failed.response_id)
        if response is None:
            return []
        details = wire.StatusDetails(type="failed", code=failed.code, message=failed.message)
        is_aside, spoken_id = response is not self.active, response.spoken_item_id
        events = self._end(response, ResponseState.FAILED, details)
        if is_aside:
            return [*events]
        events += self._unsay(response, spoken_id)
        apology = self.apologise(config, is_voiceless=failed.is_voiceless)
        if apology:
            events += self._refuse_queued(response.id)
        return [*events, *apology]

    def apologise(self, config: SessionConfig, *, is_voiceless: bool) -> list[ServerEvent | commands.Command]:
        """Say that something failed; after too many failures end the call, with words of the carrier's."""
        self._failures += 1
        if self._failures > MOST_FAILURES and self._line.is_telephone and self.phase is not Phase.ENDED:
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
        if not (cut_follows and spoken_id and self._line.ledger.holds(spoken_id)):
            events += self._unsay(response, spoken_id)
        events += self._refuse_queued(response.id)
        return [commands.Cancel(response.id)], events

    def cancel_aside(self, response_id: str) -> tuple[list[commands.Command], list[ServerEvent]]:
        """Stop one answer out of band. Raises KeyError if there is none of this id."""
        details = wire.StatusDetails(type="cancelled", reason="client_cancelled")
        events = self._end(self.asides[response_id], ResponseState.CANCELLED, details)
        return [commands.Cancel(response_id)], events

    def interrupt(
        self, reason: wire.CancelReason = "turn_detected"
    ) -> tuple[list[commands.Command], list[ServerEvent]]:
        """The caller cuts in: stop the answer, and whatever of earlier ones is still to be heard."""
        flushes = self._line.is_sounding
        stops, events = self.cancel(reason, cut_follows=flushes)
        if flushes:
            stops.append(commands.Flush())
        if stops and self.phase is Phase.ENDING:
            self._step(Phase.TALKING)
        return stops, events

    def close(self) -> list[ServerEvent | commands.Command]:
        """Nobody listens any more: stop everything, and begin nothing new."""
        stops, events = self.interrupt("client_cancelled")
        for response_id in list(self.asides):
            more_stops, more_events = self.cancel_aside(response_id)
            stops, events = stops + more_stops, events + more_events
        if self.phase is not Phase.ENDED:
            self._step(Phase.ENDED)
        return [*stops, *events]

    def keep_result(self, returned: reports.ToolReturned, *, ends_call: bool) -> list[ServerEvent]:
        """A function of ours has returned; its result joins the conversation exactly once."""
        if not self.own_calls.end(returned.call_id):
            return []
        if ends_call and self.phase is Phase.TALKING:
            self.say_goodbye(returned.transfer_to)
        item_id = self._make_id("item")
        return self._items.added(FunctionCallOutput(id=item_id, call_id=returned.call_id, output=returned.output))

    def owns(self, name: str, config: SessionConfig) -> bool:
        """Whether a function of this name is ours to run."""
        return self.own_calls.owns(name, self._others(config))

    def follow_outputs(self, config: SessionConfig) -> bool:
        """Inworld's `auto_tool_response`: once every function has its output, an answer follows by itself."""
        wanted = (config.provider_data or {}).get("auto_tool_response") is True
        is_awaited = self._conversation.awaits_output or self._mcp_calls.is_calling
        return wanted and config.type == "realtime" and not is_awaited

    def _others(self, config: SessionConfig) -> frozenset[str] | None:
        """Functions that a client runs, as `OwnCalls` asks for them."""
        if not self._line.is_telephone:
            return None
        return frozenset(tool.name for tool in config.tools if isinstance(tool, FunctionTool))

    def say_goodbye(self, transfer_to: str) -> None:
        """What is said from here on is the farewell."""
        self._step(Phase.ENDING)
        self.transfer_to = transfer_to

    def hang_up_if_due(self) -> list[commands.Command]:
        """The farewell has been heard to its last word."""
        if self.phase is not Phase.ENDING or self.active is not None or self.own_calls.are_running:
            return []
        if self._line.is_sounding:
            return []
        self._step(Phase.ENDED)
        if self.transfer_to:
            return [commands.HangUp(reason="transferred", transfer_to=self.transfer_to)]
        return [commands.HangUp(reason="agent_hung_up")]

    def _current(self, response_id: str) -> Response | None:
        """The running response that is meant: cancelled ones go on reporting for a moment."""
        if self.active is not None and self.active.id == response_id:
            return self.active
        return self.asides.get(response_id)

    def _end(
        self,
        response: Response,
        state: ResponseState,
        details: wire.StatusDetails | None = None,
        usage: wire.Usage | None = None,
    ) -> list[ServerEvent]:
        if response is not self.active:
            del self.asides[response.id]
            return response.end(state, details, usage)
        if response.spoken_item_id and state in (ResponseState.COMPLETED, ResponseState.INCOMPLETE):
            self._line.ledger.finish(response.spoken_item_id)
        self.active = None
        return [*response.end(state, details, usage), *self._line.finish(response.id)]

    def _refuse_queued(self, response_id: str) -> list[ServerEvent]:
        """What waited for the end of a response does not follow one that was broken off."""
        asked, self.queued = self.queued, None
        if asked is None:
            return []
        code = "conversation_already_has_active_response"
        return self._items.refused(code, already_active(response_id), event_id=asked.event_id)

    def _unsay(self, response: Response, spoken_id: str | None) -> list[ServerEvent]:
        """Words of a broken-off answer that got no sound were never said. A client that plays tells us itself."""
        if spoken_id is None or not (self._line.plays and response.speaks):
            return []
        return self._items.cut(self._line.ledger.made(spoken_id))

    def _step(self, phase: Phase) -> None:
        if phase not in LEGAL_STEPS[self.phase]:
            raise AssertionError(f"a conversation that is {self.phase.value} cannot become {phase.value}")
        self.phase = phase
