"""A conversation: the greeting is heard, questions are answered, whatever the line is like."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pipeline.events.config import ServerVad
from simulator.caller import HangUp, Listen, Say, Wait
from simulator.network import Network
from simulator.sound import Codec
from tests.calls.raw_line import new_call, offered, raw_line
from tests.calls.support import AGENT, cascade, clip, running_gateway, spoken, words_bytes
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio


async def test_the_built_in_providers_greet_and_answer_two_questions() -> None:
    async with running_gateway() as house:
        result = await house.call(
            *(Listen(quiet_ms=400), Say(clip("hello")), Listen(quiet_ms=400), Say(clip("order-status"))),
            *(Wait(3_500), HangUp()),  # the answer comes in two pieces; nobody needs all of the second
        )
        said = await house.journal(result.call_sid, "transcript.done")
    assert result.agent_utterances[0].end_ms < result.turns[0].caller_started_ms
    assert [turn.agent_heard_ms is not None for turn in result.turns] == [True, True]
    assert [(one["speaker"], one["text"]) for one in said] == [
        ("agent", "Hello there."),
        ("caller", "hello"),
        ("agent", "How can I help you?"),
        ("caller", "where is my order four eight one five"),
        ("agent", "One moment, I am looking."),
        ("agent", "Order 4 8 1 5 is on its way and arrives on Thursday."),
    ]
    assert result.complaints == ()


async def test_an_a_law_line_hears_and_is_heard() -> None:
    model = FakeModel("Heard you loud and clear.")
    async with running_gateway(providers=cascade(model=model)) as house:
        result = await house.call(
            *(Listen(quiet_ms=300), Say(clip("yes")), Listen(quiet_ms=300), HangUp()), codec=Codec.PCMA
        )
        started = await house.journal(result.call_sid, "stream.started")
    assert len(started) == 1
    assert result.turns[0].agent_heard_ms is not None
    assert result.heard_bytes == result.received_bytes == words_bytes("Hello there.", "Heard you loud and clear.")
    # The stub voice hums at a level of 4,000; read by the wrong law that would be seven times as loud.
    assert 3_500 < abs(result.agent_sound.astype(int)).max() < 4_500
    assert result.complaints == ()


async def test_a_turn_on_a_line_that_loses_frames_ends_and_is_answered() -> None:
    model = FakeModel(*["Heard you."] * 16)
    script = (Listen(quiet_ms=300), Say(clip("stop")), Wait(1_500), HangUp())
    patient = replace(AGENT, turn_detection=ServerVad(silence_duration_ms=500))
    async with (
        running_gateway(providers=cascade(model=model), agent=patient) as house,
        asyncio.TaskGroup() as lines,
    ):
        bad = lines.create_task(house.calls([script] * 4, network=Network(loss=0.05)))
        worse = lines.create_task(house.calls([script] * 4, network=Network(loss=0.1)))
    for result in [*bad.result(), *worse.result()]:
        (turn,) = result.turns
        assert turn.agent_heard_ms is not None
        assert turn.agent_heard_ms > turn.caller_stopped_ms


async def test_the_line_of_a_caller_who_went_quiet_altogether_still_ends_the_turn() -> None:
    """A muted phone may send nothing at all; the turn must not wait for frames that never come."""
    model = FakeModel("Heard you.")
    async with running_gateway(providers=cascade(model=model)) as house:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid) as line:
            await line.begin()
            await line.until("media")
            law = Codec.PCMU.encode(clip("yes").pcm)
            for at_ms in range(0, len(law) // 8, 20):
                await line.send(line.write.media(law[at_ms * 8 : at_ms * 8 + 160], at_ms))
            await line.until("clear")
            await line.until("media")
            assert spoken(model.prompts[0])[-1] == ("user", "Something was said.")
