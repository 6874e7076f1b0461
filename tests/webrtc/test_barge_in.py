"""Somebody speaks while the answer is heard: what is told in which order, how much was heard, and that it is quiet.

(Realtime reference, section D.8: the server owns the playback.) The answers are long; a word is hummed for 600 ms.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_exchange import Shape
from simulator.webrtc_inbox import Event
from tests.calls.support import clip
from tests.protocol.providers import HANG, SENTENCE
from tests.webrtc.support import (
    HEARS,
    VAD,
    Rtc,
    audible_ms,
    loud_frames,
    of,
    packets,
    providers,
    rtc,
    say_text,
    types,
)

pytestmark = pytest.mark.anyio

WORD_MS = 600
LONG = "one two three four five six seven eight nine ten"
CLOSERS = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


@pytest.fixture(scope="module")
async def slow(anyio_backend: str) -> AsyncGenerator[Rtc, None]:
    async with rtc(providers(word_ms=WORD_MS)) as opened:
        yield opened


def told_between(client: WebRtcClient, first: str, last: str) -> list[str]:
    """The kinds of events from the last of one to the next of another, transcripts left out."""
    kinds = types(client.frames)
    start = len(kinds) - 1 - kinds[::-1].index(first)
    end = kinds.index(last, start)
    return [kind for kind in kinds[start : end + 1] if ".delta" not in kind]


async def truncated(client: WebRtcClient) -> Event:
    """Until the answer is cut, and the track is quiet."""
    event = await client.expect("conversation.item.truncated")
    await packets(client, 15)
    return event


def quiet_at_the_end(client: WebRtcClient) -> Sequence[bool]:
    return loud_frames(client)[-8:]


async def test_who_interrupts_an_answer_under_way_hears_it_stop(slow: Rtc) -> None:
    async with slow.client(shape=Shape.OPENAI_MULTIPART, session={**HEARS, "instructions": HANG}) as client:
        await say_text(client, "hi")
        started = await client.expect("output_audio_buffer.started")
        client.speak(clip("hello"))
        cut = await truncated(client)
        told = told_between(client, "input_audio_buffer.speech_started", "conversation.item.truncated")
        told.remove("output_audio_buffer.cleared")
        assert told == ["input_audio_buffer.speech_started", *CLOSERS, "conversation.item.truncated"]
        (done,) = of(client, "response.done")
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        (cleared,) = of(client, "output_audio_buffer.cleared")
        assert cleared["response_id"] == started["response_id"] == done["response"]["id"]
        assert (cut["item_id"], cut["content_index"]) == (done["response"]["output"][0]["id"], 0)
        assert abs(cut["audio_end_ms"] - audible_ms(client)) <= 60
        assert 0 < cut["audio_end_ms"] < WORD_MS * len(SENTENCE.split())
        assert not any(quiet_at_the_end(client))
        # The next answer is in what was said in between.
        await client.expect("conversation.item.input_audio_transcription.completed")
        await client.expect("output_audio_buffer.started")
        await client.send("output_audio_buffer.clear")
        await client.expect("output_audio_buffer.cleared")


async def test_that_the_sound_has_stopped_is_told_first_of_all(slow: Rtc) -> None:
    session = {**HEARS, "instructions": HANG}
    async with slow.client(shape=Shape.OPENAI_MULTIPART, session=session, leaves_early=True) as client:
        await say_text(client, "hi")
        await client.expect("output_audio_buffer.started")
        client.speak(clip("hello"))
        await client.expect("conversation.item.truncated")
        assert told_between(client, "input_audio_buffer.speech_started", "conversation.item.truncated") == [
            "input_audio_buffer.speech_started",
            "output_audio_buffer.cleared",
            *CLOSERS,
            "conversation.item.truncated",
        ]


async def test_who_interrupts_an_answer_that_is_done_but_not_heard_hears_it_stop(slow: Rtc) -> None:
    async with slow.client(shape=Shape.OPENAI_MULTIPART, session=HEARS) as client:
        await say_text(client, LONG)
        await client.expect("response.done")
        if not of(client, "output_audio_buffer.started"):
            await client.expect("output_audio_buffer.started")
        client.speak(clip("hello"))
        cut = await truncated(client)
        assert told_between(client, "input_audio_buffer.speech_started", "conversation.item.truncated") == [
            "input_audio_buffer.speech_started",
            "output_audio_buffer.cleared",
            "conversation.item.truncated",
        ]
        assert of(client, "response.done")[0]["response"]["status"] == "completed"
        assert abs(cut["audio_end_ms"] - audible_ms(client)) <= 60
        assert not any(quiet_at_the_end(client))
        await client.expect("output_audio_buffer.started")
        await client.send("output_audio_buffer.clear")
        await client.expect("output_audio_buffer.cleared")


async def test_a_client_that_interrupts_by_itself_as_agents_js_does_is_obeyed_at_once(slow: Rtc) -> None:
    async with slow.client(shape=Shape.AGENTS_JS, session={"type": "realtime", "instructions": HANG}) as client:
        await say_text(client, "hi")
        await client.heard()
        await client.send("response.cancel")
        await client.send("output_audio_buffer.clear")
        await client.expect("output_audio_buffer.cleared")
        cut = await truncated(client)
        (done,) = of(client, "response.done")
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert len(of(client, "output_audio_buffer.cleared")) == 1
        assert abs(cut["audio_end_ms"] - audible_ms(client)) <= 60
        assert not any(quiet_at_the_end(client))
        # Again, with nothing to interrupt: a harmless error, and nothing else.
        await client.send("response.cancel")
        assert (await client.expect("error"))["error"]["code"] == "response_cancel_not_active"


async def test_a_cleared_buffer_is_told_once_and_the_next_answer_is_whole(slow: Rtc) -> None:
    async with slow.client() as client:
        await say_text(client, LONG)
        await client.heard()
        for _ in range(3):
            await client.send("output_audio_buffer.clear")
        await client.expect("output_audio_buffer.cleared")
        await packets(client, 10)
        since_s = time.monotonic()
        await say_text(client, "a")
        await client.expect("output_audio_buffer.stopped")
        assert len(of(client, "output_audio_buffer.cleared")) == 1
        assert abs(audible_ms(client, since_s) - 3 * WORD_MS) <= 60


async def test_an_answer_goes_on_where_interrupting_is_not_wanted(slow: Rtc) -> None:
    deaf: dict[str, Any] = {**VAD, "interrupt_response": False, "create_response": False}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": deaf}}}
    async with slow.client(shape=Shape.OPENAI_MULTIPART, session=session) as client:
        await say_text(client, "a b")
        client.speak(clip("hello"))
        await client.expect("input_audio_buffer.committed")
        while not of(client, "output_audio_buffer.stopped"):
            await client.next()
        assert not of(client, "output_audio_buffer.cleared", "conversation.item.truncated")
        assert abs(audible_ms(client) - 4 * WORD_MS) <= 60


async def test_somebody_interrupts_again_and_again(slow: Rtc) -> None:
    async with slow.client(shape=Shape.OPENAI_MULTIPART, session=HEARS) as client:
        await say_text(client, LONG)
        for turn in range(3):
            await client.expect("output_audio_buffer.started")
            client.speak(clip("hello"))
            await client.expect("conversation.item.truncated")
            assert len(of(client, "output_audio_buffer.cleared")) == turn + 1
        await client.expect("output_audio_buffer.started")
        await client.send("output_audio_buffer.clear")
        await client.expect("output_audio_buffer.cleared")
