"""Audio formats, both ways: what goes in is what was sent, however it was cut; what comes out is what was asked."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from pipeline.audio import g711
from pipeline.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.dialects import Dialect
from pipeline.providers.stub import WORD_MS
from tests.protocol.conftest import BEARER, House, open_house
from tests.protocol.peer import Event, Peer, sound_of
from tests.protocol.providers import HEARD, OnePiece
from tests.protocol.sound import duration_ms, silence, speech

pytestmark = pytest.mark.anyio

COMPLETED = "conversation.item.input_audio_transcription.completed"
IW_PATH = "/api/v1/realtime/session?key=k&protocol=realtime"
IW_RATES_HZ = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
TONE_HZ = 400
"""What the stub voice hums."""

MOST_DELTA_BYTES = 19_200
"""400 ms at 24 kHz."""

ANSWER_MS = 3 * WORD_MS
"""Of "You said: Hello."."""

GA_FORMATS: list[tuple[AudioFormat, Event]] = [
    (PCM_24K, {"type": "audio/pcm", "rate": 24000}),
    (PCMU, {"type": "audio/pcmu"}),
    (PCMA, {"type": "audio/pcma"}),
]
BYTES_PER_MS = {Encoding.PCM16: 2, Encoding.ULAW: 1, Encoding.ALAW: 1}


@asynccontextmanager
async def hearing(house: House, format: AudioFormat, wire: Any, **asked: Any) -> AsyncGenerator[Peer, None]:
    """A session of this format both ways that waits for commits."""
    async with house.session(**asked) as peer:
        heard = {"format": wire, "turn_detection": None, "transcription": {"model": "whisper-1"}}
        await peer.update(audio={"input": heard, "output": {"format": wire}})
        yield peer


async def kept(peer: Peer) -> bytes:
    """What is in the buffer, committed and retrieved."""
    await peer.send("input_audio_buffer.commit")
    item_id = (await peer.expect("input_audio_buffer.committed"))["item_id"]
    assert (await peer.expect(COMPLETED))["transcript"] == HEARD
    return base64.b64decode((await peer.retrieved(item_id))["content"][0]["audio"])


async def answer(peer: Peer) -> bytes:
    await peer.say("Hello")
    await peer.send("response.create")
    return await peer.sound(await peer.answer())


def loudest_hz(format: AudioFormat, audio: bytes) -> float:
    """The frequency with the most energy."""
    match format.encoding:
        case Encoding.ULAW:
            pcm = g711.ulaw_to_pcm16(audio)
        case Encoding.ALAW:
            pcm = g711.alaw_to_pcm16(audio)
        case Encoding.PCM16:
            pcm = audio
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, dtype="<i2").astype(float)))
    return float(np.argmax(spectrum) * format.rate_hz / (len(pcm) // 2))


@pytest.mark.proves("C3-pcm16", "C3-pcmu", "C3-pcma", "C3-spellings")
@pytest.mark.parametrize(("format", "wire"), GA_FORMATS, ids=["pcm16", "pcmu", "pcma"])
async def test_each_format_goes_both_ways(house: House, format: AudioFormat, wire: Event) -> None:
    sound = speech(format)
    async with hearing(house, format, wire) as peer:
        await peer.append(sound)
        assert await kept(peer) == sound
        spoken = await answer(peer)
    per_ms = BYTES_PER_MS[format.encoding] * format.rate_hz // 1000
    assert abs(len(spoken) - ANSWER_MS * per_ms) <= 2 * per_ms, "no more is lost or added than a filter's delay"
    assert abs(loudest_hz(format, spoken) - TONE_HZ) < 5


@pytest.mark.proves("C3-chunks", "C3-odd-byte", "E2-verbatim")
@pytest.mark.parametrize("chunk_bytes", [160, 333, 400, 961, 4_801, 65_537])
@pytest.mark.parametrize(("format", "wire"), GA_FORMATS, ids=["pcm16", "pcmu", "pcma"])
async def test_how_sound_is_cut_changes_nothing(
    house: House, format: AudioFormat, wire: Event, chunk_bytes: int
) -> None:
    sound = speech(format)
    async with hearing(house, format, wire) as peer:
        await peer.append(sound, chunk_bytes=chunk_bytes)
        assert await kept(peer) == sound


@pytest.mark.proves("C3-chunks", "C3-odd-byte")
@pytest.mark.parametrize(("format", "wire"), GA_FORMATS, ids=["pcm16", "pcmu", "pcma"])
async def test_sound_may_come_byte_by_byte(house: House, format: AudioFormat, wire: Event) -> None:
    sound = speech(format)[-600:] + speech(format)[:4_200]
    async with hearing(house, format, wire) as peer:
        await peer.append(sound, chunk_bytes=1)
        assert await kept(peer) == sound


@pytest.mark.proves("C3-chunks", "C3-odd-byte")
@pytest.mark.parametrize("chunk_bytes", [320, 961, 4_801, 30_001, None])
async def test_turns_are_found_at_the_same_place_however_sound_is_cut(
    house: House, chunk_bytes: int | None
) -> None:
    async with house.session() as peer:
        await peer.append(silence(PCM_24K, 500) + speech(PCM_24K), chunk_bytes=chunk_bytes)
        started = await peer.expect("input_audio_buffer.speech_started")
        stopped = await peer.expect("input_audio_buffer.speech_stopped")
    assert 100 <= started["audio_start_ms"] <= 500
    assert stopped["audio_end_ms"] <= 500 + duration_ms(PCM_24K, speech(PCM_24K))
    assert stopped["audio_end_ms"] - started["audio_start_ms"] > 1_500


@pytest.mark.proves("C3-odd-byte", "B1-clear")
async def test_a_clear_forgets_half_a_sample_too(house: House) -> None:
    sound = speech(PCM_24K)
    async with hearing(house, PCM_24K, "pcm16") as peer:
        await peer.append(b"\x01\x02\x03")
        await peer.send("input_audio_buffer.clear")
        await peer.append(sound)
        assert await kept(peer) == sound


@pytest.mark.proves("C3-spellings")
@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("pcm16", {"type": "audio/pcm", "rate": 24000}),
        ("audio/pcm", {"type": "audio/pcm", "rate": 24000}),
        ({"type": "audio/pcm"}, {"type": "audio/pcm", "rate": 24000}),
        ("g711_ulaw", {"type": "audio/pcmu"}),
        ("audio/pcmu", {"type": "audio/pcmu"}),
        ("pcmu", {"type": "audio/pcmu"}),
        ({"type": "audio/pcmu", "rate": 8000}, {"type": "audio/pcmu"}),
        ("g711_alaw", {"type": "audio/pcma"}),
        ({"type": "audio/pcma"}, {"type": "audio/pcma"}),
        ("pcma", {"type": "audio/pcma"}),
    ],
)
async def test_a_format_has_many_spellings_and_one_echo(house: House, wanted: Any, shown: Event) -> None:
    async with house.session() as peer:
        audio = (await peer.update(audio={"input": {"format": wanted}, "output": {"format": wanted}}))["audio"]
    assert shown.items() <= audio["input"]["format"].items()
    assert shown.items() <= audio["output"]["format"].items()


@pytest.mark.proves("C3-spellings")
@pytest.mark.parametrize("name", ["pcm16", "g711_ulaw", "g711_alaw"])
async def test_the_beta_has_names_for_formats(house: House, name: str) -> None:
    beta = {**BEARER, "OpenAI-Beta": "realtime=v1"}
    async with house.session(dialect=Dialect.BETA, headers=beta) as peer:
        wanted = {"input_audio_format": name, "output_audio_format": name}
        await peer.send("session.update", session=wanted)
        assert wanted.items() <= (await peer.updated()).items()


@pytest.mark.proves("C3-ga-rate", "B1-update-atomic")
@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_pcm_of_another_rate_is_refused_in_ga(house: House, side: str, rate_hz: int) -> None:
    async with house.session() as peer:
        wanted = {"type": "realtime", "audio": {side: {"format": {"type": "audio/pcm", "rate": rate_hz}}}}
        error = await peer.refused("session.update", session=wanted)
        assert (error["code"], error["param"]) == ("invalid_value", f"session.audio.{side}.format.rate")


@pytest.mark.proves("C3-iw-rates")
@pytest.mark.parametrize("rate_hz", IW_RATES_HZ)
async def test_inworlds_connections_have_pcm_of_many_rates(house: House, rate_hz: int) -> None:
    format = AudioFormat(Encoding.PCM16, rate_hz)
    wire = {"type": "audio/pcm", "rate": rate_hz}
    sound = speech(format)[: 2 * rate_hz]
    async with hearing(house, format, wire, path=IW_PATH, dialect=Dialect.IW) as peer:
        assert peer.frames[-1]["session"]["audio"]["input"]["format"] == wire
        await peer.append(sound, chunk_bytes=4_801)
        assert await kept(peer) == sound
        spoken = await answer(peer)
    assert abs(len(spoken) - 2 * rate_hz * ANSWER_MS // 1000) <= 2 * rate_hz * 2 // 1000
    assert abs(loudest_hz(format, spoken) - TONE_HZ) < 5


@pytest.mark.proves("C3-iw-rates")
async def test_a_rate_nobody_has_is_refused(house: House) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        wanted = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 11_025}}}}
        error = await peer.refused("session.update", session=wanted)
    assert (error["code"], error["param"]) == ("invalid_value", "session.audio.input.format.rate")


@pytest.mark.proves("C3-float")
@pytest.mark.parametrize("wanted", ["float32", {"type": "audio/float32", "rate": 24000}])
async def test_floating_point_sound_is_refused_by_name(house: House, wanted: Any) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        error = await peer.refused("session.update", session={"audio": {"input": {"format": wanted}}})
    assert error["code"] == "invalid_value" and error["param"].startswith("session.audio.input.format")
    assert "float32" in error["message"]


@pytest.mark.proves("A1-delta-size")
@pytest.mark.parametrize(("format", "wire"), GA_FORMATS, ids=["pcm16", "pcmu", "pcma"])
async def test_a_long_piece_of_sound_is_told_in_short_deltas(format: AudioFormat, wire: Event) -> None:
    words = 20
    async with open_house(voice=OnePiece()) as house, hearing(house, format, wire) as peer:
        await peer.say("word " * words)
        await peer.send("response.create")
        events = await peer.answer()
    deltas = [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]
    assert max(len(base64.b64decode(delta)) for delta in deltas) <= MOST_DELTA_BYTES
    assert duration_ms(format, sound_of(events)) >= words * WORD_MS
