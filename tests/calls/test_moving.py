"""A call goes on on another worker: where its worker is cut off, and where it leaves in good order."""

from __future__ import annotations

import asyncio
import io

import pytest

from gateway import logs
from gateway.calls.call import EndReason as Ended
from gateway.media_stream import second_chance
from pipeline.resumption import BROKEN, MISSED
from simulator.call_result import EndReason, Happening
from simulator.caller import Dtmf, HangUp, Listen, Say, Wait
from simulator.chronicle import Listener
from tests.calls.fleet import Fleet, running_fleet
from tests.calls.support import cascade, clip, happened, spoken
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

STEPS = (Wait(200), Say(clip("no")), Listen(quiet_ms=600), Say(clip("yes")), Listen(quiet_ms=300), HangUp())

LONG = " ".join(f"word{number}" for number in range(25)) + "."


def after_agent(fleet: Fleet, act: str, *, seconds: float) -> Listener:
    """Cuts the call's worker off, or has it move its calls, a while after the agent was first heard to answer."""
    answers: list[float] = []

    def listen(one: Happening) -> None:
        if one.name == "agent.heard":
            answers.append(one.at_s)
            if len(answers) == 2:
                asyncio.get_running_loop().call_later(seconds, go)

    def go() -> None:
        worker = fleet.holder()
        if act == "cut off":
            fleet.cut_off(worker)
        else:
            fleet.door.remove(worker.upstream)
            moving = worker.house.gateway.move_calls(at_once=act == "move at once")
            fleet.tasks.append(asyncio.ensure_future(moving))

    return listen


@pytest.mark.parametrize("act", ["cut off", "move at once"])
async def test_in_the_middle_of_an_answer_another_worker_goes_on_with_the_next_word(act: str) -> None:
    model = FakeModel(LONG, "You are welcome.")
    async with running_fleet(2, providers=cascade(model=model)) as fleet:
        result = await fleet.call(*STEPS, listener=after_agent(fleet, act, seconds=1.0))
        journal = await fleet.journal(result.call_sid)
        call = await fleet.workers[0].store.find(result.call_sid)
    heard, rest = parts_of_the_answer(model)
    assert heard.split() + rest.split() == LONG.split(), "each word was said once"
    assert 2 <= len(heard.split()) <= 20
    assert [prompt[-1] for prompt in map(spoken, model.prompts)] == [("user", "Something was said.")] * 2
    reasons = [one["reason"] for one in journal if one["event"] == "stream.ended"]
    assert reasons == ["lost" if act == "cut off" else "moved", "stopped"]
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert call is not None
    assert (call.end_reason, call.generation) == (Ended.CALLER_HUNG_UP, 2)
    assert result.complaints == ()


async def test_a_call_that_is_moved_gently_is_moved_when_nobody_speaks_and_nobody_hears_it() -> None:
    model = FakeModel("One two three four five six.", "You are welcome.")
    async with running_fleet(2, providers=cascade(model=model)) as fleet:
        result = await fleet.call(*STEPS, listener=after_agent(fleet, "move", seconds=0.3))
        journal = await fleet.journal(result.call_sid)
    assert spoken(model.prompts[1])[-2:] == [
        ("assistant", "One two three four five six."),
        ("user", "Something was said."),
    ], "it was said to its end, and nothing else"
    assert [one["reason"] for one in journal if one["event"] == "stream.ended"] == ["moved", "stopped"]
    closed, again = happened(result, "stream.ended")
    assert (closed.detail["close_code"], again.detail["close_code"]) == (1001, None)
    assert len(result.stream_sids) == 2
    assert result.complaints == ()


async def test_a_caller_whose_last_words_were_lost_between_two_streams_is_asked_again() -> None:
    model = FakeModel("Sorry, once more please?", "You are welcome.")
    said = clip("yes")
    async with running_fleet(2, providers=cascade(model=model)) as fleet:

        def listen(one: Happening) -> None:
            if one.name == "caller.speaks" and len(fleet.workers) == 2 and not model.prompts:
                # After the last sound, and before the silence behind it has proved that it was the last.
                asyncio.get_running_loop().call_later(said.duration_ms / 1000 + 0.1, cut)

        def cut() -> None:
            fleet.cut_off(fleet.holder())

        steps = (Listen(quiet_ms=400), Say(said), Listen(quiet_ms=800, patience_ms=8_000), HangUp())
        result = await fleet.call(*steps, listener=listen)
    assert len(result.stream_sids) == 2
    assert BROKEN in model.prompts[0].instructions
    assert result.agent_utterances[-1].start_ms > result.turns[0].caller_stopped_ms


@pytest.mark.parametrize(("act", "is_asked"), [("cut off", True), ("move", False)])
async def test_a_caller_who_says_nothing_after_a_break_is_told_of_it_and_after_a_move_is_left_in_peace(
    act: str, is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_chance, "QUIET_LIMIT_S", 0.5)
    model = FakeModel("It is your turn.", "I could not hear you.", "You are welcome.")
    steps = (Listen(quiet_ms=400), Say(clip("no")), Listen(quiet_ms=400), Wait(4_000), HangUp())
    async with running_fleet(2, providers=cascade(model=model)) as fleet:
        result = await fleet.call(*steps, listener=after_agent(fleet, act, seconds=1.5))
        journal = await fleet.journal(result.call_sid)
    assert [one["reason"] for one in journal if one["event"] == "stream.ended"] == [
        "lost" if is_asked else "moved",
        "stopped",
    ]
    assert [MISSED in prompt.instructions for prompt in model.prompts] == [False] + [True] * is_asked


async def test_moves_do_not_count_as_a_line_that_keeps_breaking() -> None:
    async with running_fleet(2, providers=cascade()) as fleet:
        moves = [0]

        def listen(one: Happening) -> None:
            if one.name == "stream.opened" and moves[0] < 5:
                moves[0] += 1
                asyncio.get_running_loop().call_later(0.3, go)

        def go() -> None:
            for worker in fleet.workers:
                fleet.tasks.append(asyncio.ensure_future(worker.house.gateway.move_calls(at_once=True)))

        result = await fleet.call(Wait(4_000), Say(clip("yes")), Listen(quiet_ms=300), HangUp(), listener=listen)
    assert len(result.stream_sids) == 6
    assert result.end_reason is EndReason.CALLER_HUNG_UP


def parts_of_the_answer(model: FakeModel) -> list[str]:
    """What the agent said before and after the break, as its second prompt has it."""
    return [words for role, words in spoken(model.prompts[1]) if role == "assistant"][-2:]


@pytest.mark.parametrize("act", ["cut off", "move at once"])
async def test_no_log_line_of_a_call_that_moves_has_its_number_or_what_was_keyed_in(act: str) -> None:
    canary, keys = "+14155559876", "86429753"
    output = io.StringIO()
    async with running_fleet(2, providers=cascade(model=FakeModel(LONG, "You are welcome."))) as fleet:
        undo = logs.configure("debug", "text", output=output)
        try:
            listen = after_agent(fleet, act, seconds=1.0)
            steps = (*STEPS[:3], Dtmf(keys), Listen(quiet_ms=300), Dtmf(keys), *STEPS[3:])
            result = await fleet.call(*steps, listener=listen, from_number=canary)
            await fleet.redis.ask("CONFIG", "SET", "maxmemory", "1")
            assert await fleet.workers[0].store.find(result.call_sid) is not None
        finally:
            undo()
        journal = await fleet.journal(result.call_sid)
    assert len(result.stream_sids) == 2
    lines = output.getvalue()
    assert "stream begins" in lines
    for secret in (canary, canary[1:], canary[-7:], keys):
        assert secret not in lines
    assert canary not in str(journal)
