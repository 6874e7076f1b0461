from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.calls.orders import ENDING, Done, HangUp, Refused, Say, Transfer, Whisper
from gateway.media_stream.steering import CROWDED, FAREWELL_LIMIT_S, MOST_WAITING, Steering, destinations_of
from gateway.realtime.floor import Floor
from pipeline.agent import load_agent
from pipeline.agent_tools import BuiltInTool
from pipeline.commands import HangUp as Hung
from pipeline.observations import ToolNoted
from tests.calls.support import spoken
from tests.fakes import STALL, FakeModel, FakePhone, FakeTranscriber
from tests.pipeline.phone_call import PhoneCall, phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

SALES = "+493012345"
LONG = " ".join(f"word{number}" for number in range(40)) + "."


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@asynccontextmanager
async def steered(**changes: Any) -> AsyncIterator[tuple[PhoneCall, Steering, list[ToolNoted]]]:
    async with phone_call(**changes) as call:
        notes: list[ToolNoted] = []
        steering = Steering(call.engine, Floor(), {"sales": SALES}, notes.append)
        running = asyncio.ensure_future(steering.run())
        try:
            yield call, steering, notes
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_words_are_said_at_once_when_nobody_speaks_and_in_turn_when_somebody_does() -> None:
    async with steered() as (call, steering, notes):
        assert steering.carry_out(Say(text="One.")) == Done("speaking")
        assert steering.carry_out(Say(text="Two.")) == Done("waiting")
        assert steering.carry_out(Say(text="Three.")) == Done("waiting")
        await asyncio.sleep(5)
        assert call.said == [("assistant", "One."), ("assistant", "Two."), ("assistant", "Three.")]
    assert [note.event for note in notes] == ["control.say"] * 3


async def test_words_wait_for_a_caller_who_speaks_and_for_the_answer_that_is_owed() -> None:
    async with steered(transcriber=FakeTranscriber("Hello?"), model=FakeModel("Yes?")) as (call, steering, _):
        await call.speak(300)
        assert steering.carry_out(Say(text="Later.")) == Done("waiting")
        await call.speak(300)
        await call.wait(3_000)
        assert call.said == [("user", "Hello?"), ("assistant", "Yes?"), ("assistant", "Later.")]


async def test_words_that_interrupt_stop_what_is_said_and_come_before_what_waits() -> None:
    async with steered(greeting=LONG) as (call, steering, _):
        await asyncio.sleep(1)
        assert steering.carry_out(Say(text="Last.")) == Done("waiting")
        assert steering.carry_out(Say(text="Now.", interrupts=True)) == Done("speaking")
        assert "flush" in call.phone.told
        await asyncio.sleep(5)
        heard, *rest = [text for _, text in call.said]
        assert LONG.startswith(heard) and heard != LONG
        assert rest == ["Now.", "Last."]


async def test_words_that_interrupt_an_answer_that_is_only_being_thought_of_take_its_place() -> None:
    async with steered(transcriber=FakeTranscriber("Hello?"), model=FakeModel([STALL])) as (call, steering, _):
        await call.speak(400)
        await call.wait(1_500)
        assert steering.carry_out(Say(text="Now.", interrupts=True)) == Done("speaking")
        await asyncio.sleep(2)
        assert call.said == [("user", "Hello?"), ("assistant", "Now.")]


async def test_no_more_orders_wait_than_there_is_room_for() -> None:
    async with steered(greeting=LONG) as (_, steering, _notes):
        assert {steering.carry_out(Say(text="x")) for _ in range(MOST_WAITING)} == {Done("waiting")}
        assert steering.carry_out(Say(text="x")) == CROWDED
        assert steering.carry_out(Whisper(text="x", answer=True)) == CROWDED
        assert steering.carry_out(Whisper(text="x")) == Done("told")


async def test_a_whisper_is_told_to_the_model_with_the_next_turn_or_answered_now() -> None:
    model = FakeModel("It is shipped.", "And more.")
    async with steered(model=model) as (call, steering, notes):
        assert steering.carry_out(Whisper(text="They are a VIP.")) == Done("told")
        await asyncio.sleep(2)
        assert model.prompts == []
        assert steering.carry_out(Whisper(text="Tell them.", answer=True)) == Done("answering")
        assert steering.carry_out(Whisper(text="And that.", answer=True)) == Done("waiting")
        await asyncio.sleep(5)
        assert [text for role, text in call.said if role == "assistant"] == ["It is shipped.", "And more."]
        assert spoken(model.prompts[0]) == [("system", "They are a VIP."), ("system", "Tell them.")]
    assert [note.fields["text"] for note in notes] == ["They are a VIP.", "Tell them.", "And that."]


async def test_what_the_session_refuses_is_told_to_who_asked_and_to_nobody_else() -> None:
    async with steered() as (call, steering, notes):
        for _ in range(3_000):
            outcome = steering.carry_out(Whisper(text="x" * 2_000))
            if isinstance(outcome, Refused):
                break
        assert isinstance(outcome, Refused) and outcome.code == "conversation_full"
        assert len(notes) > 10


@pytest.mark.parametrize("to", ["sales", SALES])
async def test_a_transfer_is_done_once_its_farewell_is_heard(to: str) -> None:
    async with steered(greeting=LONG) as (call, steering, notes):
        await asyncio.sleep(1)
        assert steering.carry_out(Transfer(to=to, farewell="One moment.")) == Done("transferring")
        assert steering.carry_out(HangUp()) == ENDING
        assert await call.running == Hung(reason="transferred", transfer_to=SALES)
        assert call.said[-1] == ("assistant", "One moment.")
    assert SALES not in str(notes)


async def test_a_number_of_nobodys_is_refused() -> None:
    async with steered() as (call, steering, notes):
        refused = steering.carry_out(Transfer(to="+19005550199"))
        assert isinstance(refused, Refused)
        assert (refused.status_code, refused.code, refused.retry_after_s) == (403, "transfer_not_allowed", None)
        assert "sales" in refused.message and SALES not in refused.message
        assert not call.running.done() and notes == []


async def test_a_hang_up_without_a_farewell_is_one_at_once() -> None:
    async with steered(greeting=LONG) as (call, steering, _):
        await asyncio.sleep(1)
        assert steering.carry_out(HangUp()) == Done("hanging_up")
        assert steering.carry_out(Say(text="x")) == ENDING
        assert await call.running == Hung(reason="agent_hung_up")


async def test_a_caller_who_talks_over_the_farewell_does_not_keep_the_line() -> None:
    async with steered(transcriber=FakeTranscriber("Wait!")) as (call, steering, _):
        steering.carry_out(HangUp(farewell=LONG))
        await asyncio.sleep(1)
        await call.speak(800)
        await asyncio.sleep(0.1)
        assert await call.running == Hung(reason="agent_hung_up")


async def test_a_farewell_that_is_never_heard_does_not_keep_the_line_either() -> None:
    async with steered(phone=FakePhone(jams=True)) as (call, steering, _):
        steering.carry_out(HangUp(farewell=LONG))
        await asyncio.sleep(FAREWELL_LIMIT_S - 1)
        assert not call.running.done()
        await asyncio.sleep(2)
        assert call.running.result() == Hung(reason="agent_hung_up")


def test_the_numbers_are_those_of_the_agents_transfer_tool() -> None:
    agent = load_agent("reception")
    assert destinations_of(replace(agent, tools=())) == {}
    tools = (BuiltInTool("hang_up"), BuiltInTool("transfer", to={"sales": SALES}))
    assert destinations_of(replace(agent, tools=tools)) == {"sales": SALES}
