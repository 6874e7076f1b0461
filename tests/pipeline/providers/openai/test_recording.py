from __future__ import annotations

import io
import wave

import pytest

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, AudioFormat
from pipeline.providers.openai.recording import SHORTEST_MS, SILENCE_LEVEL, is_worth_hearing, wav_of
from simulator.standins.tone import hum


@pytest.mark.parametrize("format", [PCM_8K, PCM_16K, PCM_24K])
def test_a_recording_is_a_file_that_others_read(format: AudioFormat) -> None:
    sound = hum(2, format.rate_hz)
    with wave.open(io.BytesIO(wav_of(sound, format))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, format.rate_hz)
        assert file.readframes(file.getnframes()) == sound


def test_what_is_too_short_is_not_worth_hearing() -> None:
    sound = hum(1, 16_000)
    enough = PCM_16K.bytes_in(SHORTEST_MS)
    assert not is_worth_hearing(b"", PCM_16K)
    assert not is_worth_hearing(sound[: enough - 2], PCM_16K)
    assert is_worth_hearing(sound[:enough], PCM_16K)


@pytest.mark.parametrize(
    ("level", "is_heard"), [(SILENCE_LEVEL, False), (-SILENCE_LEVEL, False), (SILENCE_LEVEL + 1, True), (-33, True)]
)
def test_silence_is_not_worth_hearing(level: int, is_heard: bool) -> None:
    sound = bytes(8_000) + level.to_bytes(2, "little", signed=True) + bytes(8_000)
    assert is_worth_hearing(sound, PCM_8K) is is_heard


def test_half_a_sample_at_the_end_does_no_harm() -> None:
    assert is_worth_hearing(hum(1, 8_000) + b"\x01", PCM_8K)
