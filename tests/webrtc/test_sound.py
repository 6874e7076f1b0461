"""The track of sound: packets without a gap, in each codec, and sessions in each format over it."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K
from simulator.sound import rms
from simulator.webrtc_client import CodecName, WebRtcClient
from simulator.webrtc_exchange import Shape
from tests.calls.support import clip
from tests.protocol.providers import HEARD
from tests.realtime.support import GAP, speech
from tests.webrtc.support import HEARS, VAD, Rtc, audible_ms, listening, of, packets, say_text, update

pytestmark = pytest.mark.anyio

CLOCKS: dict[CodecName, tuple[int | None, int]] = {"opus": (None, 48_000), "PCMU": (0, 8_000), "PCMA": (8, 8_000)}
"""Payload number, where it is fixed, and hertz of the clock (RFC 3551, section 6; RFC 7587)."""


STOOD_STILL_S = 0.15
"""Of two packets in a row: the gateway sends what 200 ms held up, and leaves out what is more."""


def gapless(client: WebRtcClient, clock_hz: int) -> bool:
    """Whether what came counts on by one packet and 20 ms, from one source. Only where the machine stood still
    for longer than is caught up is there a hole."""
    came = client.packets.since(0.0)
    pairs = list(zip(came, came[1:], strict=False))
    steps = {(after.sequence - before.sequence) % 2**16 for before, after in pairs}
    jumps = {
        (after.timestamp - before.timestamp) % 2**32
        for before, after in pairs
        if after.at_s - before.at_s < STOOD_STILL_S
    }
    return (steps, jumps, len({one.ssrc for one in came})) == ({1}, {clock_hz // 50}, 1)


async def test_packets_come_without_a_gap_through_speech_and_silence_in_each_codec(gateway: Rtc) -> None:
    async def talk(codec: CodecName) -> None:
        number, clock_hz = CLOCKS[codec]
        async with gateway.client(codec=codec, shape=Shape.OPENAI_MULTIPART, session=HEARS) as client:
            await packets(client, 10)  # nobody has said anything
            await listening(client)
            client.speak(clip("hello"))
            heard = await client.expect("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == HEARD
            await client.expect("output_audio_buffer.stopped")
            await packets(client, 10)
            assert gapless(client, clock_hz)
            numbers = {one.payload_type for one in client.packets.all}
            assert len(numbers) == 1
            assert number in (None, *numbers)
            # Seven words of 200 ms.
            assert abs(audible_ms(client) - 7 * 200) <= 60
            # A talkspurt begins with a marked packet (RFC 3551, section 4.1), and silence with none.
            assert any(one.is_marked for one in client.packets.all)
            first, last = client.packets.all[0], client.packets.all[-1]
            sound_s = (last.timestamp - first.timestamp) % 2**32 / clock_hz
            assert last.at_s - first.at_s <= sound_s + 0.5, "as much sound as there was time for"

    async with asyncio.TaskGroup() as talks:
        for codec in CLOCKS:
            talks.create_task(talk(codec))


async def test_a_session_in_any_format_is_heard_and_speaks_over_opus(gateway: Rtc) -> None:
    async def talk(format: dict[str, Any]) -> None:
        async with gateway.client() as client:
            heard_in = {"format": format, "transcription": {"model": "w"}, "turn_detection": VAD}
            session = await update(client, audio={"input": heard_in, "output": {"format": format}})
            assert session["audio"]["input"]["format"]["type"] == format["type"]
            client.speak(clip("hello"))
            heard = await client.expect("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == HEARD
            await client.expect("output_audio_buffer.stopped")
            assert abs(audible_ms(client) - 7 * 200) <= 60

    async with asyncio.TaskGroup() as talks:
        for format in ({"type": "audio/pcmu"}, {"type": "audio/pcma"}, {"type": "audio/pcm", "rate": 24_000}):
            talks.create_task(talk(format))


async def test_sound_by_event_is_heard_as_that_of_the_track_is(gateway: Rtc) -> None:
    async with gateway.client(shape=Shape.OPENAI_MULTIPART, session=HEARS, has_microphone=False) as client:
        sound = speech() + GAP
        size = PCM_24K.bytes_in(200)
        for at in range(0, len(sound), size):
            piece = base64.b64encode(sound[at : at + size]).decode()
            await client.send("input_audio_buffer.append", audio=piece)
        heard = await client.expect("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == HEARD
        await client.expect("output_audio_buffer.stopped")


async def test_a_turn_is_committed_by_hand_where_none_is_detected(gateway: Rtc) -> None:
    session: dict[str, Any] = {
        "type": "realtime",
        "audio": {"input": {"turn_detection": None, "transcription": {"model": "w"}}},
    }
    async with gateway.client(shape=Shape.OPENAI_MULTIPART, session=session) as client:
        await client.send("input_audio_buffer.clear")
        await client.expect("input_audio_buffer.cleared")
        client.speak(clip("hello"))
        await client.spoken()
        await client.send("input_audio_buffer.commit")
        await client.expect("input_audio_buffer.committed")
        await client.expect("conversation.item.input_audio_transcription.completed")
        assert not of(client, "response.created")
        await client.send("response.create")
        await client.expect("output_audio_buffer.stopped")
        assert not of(client, "input_audio_buffer.speech_started")


async def test_what_the_microphone_says_is_kept_as_it_was_said(gateway: Rtc) -> None:
    """Of the utterance that was committed, the client may ask for the sound."""
    session = {**HEARS, "audio": {"input": {"turn_detection": {**VAD, "create_response": False}}}}
    async with gateway.client(shape=Shape.OPENAI_MULTIPART, session=session) as client:
        await listening(client)
        client.speak(clip("hello"))
        committed = await client.expect("input_audio_buffer.committed")
        (started,), (stopped,) = (
            of(client, f"input_audio_buffer.speech_{what}") for what in ("started", "stopped")
        )
        length_ms = stopped["audio_end_ms"] - started["audio_start_ms"]
        said_ms = len(clip("hello").pcm) // 16
        assert abs(length_ms - said_ms) <= 700, "with a little before it, and the silence that ended it"
        await client.send("conversation.item.retrieve", item_id=committed["item_id"])
        part = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]
        assert abs(len(base64.b64decode(part["audio"])) / PCM_24K.bytes_in(1) - length_ms) <= 200


async def test_the_voice_is_as_loud_as_it_was_made(gateway: Rtc) -> None:
    async with gateway.client() as client:
        since_s = time.monotonic()
        await say_text(client, "one two three")
        await client.expect("output_audio_buffer.stopped")
        loud = client.packets.sound(since_s)
        # The stub hums a tone of 4,000: 2,828 as a root mean square, over a second, in silence around it.
        share = audible_ms(client, since_s) / (len(loud.pcm) / 16)
        assert abs(rms(loud.pcm) / share**0.5 - 2_828) < 300
