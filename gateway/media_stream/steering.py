"""Who steers a call from outside it: orders, carried out on the stream that holds the conversation.

What an order says waits for its turn unless it is told to interrupt; what ends the call ends it, whatever the
caller says to that. Knows neither who gave an order nor how it came here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, assert_never

from gateway.calls.call import EndReason
from gateway.calls.orders import ENDING, Done, HangUp, Order, Outcome, Refused, Say, Transfer, Whisper
from gateway.realtime.floor import Floor
from pipeline import commands
from pipeline.agent import Agent
from pipeline.agent_tools import BuiltInTool
from pipeline.engine import Engine
from pipeline.events.conversation import ConversationItemCreate
from pipeline.events.error import ErrorEvent
from pipeline.events.event import ClientEvent, ServerEvent
from pipeline.events.items import InputText, Message
from pipeline.events.output_audio import OutputAudioBufferClear
from pipeline.events.response import ResponseCancel, ResponseCreate
from pipeline.observations import ToolNoted
from pipeline.opening import Act, Ending, Opening, saying
from pipeline.phase import Phase

LOOK_S: Final = 0.02
"""How often it is looked whether it is our turn. Silence is many things at once, and none of them is an event."""

FAREWELL_LIMIT_S: Final = 30.0
"""For the last words to be made and heard. Longer ones are cut off: the call is meant to end."""

MOST_WAITING: Final = 8
"""Orders that wait for their turn on one call."""

CROWDED: Final = Refused(
    status_code=429,
    code="too_many_waiting",
    message=f"{MOST_WAITING} orders wait for their turn in this call already. Try again, or send `interrupts`.",
    retry_after_s=2,
)

_Begun: TypeAlias = Literal["speaking", "answering"]


class Steering:
    """Of one stream. `destinations`: numbers the caller may be connected to, by name. `note` is told of orders."""

    def __init__(
        self, engine: Engine, floor: Floor, destinations: Mapping[str, str], note: Callable[[ToolNoted], None]
    ) -> None:
        self._engine = engine
        self._floor = floor
        self._destinations = destinations
        self._note = note
        self._waiting: deque[Callable[[], None]] = deque()
        self._ending: commands.HangUp | None = None
        self._has_work = asyncio.Event()
        self._refusal: ErrorEvent | None = None
        engine.watch(self._see)

    async def run(self) -> None:
        """Do what waits for its turn, for as long as the stream lives. Its owner cancels it."""
        while True:
            await self._has_work.wait()
            if self._ending is not None:
                await self._see_off(self._ending)
                return
            if not self._waiting:
                self._has_work.clear()
            elif self._is_our_turn:
                self._waiting.popleft()()
            else:
                await asyncio.sleep(LOOK_S)

    def carry_out(self, order: Order) -> Outcome:
        """Does it, or sees that it is done in its turn."""
        if not self._engine.is_running or self._phase is Phase.ENDED or self._ending is not None:
            return ENDING
        match order:
            case Say():
                return self._say(order)
            case Whisper():
                return self._whisper(order)
            case Transfer():
                return self._transfer(order)
            case HangUp(farewell=farewell):
                self._note(ToolNoted("control.hangup", {"farewell": farewell}))
                self._finish(farewell, commands.HangUp(reason=EndReason.AGENT_HUNG_UP.value))
                return Done("hanging_up")
            case _:
                assert_never(order)

    @property
    def _phase(self) -> Phase:
        return self._engine.session.phase

    @property
    def _is_our_turn(self) -> bool:
        session = self._engine.session
        return session.is_quiet and session.continuity.is_free

    def _say(self, order: Say) -> Outcome:
        if order.interrupts:
            self._hush()
        if self._phase is not Phase.TALKING:
            return ENDING
        if len(self._waiting) >= MOST_WAITING:
            return CROWDED
        self._note(ToolNoted("control.say", {"text": order.text}))

        def speak() -> None:
            self._engine.take_up(saying(order.text))

        if order.interrupts and self._engine.session.continuity.is_free:
            speak()
            return Done("speaking")
        return self._in_turn(speak, "speaking", is_next=order.interrupts)

    def _whisper(self, order: Whisper) -> Outcome:
        if order.answer and self._phase is not Phase.TALKING:
            return ENDING
        if order.answer and len(self._waiting) >= MOST_WAITING:
            return CROWDED
        item = Message(id="", role="system", content=(InputText(text=order.text),))
        refused = self._ask(ConversationItemCreate(item=item))
        if refused is not None:
            code, message = refused.error.code or "invalid_value", refused.error.message
            return Refused(status_code=409, code=code, message=message)
        self._note(ToolNoted("control.whisper", {"text": order.text}))
        if not order.answer:
            return Done("told")
        return self._in_turn(self._answer, "answering", is_next=False)

    def _answer(self) -> None:
        self._ask(ResponseCreate())

    def _transfer(self, order: Transfer) -> Outcome:
        number = self._destinations.get(order.to)
        if number is None and order.to in self._destinations.values():
            number = order.to
        if number is None:
            names = ", ".join(sorted(self._destinations)) or "nobody"
            message = (
                "The agent's file lets callers be connected to its own numbers only (`to` of its tool `transfer`): "
                f"{names}."
            )
            return Refused(status_code=403, code="transfer_not_allowed", message=message, param="to")
        self._note(ToolNoted("control.transfer", {"to": order.to if order.to in self._destinations else "number"}))
        self._finish(order.farewell, commands.HangUp(reason=EndReason.TRANSFERRED.value, transfer_to=number))
        return Done("transferring")

    def _in_turn(self, act: Callable[[], None], status: _Begun, *, is_next: bool) -> Done:
        if not self._waiting and self._is_our_turn:
            act()
            return Done(status)
        if is_next:
            self._waiting.appendleft(act)
        else:
            self._waiting.append(act)
        self._has_work.set()
        return Done("waiting")

    def _finish(self, farewell: str, how: commands.HangUp) -> None:
        """The call ends so, once the farewell is heard."""
        self._waiting.clear()
        self._hush()
        self._ending = how
        if farewell.strip() and self._phase is Phase.TALKING and not self._engine.session.continuity.is_answering:
            self._engine.take_up(Opening(Act.SAY, farewell, ending=Ending(how.transfer_to)))
            self._has_work.set()
        else:
            self._engine.stop(how)

    async def _see_off(self, how: commands.HangUp) -> None:
        """Until the farewell is heard, or the caller talks over it, or it takes too long: then the call ends."""
        try:
            async with asyncio.timeout(FAREWELL_LIMIT_S):
                while self._phase is Phase.ENDING:  # noqa: ASYNC110 - see LOOK_S
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pass
        self._engine.stop(how)

    def _hush(self) -> None:
        """Nothing of what is being said or made is to be heard any more."""
        self._ask(OutputAudioBufferClear())
        if self._engine.session.continuity.is_answering:
            self._ask(ResponseCancel())

    def _ask(self, event: ClientEvent) -> ErrorEvent | None:
        """As a peer of the session would; what it refuses, nobody else is told."""
        self._refusal = None
        self._floor.speaker = self
        try:
            self._engine.receive(event)
        finally:
            self._floor.speaker = None
        return self._refusal

    def _see(self, event: ServerEvent) -> None:
        if type(event) is ErrorEvent and self._floor.speaker is self:
            self._refusal = event


def destinations_of(agent: Agent) -> dict[str, str]:
    """Whom the agent may connect callers to, by name; so may who steers its calls, and nobody else."""
    return {
        name: number
        for tool in agent.tools
        if isinstance(tool, BuiltInTool) and tool.name == "transfer"
        for name, number in tool.to.items()
    }
