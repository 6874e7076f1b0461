"""A stream that breaks: Twilio comes back, is given another, and the conversation goes on with what was heard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from gateway.calls.call import RESUMES_PER_MINUTE
from gateway.calls.call import EndReason as Ended
from gateway.media_stream import stream as media_stream
from gateway.voice import APOLOGY
from simulator.call_result import EndReason, Happening
from simulator.caller import BargeIn, HangUp, Listen, Say, Wait
from tests.calls.raw_line import ask, connection_of, new_call, offered, raw_line
from tests.calls.support import AGENT, RunningGateway, cascade, clip, documents, happened, running_gateway, spoken
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

LONG = " ".join(f"word{number}" for number in range(60)) + "."
BACK = "/twilio/stream-ended?generation="


async def test_a_stream_that_breaks_in_the_middle_of_an_answer_goes_on_with_what_was_heard() -> None:
    model = FakeModel(LONG, "As I was saying.")
    async with running_gateway(providers=cascade(model=model)) as house:
        result = await house.call(
            Listen(quiet_ms=200),
            Say(clip("no")),
            Wait(1_200),
            BargeIn(300, clip("yes")),
            Listen(quiet_ms=200),
            HangUp(),
            listener=BreakOnce(house, model),
        )
        call = await house.find(result.call_sid)
        offered_streams = await house.journal(result.call_sid, "stream.offered")
        said = [one["text"] for one in await house.journal(result.call_sid, "transcript.done")]
    assert [one.detail["close_code"] for one in happened(result, "stream.ended")] == [1006, None]
    assert [one["generation"] for one in offered_streams] == [1, 2]
    assert said.count("Hello there.") == 1, "the caller was greeted again"
    greeting, caller, broken_off, rest, last = spoken(model.prompts[1])
    assert (greeting, caller) == (("assistant", "Hello there."), ("user", "Something was said."))
    assert (broken_off[0], rest[0]) == ("assistant", "assistant")
    assert LONG.startswith(f"{broken_off[1]} {rest[1]}"), "it went on with the next word"
    assert 2 <= len(broken_off[1].split()) <= 20
    assert last == ("user", "Something was said.")
    assert said[-1] == "As I was saying."
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert call.end_reason is Ended.CALLER_HUNG_UP
    assert result.complaints == ()


async def test_a_stream_that_keeps_breaking_ends_with_an_apology() -> None:
    async with running_gateway(providers=cascade(), agent=replace(AGENT, greeting=LONG)) as house:
        result = await house.call(
            Wait(20_000), HangUp(), listener=lambda one: soon_break(house, one, after="stream.opened")
        )
        call = await house.find(result.call_sid)
    assert len(result.stream_sids) == 1 + RESUMES_PER_MINUTE
    assert result.spoken_verbs == (APOLOGY,)
    assert "<Hangup" in documents(result)[-1]
    assert result.end_reason is EndReason.HANGUP_VERB
    assert call.end_reason is Ended.RESUMES_EXHAUSTED


async def test_twilio_may_come_back_before_we_have_noticed_that_the_stream_is_gone() -> None:
    """A socket can be dead at Twilio's end and alive at ours. What was heard on it is known on the next one all the
    same, the old one is told to go, and what becomes of it later changes nothing."""
    model = FakeModel(LONG, "Good.")
    async with running_gateway(providers=cascade(model=model)) as house:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid) as old:
            await old.begin()
            await old.until("media")
            await old.press("1#")
            await old.until("clear")
            await old.until(
                "mark", 8, returns_marks=True
            )  # with a lead of 300 ms, half a second of the answer is out
            answer = await ask(f"{house.url}{BACK}1", call_sid, CallStatus="in-progress")
            async with raw_line(connection_of(answer).stream.url, call_sid) as new:
                await new.begin()
                assert await old.close_code() == 1008
                await new.until("media")
                await new.press("2#")
                await new.until("clear")
                await new.until("media")
                await new.send(new.write.stop())
                await new.close_code()
        journal = await house.whole_journal(call_sid)
    assert [one for one in journal if one.startswith("stream.")] == [
        "stream.offered",
        "stream.started",
        "stream.offered",
        "stream.ended",
        "stream.started",
        "stream.ended",
    ]
    first, second = (spoken(prompt) for prompt in model.prompts)
    assert first[-1] == ("user", "[keypad] 1#")
    role, heard = second[len(first)]
    assert second[: len(first)] == first
    assert (role, LONG.startswith(heard), len(heard.split()) >= 1) == ("assistant", True, True)
    assert second[-1] == ("user", "[keypad] 2#")


async def test_a_new_stream_does_not_wait_for_ever_for_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller waits as well. Then the new one begins without history, and the old one's comes too late."""
    monkeypatch.setattr(media_stream, "GIVE_WAY_LIMIT_S", 0.0)
    model = FakeModel("Good.")
    async with running_gateway(providers=cascade(model=model), agent=replace(AGENT, greeting=LONG)) as house:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid) as old:
            await old.begin()
            await old.until("mark", 8)
            answer = await ask(f"{house.url}{BACK}1", call_sid, CallStatus="in-progress")
            async with raw_line(connection_of(answer).stream.url, call_sid) as new:
                await new.begin()
                assert await old.close_code() == 1008
                await new.until("media")
                await new.press("2#")
                await new.until("clear")
                await new.until("media")
    assert spoken(model.prompts[0]) == [("user", "[keypad] 2#")]


@dataclass
class BreakOnce:
    """Breaks the line a second into the model's first answer."""

    house: RunningGateway
    model: FakeModel
    is_done: bool = False

    def __call__(self, one: Happening) -> None:
        if one.name == "agent.heard" and self.model.prompts and not self.is_done:
            self.is_done = True
            asyncio.get_running_loop().call_later(1.0, self.house.break_sockets)


def soon_break(house: RunningGateway, one: Happening, *, after: str) -> None:
    if one.name == after:
        asyncio.get_running_loop().call_later(0.3, house.break_sockets)
