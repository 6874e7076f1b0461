"""Every pair of formats, in one piece and in many."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.audio.transcode import Transcoder, transcode

FORMATS = (PCMU, PCMA, PCM_8K, PCM_16K, PCM_24K)
formats = st.sampled_from(FORMATS)


def test_equal_formats_pass_untouched_even_half_samples() -> None:
    stream = Transcoder(PCM_16K, PCM_16K)
    assert stream.push(b"\x01\x02\x03") == b"\x01\x02\x03"
    assert stream.flush() == b""


def test_the_laws_meet_in_a_table() -> None:
    codes = bytes(range(256))
    assert transcode(codes, PCMU, PCMA) == g711.ulaw_to_alaw(codes)
    assert transcode(codes, PCMA, PCMU) == g711.alaw_to_ulaw(codes)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(FORMATS, FORMATS)))
def test_a_tone_stays_a_tone(source: AudioFormat, target: AudioFormat) -> None:
    at = np.arange(4_000) / 8_000
    pcm16 = np.rint(12_000 * np.sin(2 * np.pi * 500 * at)).astype("<i2").tobytes()
    there = transcode(transcode(pcm16, PCM_8K, source), source, target)
    back = np.frombuffer(transcode(there, target, PCM_8K), "<i2").astype(float)
    noise = back[400:3_600] - np.frombuffer(pcm16, "<i2")[400:3_600]
    assert len(back) == 4_000
    assert np.sqrt((noise**2).mean()) < 0.03 * 12_000 / math.sqrt(2)  # the laws themselves: -36 dB, 1.5 %


@given(formats, formats, st.binary(max_size=1_000), st.integers(1, 400))
def test_how_sound_is_cut_changes_nothing(
    source: AudioFormat, target: AudioFormat, sound: bytes, size: int
) -> None:
    stream = Transcoder(source, target)
    pieces = [stream.push(sound[at : at + size]) for at in range(0, len(sound), size)]
    assert len(b"".join(pieces) + stream.flush()) == len(transcode(sound, source, target))
    if source.rate_hz == target.rate_hz:
        assert b"".join(pieces) == transcode(sound, source, target)


def test_after_a_flush_half_a_sample_is_forgotten() -> None:
    stream = Transcoder(PCM_8K, PCMU)
    assert stream.push(b"\x01") == b""
    assert stream.flush() == b""
    assert stream.push(b"\x00\x00") == b"\xff"
