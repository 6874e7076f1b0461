"""An ear's bytes: windows with their context, positions, and what happens when nobody takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.audio.g711 import alaw_to_pcm16, ulaw_to_pcm16
from pipeline.reports import SpeechScored
from pipeline.turn.ear import MOST_WAITING_S, Ear


def ear_of(format: AudioFormat, heard: list[SpeechScored] | None = None) -> Ear:
    return Ear(format, (heard if heard is not None else []).append, SimpleQueue())


@given(st.lists(st.binary(max_size=700), max_size=12))
def test_windows_are_the_sound_in_order_each_after_its_context(pieces: list[bytes]) -> None:
    ear, rows = ear_of(PCMU), []
    for piece in pieces:
        ear.hear(piece)
        ear.take()
        while ear.unheard_bytes >= ear.reading.window_bytes:
            rows.append(bytes(ear.window()))
    sound = b"".join(pieces)
    before = b"\xff" * 32 + sound
    whole = len(sound) // 256
    assert rows == [before[row * 256 : row * 256 + 288] for row in range(whole)]


@pytest.mark.parametrize(
    ("format", "decode"),
    [(PCMU, ulaw_to_pcm16), (PCMA, alaw_to_pcm16), (PCM_8K, lambda audio: audio), (PCM_16K, lambda audio: audio)],
)
def test_rows_are_the_decoded_sound(format: AudioFormat, decode: Callable[[bytes], bytes]) -> None:
    audio = bytes(range(256)) * format.encoding.bytes_per_sample
    expected = np.frombuffer(decode(audio), dtype="<i2") / 32_768
    rows = ear_of(format).reading.rows([bytearray(audio), bytearray(audio)])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [expected, expected], atol=1e-7)


def test_half_a_sample_waits_for_its_other_half() -> None:
    ear = ear_of(PCM_8K)
    ear.hear(b"\x01\x02\x03")
    ear.take()
    assert ear.newest(4) == bytearray(b"\x00\x00\x01\x02")
    assert ear.look() == 1
    ear.hear(b"\x04")
    ear.take()
    assert ear.newest(4) == bytearray(b"\x01\x02\x03\x04")


def test_a_look_needs_something_new() -> None:
    ear, found = ear_of(PCMU), []
    for samples in (0, 31, 1, 0, 32):
        ear.hear(bytes(samples))
        ear.take()
        found.append(ear.is_worth_a_look)
        if found[-1]:
            ear.look()
    assert found == [False, False, True, False, True]
    ear.hear(bytes(256))
    ear.take()
    ear.window()
    assert ear.is_worth_a_look


def test_an_ear_queues_once_until_it_is_taken() -> None:
    queue: SimpleQueue[Ear | None] = SimpleQueue()
    ear = Ear(PCMU, lambda score: None, queue)
    ear.hear(bytes(160))
    ear.hear(bytes(160))
    assert queue.qsize() == 1
    ear.take()
    ear.hear(bytes(160))
    assert queue.qsize() == 2


def test_positions_are_told_in_the_samples_of_the_calls_own_format() -> None:
    told: list[SpeechScored] = []
    ear_of(PCMU, told).tell(512, 0.5, 256)
    ear_of(PCM_24K, told).tell(512, 0.5, 256)
    assert told == [SpeechScored(512, 0.5, 256), SpeechScored(1_536, 0.5, 768)]


def test_24_khz_becomes_windows_of_8_khz() -> None:
    ear = ear_of(PCM_24K)
    ear.hear(np.arange(0, 3 * 4_096, 1, dtype="<i2").tobytes())
    ear.take()
    assert (ear.reading.model_hz, ear.reading.window_samples) == (8_000, 256)
    (row,) = ear.reading.rows([ear.window()])
    context = row.size - 256
    assert row[:context].tolist() == [0.0] * context
    assert row[context : context + 3] * 32_768 == pytest.approx([1, 4, 7]), "the mean of three"


def test_a_rate_that_does_not_divide_is_resampled() -> None:
    ear = ear_of(AudioFormat(Encoding.PCM16, 44_100))
    ear.hear(bytes(88_200))
    ear.take()
    assert ear.reading.model_hz == 8_000
    assert 16_000 - 100 < ear.unheard_bytes <= 16_000  # the resampler holds back about 1 ms


def test_g711_at_another_rate_than_8_khz_is_refused() -> None:
    with pytest.raises(ValueError, match="G.711 sound has 8000 Hz, got 16000 with ulaw"):
        ear_of(AudioFormat(Encoding.ULAW, 16_000))


def test_sound_beyond_what_may_wait_is_counted_and_its_place_is_kept() -> None:
    ear = ear_of(PCMU)
    most = int(MOST_WAITING_S * 8_000)
    ear.hear(bytes(most))
    ear.hear(bytes(160))
    ear.hear(bytes(160))
    assert ear.take() == most + 320
    assert ear.unheard_bytes == 0
    ear.hear(b"\x01" * 256)
    assert ear.take() == 0
    assert ear.window() == bytearray(b"\xff" * 32 + b"\x01" * 256)


def test_all_but_the_newest_window_can_be_dropped() -> None:
    ear = ear_of(PCM_16K)
    ear.hear(b"".join(bytes([row]) * 1_024 for row in range(4)) + b"\x09\x09")
    ear.take()
    assert ear.drop_all_but_newest() == 3 * 512
    assert ear.window() == bytearray(b"\x02" * 128 + b"\x03" * 1_024)
    assert ear.unheard_bytes == 2


def test_a_closed_ear_tells_nothing_and_asks_once_to_be_released() -> None:
    queue: SimpleQueue[Ear | None] = SimpleQueue()
    told: list[SpeechScored] = []
    ear = Ear(PCMU, told.append, queue)
    ear.close()
    ear.close()
    ear.tell(256, 0.5, 0)
    assert told == []
    assert queue.qsize() == 1


def test_a_call_that_fails_to_take_its_score_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(score: SpeechScored) -> None:
        raise KeyError(score.end)

    with caplog.at_level(logging.ERROR):
        Ear(PCMU, refuse, SimpleQueue()).tell(256, 0.5, 0)
    assert "did not take its speech score" in caplog.text
