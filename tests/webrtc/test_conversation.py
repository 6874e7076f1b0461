"""A conversation over a peer connection: what is said is understood, and what is answered is heard."""

from __future__ import annotations

import time

import pytest

from pipeline.dialects import Dialect
from pipeline.providers.stub import WORD_MS, StubModel
from simulator.webrtc_exchange import Shape
from tests.calls.support import cascade, clip
from tests.protocol.providers import ARGUMENTS, CALL, FAIL, HEARD
from tests.webrtc.support import HEARS, Rtc, audible_ms, listening, loud_frames, of, rtc, say_text, types, update

pytestmark = pytest.mark.anyio

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
ANSWER = "You said: What are your opening hours."


async def test_somebody_asks_by_voice_and_is_answered_by_voice(gateway: Rtc) -> None:
    async with gateway.client(shape=Shape.OPENAI_MULTIPART, session=HEARS) as client:
        await client.expect("session.created")
        await listening(client)
        client.speak(clip("hello"))
        await client.expect("input_audio_buffer.speech_started")
        heard = await client.expect("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == HEARD
        since_s = time.monotonic()
        stopped = await client.expect("output_audio_buffer.stopped")
        (done,) = of(client, "response.done")
        (told,) = of(client, "response.output_audio_transcript.done")
        (started,) = of(client, "output_audio_buffer.started")
        assert told["transcript"] == ANSWER
        assert done["response"]["status"] == "completed"
        assert {done["response"]["id"]} == {started["response_id"], stopped["response_id"]}
        said_ms = WORD_MS * len(ANSWER.split())
        assert said_ms - 60 <= audible_ms(client) <= said_ms + 60
        await client.heard(since_s)
        assert client.energy(since_s) > 500


async def test_the_events_of_an_answer_stand_in_their_order(gateway: Rtc) -> None:
    async with gateway.client() as client:
        await client.expect("conversation.created")
        await say_text(client, "one two three four five six")
        told = types(await client.until("output_audio_buffer.stopped"))
        milestones = [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.done",
            "output_audio_buffer.stopped",
        ]
        after_created = told[told.index("response.created") :]
        assert [kind for kind in after_created if kind in milestones] == milestones
        closers = ["output_audio.done", "output_audio_transcript.done", "content_part.done", "output_item.done"]
        assert [kind for kind in told if kind.removeprefix("response.") in closers] == [
            f"response.{closer}" for closer in closers
        ]


async def test_several_turns_each_have_their_sound_and_their_end(gateway: Rtc) -> None:
    async with gateway.client() as client:
        for turn in range(3):
            await say_text(client, f"turn {turn}")
            await client.expect("output_audio_buffer.stopped")
        assert len(of(client, "output_audio_buffer.started")) == 3
        assert not of(client, "output_audio_buffer.cleared")
        # Three answers of four words, with silence before, between and behind.
        assert 3 * 700 <= audible_ms(client) <= 3 * 860


async def test_a_text_answer_makes_no_sound(gateway: Rtc) -> None:
    async with gateway.client() as client:
        await update(client, output_modalities=["text"])
        await say_text(client, "hi")
        told = types(await client.until("response.done"))
        assert "response.output_text.delta" in told
        assert not any(kind.startswith("output_audio_buffer") for kind in told)
        assert not any(loud_frames(client))


async def test_a_function_is_called_and_its_result_spoken_of(gateway: Rtc) -> None:
    async with gateway.client() as client:
        await update(client, tools=[TOOL])
        await say_text(client, CALL)
        called = await client.expect("response.function_call_arguments.done")
        assert (called["name"], called["arguments"]) == ("get_weather", ARGUMENTS)
        await client.expect("response.done")
        assert not of(client, "output_audio_buffer.started"), "nothing was said"
        output = {"type": "function_call_output", "call_id": called["call_id"], "output": "sunny"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        told = await client.expect("response.output_audio_transcript.done")
        assert told["transcript"] == "You said: the tool says sunny."
        await client.expect("output_audio_buffer.stopped")


async def test_inworlds_examples_send_all_at_once_and_are_answered(gateway: Rtc) -> None:
    async with gateway.client(shape=Shape.INWORLD_JSON, dialect=Dialect.IW) as client:
        await client.send("session.update", session={"instructions": "Be brief."})
        await say_text(client, "hi")
        told = types(await client.until("output_audio_buffer.stopped"))
        order = ["session.created", "session.updated", "response.created", "output_audio_buffer.started"]
        assert [kind for kind in told if kind in order] == order


async def test_an_out_of_band_answer_in_text_runs_beside_what_is_spoken(gateway: Rtc) -> None:
    async with gateway.client() as client:
        await say_text(client, "one two three four five six seven eight")
        await client.expect("output_audio_buffer.started")
        beside = {"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "x"}}
        await client.send("response.create", response=beside)
        while (done := await client.expect("response.done"))["response"]["metadata"] != {"topic": "x"}:
            pass
        assert done["response"]["status"] == "completed"
        while not of(client, "output_audio_buffer.stopped"):
            await client.next()


async def test_a_model_that_fails_ends_its_answer_and_not_the_session(gateway: Rtc) -> None:
    async with gateway.client() as client:
        for _ in range(2):
            await say_text(client, FAIL)
            done = (await client.expect("response.done"))["response"]
            assert done["status"] == "failed"
            assert done["status_details"]["error"]["type"] == "server_error"
        await say_text(client, "still there?")
        done = (await client.expect("response.done"))["response"]
        assert done["status"] == "completed"
        starts = len(of(client, "output_audio_buffer.started"))
        while len(of(client, "output_audio_buffer.stopped", "output_audio_buffer.cleared")) < starts:
            await client.next()
        assert not of(client, "error")


async def test_a_long_sentence_arrives_whole_and_without_a_hole() -> None:
    async with rtc(cascade(model=StubModel(words=8))) as gateway, gateway.client() as client:
        await say_text(client, "hi")
        await client.expect("output_audio_buffer.stopped")
        loud = loud_frames(client)
        first, last = loud.index(True), len(loud) - loud[::-1].index(True)
        # Eight words of the stub are one hum.
        assert abs((last - first) * 20 - 8 * WORD_MS) <= 60
        assert all(loud[first:last])
