"""The end of a call: by the caller in the middle of a word, by the agent after its last one, or not after all."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.calls.call import CallState
from gateway.calls.call import EndReason as Ended
from pipeline.provider import TextDelta, ToolRequest
from simulator.call_result import EndReason
from simulator.caller import BargeIn, HangUp, Listen, Say, Wait
from tests.calls.support import (
    AGENT,
    cascade,
    clip,
    documents,
    happened,
    running_gateway,
    spoken,
    tasks_gone,
    words_bytes,
)
from tests.fakes import STALL, FakeModel, FakeTranscriber, FakeVoice

pytestmark = pytest.mark.anyio

FAREWELL = "Thank you for calling, it was a pleasure. Goodbye!"
GOODBYE = (TextDelta(FAREWELL), ToolRequest("call_1", "hang_up", "{}"))


async def test_nothing_is_left_of_a_call_whose_caller_hangs_up_in_the_middle_of_a_word() -> None:
    """One hangs up while the agent still thinks and speaks, the other while being transcribed."""
    long_answer = "word " * 100
    model, voice, transcriber = FakeModel([long_answer, STALL]), FakeVoice(), FakeTranscriber("hello")
    providers = cascade(transcriber=transcriber, model=model, voice=voice)
    quick = replace(AGENT, greeting="Hello.")
    async with running_gateway(providers=providers, agent=quick) as house:
        before = asyncio.all_tasks()
        thinking: list[tuple[int, int, int]] = []
        first = await house.call(
            Listen(quiet_ms=200),
            Say(clip("no")),
            Wait(1_500),
            HangUp(),
            listener=lambda one: (
                thinking.append((model.running, voice.running, transcriber.running)) if one.name == "stop" else None
            ),
        )
        second = await house.call(
            Listen(quiet_ms=200),
            Say(clip("no")),
            HangUp(),
            listener=lambda one: (
                thinking.append((model.running, voice.running, transcriber.running)) if one.name == "stop" else None
            ),
        )
        journals = [await house.whole_journal(result.call_sid) for result in (first, second)]
        ends = [await house.find(result.call_sid) for result in (first, second)]
        assert await tasks_gone(before) == set()
        # All three were at work when their call ended, and none is afterwards.
        assert thinking == [(1, 1, 0), (0, 0, 1)]
        assert (model.running, voice.running, transcriber.running) == (0, 0, 0)
        assert house.sample("calls_active") == 0
    assert first.heard_bytes < first.received_bytes
    for journal in journals:
        ended = journal.index("call.ended")
        assert journal[ended - 1] == "stream.ended"
        assert set(journal[ended + 1 :]) <= {"twilio.stream-stopped"}
    assert [call.end_reason for call in ends] == [Ended.CALLER_HUNG_UP] * 2
    assert [call.state for call in ends] == [CallState.ENDED] * 2


async def test_the_agent_hangs_up_only_after_its_last_word_was_heard() -> None:
    model = FakeModel(GOODBYE)
    async with running_gateway(providers=cascade(model=model)) as house:
        result = await house.call(Listen(quiet_ms=300), Say(clip("no")), Listen(quiet_ms=5_000))
        call = await house.find(result.call_sid)
        ended = await house.journal(result.call_sid, "stream.ended")
    assert result.heard_bytes == result.received_bytes == words_bytes("Hello there.", FAREWELL)
    assert result.end_reason is EndReason.HANGUP_VERB
    assert "<Hangup" in documents(result)[-1]
    assert "<Say" not in documents(result)[-1]
    assert [one.detail["close_code"] for one in happened(result, "stream.ended")] == [1000]
    assert [one["reason"] for one in ended] == ["agent_hung_up"]
    assert call.end_reason is Ended.AGENT_HUNG_UP
    assert result.complaints == ()


async def test_a_caller_who_objects_to_the_goodbye_is_listened_to() -> None:
    model = FakeModel(GOODBYE, "Of course, what else?")
    async with running_gateway(providers=cascade(model=model)) as house:
        result = await house.call(
            Listen(quiet_ms=300),
            Say(clip("no")),
            BargeIn(700, clip("stop")),
            Listen(quiet_ms=500),
            HangUp(),
        )
        call = await house.find(result.call_sid)
    assert result.end_reason is EndReason.CALLER_HUNG_UP
    assert call.end_reason is Ended.CALLER_HUNG_UP
    assert [turn.agent_heard_ms is not None for turn in result.turns] == [True, True]
    said = spoken(model.prompts[1])
    assert said[-1] == ("user", "Something was said.")
    role, farewell = said[-2]
    assert (role, FAREWELL.startswith(farewell), len(farewell) < len(FAREWELL)) == ("assistant", True, True)
