"""Silence in front of an answer, in every encoding, however it is cut into pieces."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.audio.leading_silence import KEPT_MS, MOST_MS, SILENCE_LEVEL, LeadingSilence

FORMATS = (PCMU, PCMA, PCM_8K, PCM_24K)


def quiet(ms: int, format: AudioFormat) -> bytes:
    """Not digital silence: half the level."""
    return _level(SILENCE_LEVEL // 2, ms, format)


def loud(ms: int, format: AudioFormat) -> bytes:
    return _level(SILENCE_LEVEL * 20, ms, format)


def _level(level: int, ms: int, format: AudioFormat) -> bytes:
    return g711.encode(struct.pack("<h", level) * (ms * format.rate_hz // 1000), format.encoding)


@pytest.mark.parametrize("format", FORMATS)
def test_silence_in_front_goes_but_for_what_a_soft_consonant_needs(format: AudioFormat) -> None:
    silence = LeadingSilence(format)

    played = silence.push(quiet(150, format) + loud(100, format)) + silence.push(quiet(200, format))

    assert played == quiet(KEPT_MS, format) + loud(100, format) + quiet(200, format)
    assert silence.dropped_ms == 150 - KEPT_MS


@pytest.mark.parametrize("format", FORMATS)
def test_a_pause_that_somebody_meant_stays_a_pause(format: AudioFormat) -> None:
    silence = LeadingSilence(format)

    played = silence.push(quiet(1_000, format)) + silence.push(loud(40, format))

    assert played == quiet(1_000 - MOST_MS, format) + loud(40, format)
    assert silence.dropped_ms == MOST_MS


def test_sound_from_the_first_sample_on_is_not_touched() -> None:
    silence = LeadingSilence(PCMU)

    assert silence.push(loud(100, PCMU)) == loud(100, PCMU)
    assert silence.dropped_ms == 0


def test_less_silence_than_is_kept_is_not_touched() -> None:
    silence = LeadingSilence(PCM_8K)

    assert silence.push(quiet(KEPT_MS, PCM_8K) + loud(20, PCM_8K)) == quiet(KEPT_MS, PCM_8K) + loud(20, PCM_8K)


def test_an_answer_without_sound_comes_out_at_its_end_whole() -> None:
    silence = LeadingSilence(PCM_24K)

    assert silence.push(quiet(100, PCM_24K)) == b""
    assert silence.flush() == quiet(100, PCM_24K)
    assert silence.flush() == b""
    assert silence.dropped_ms == 0


def test_a_wish_to_keep_all_of_it_is_respected() -> None:
    silence = LeadingSilence(PCMU, most_ms=0)

    played = silence.push(quiet(5, PCMU)) + silence.push(quiet(100, PCMU)) + silence.push(loud(20, PCMU))

    assert played == quiet(105, PCMU) + loud(20, PCMU)
    assert silence.dropped_ms == 0


@given(
    silent_ms=st.integers(0, 600),
    cuts=st.lists(st.integers(1, 700), max_size=8),
    format=st.sampled_from(FORMATS),
)
def test_how_the_sound_is_cut_changes_nothing(silent_ms: int, cuts: list[int], format: AudioFormat) -> None:
    whole = quiet(silent_ms, format) + loud(50, format) + quiet(400, format)
    at_once = LeadingSilence(format)
    expected = at_once.push(whole) + at_once.flush()

    piecewise, played = LeadingSilence(format), b""
    places = [0, *sorted(min(format.bytes_in(ms), len(whole)) for ms in cuts), len(whole)]
    for start, end in zip(places, places[1:], strict=False):
        played += piecewise.push(whole[start:end])
    played += piecewise.flush()

    assert played == expected
    assert piecewise.dropped_ms == at_once.dropped_ms <= MOST_MS
