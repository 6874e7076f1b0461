"""Providers fail: the caller hears an apology, never a long silence, and in the end words of the carrier's."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from gateway.calls.call import EndReason as Ended
from pipeline.audio.apology import apology
from pipeline.audio.formats import PCMU
from pipeline.responder import Cascade
from simulator.call_result import CallResult, EndReason
from simulator.caller import HangUp, Listen, Say, Wait
from tests.calls.support import AGENT, cascade, clip, documents, running_gateway, words_bytes
from tests.fakes import STALL, FakeModel, FakeTranscriber, FakeVoice, failure

pytestmark = pytest.mark.anyio

LONGEST_SILENCE_MS = 6_000
SORRY = replace(AGENT, apology="Sorry, please say it again.")


def ways() -> dict[str, Cascade]:
    """Every way in which one of the three can fail in the first answer; the stalls are as long as in real life."""
    bug = RuntimeError("a bug of ours")
    return {
        "the model refuses": cascade(model=FakeModel([failure()])),
        "the model breaks off": cascade(model=FakeModel(["Well, I think that ", failure()])),
        "the model says nothing": cascade(model=FakeModel([STALL])),
        "the model stops talking": cascade(model=FakeModel(["Well, I think that ", STALL])),
        "the model has a bug": cascade(model=FakeModel([bug])),
        "the voice refuses": cascade(model=FakeModel("Yes."), voice=FakeVoice({1: failure()})),
        "the voice says nothing": cascade(model=FakeModel("Yes."), voice=FakeVoice({1: STALL})),
        "the voice breaks off": cascade(
            model=FakeModel("Yes, I do so. And so on."), voice=FakeVoice({2: failure()})
        ),
        "the transcriber refuses": cascade(transcriber=FakeTranscriber([failure()])),
        "the transcriber says nothing": cascade(transcriber=FakeTranscriber([STALL])),
        "the transcriber gives up early": cascade(transcriber=FakeTranscriber([failure()], early=True)),
        "the transcriber has a bug": cascade(transcriber=FakeTranscriber([bug])),
    }


async def test_whatever_fails_the_caller_hears_an_apology_before_long() -> None:
    """All at once, each in a house of its own."""
    script = (Listen(quiet_ms=300), Say(clip("no")), Wait(6_500), HangUp())
    async with AsyncExitStack() as street:
        houses = {
            way: await street.enter_async_context(running_gateway(providers=providers, agent=SORRY))
            for way, providers in ways().items()
        }
        async with asyncio.TaskGroup() as callers:
            calls = {way: callers.create_task(house.call(*script)) for way, house in houses.items()}
        for house in houses.values():
            house.server.should_exit = True  # all at once as well
        said = {
            way: [one["text"] for one in await house.journal(calls[way].result().call_sid, "transcript.done")]
            for way, house in houses.items()
        }
    silences = {way: longest_silence_ms(call.result()) for way, call in calls.items()}
    assert {way: ms for way, ms in silences.items() if ms > LONGEST_SILENCE_MS} == {}
    assert {way for way, texts in said.items() if SORRY.apology not in texts} == set()
    for way, call in calls.items():
        assert call.result().end_reason is EndReason.CALLER_HUNG_UP, way
        # The apology takes a second, or longer where it is a recording.
        assert call.result().agent_utterances[-1].end_ms - call.result().turns[0].caller_stopped_ms > 1_000, way
    # Where the voice itself has failed, what was heard is the shipped recording, to its last byte.
    refused = calls["the voice refuses"].result()
    assert refused.heard_bytes == words_bytes(SORRY.greeting) + len(apology(PCMU))


async def test_after_four_failures_in_a_row_the_carrier_says_the_farewell_and_hangs_up() -> None:
    brief = replace(AGENT, greeting="", apology="Sorry.")
    providers = cascade(model=FakeModel(*[[failure()]] * 4))
    said = (Say(clip("no")), Listen(quiet_ms=200))
    async with running_gateway(providers=providers, agent=brief) as house:
        result = await house.call(Wait(300), *said * 4, patience())
        call = await house.find(result.call_sid)
    assert result.heard_bytes == words_bytes(*["Sorry."] * 3)
    assert result.spoken_verbs == ("Sorry.",)
    assert result.end_reason is EndReason.HANGUP_VERB
    assert "<Hangup" in documents(result)[-1]
    assert call.end_reason is Ended.PROVIDER_FAILED


def patience() -> Wait:
    """A caller who would go on waiting: so it is not the caller who ends the call."""
    return Wait(10_000)


def longest_silence_ms(result: CallResult) -> float:
    """From the caller's last word on, until the agent had said its last: what the caller had to listen to."""
    silent_since_ms = result.turns[0].caller_stopped_ms
    longest_ms = float("inf") if result.agent_utterances[-1].start_ms < silent_since_ms else 0.0
    for utterance in result.agent_utterances:
        if utterance.start_ms > silent_since_ms:
            longest_ms = max(longest_ms, utterance.start_ms - silent_since_ms)
            silent_since_ms = utterance.end_ms
    return longest_ms
