"""What a caller says in protocol tests: a shipped clip of real speech, and silence, in any format of the wire."""

from __future__ import annotations

import math
from functools import cache

from pipeline.audio.formats import AudioFormat, Encoding
from simulator.sound import Codec, pcm_of, resample, samples_of
from tests.calls.support import clip

CLIP = "opening-hours"
AFTER_MS = 900
"""Of silence behind speech: more than turn detection's usual 500."""


@cache
def speech(format: AudioFormat) -> bytes:
    """The clip, spoken once, and the silence that ends a turn."""
    return voice(format) + silence(format, AFTER_MS)


@cache
def voice(format: AudioFormat) -> bytes:
    """The clip alone."""
    return _encoded(clip(CLIP).pcm, format)


@cache
def silence(format: AudioFormat, ms: int) -> bytes:
    return _encoded(bytes(ms * 16), format)


def duration_ms(format: AudioFormat, audio: bytes) -> int:
    return math.floor(format.seconds_of(audio) * 1000)


def _encoded(pcm_8k: bytes, format: AudioFormat) -> bytes:
    if format.encoding is Encoding.PCM16:
        return pcm_of(resample(samples_of(pcm_8k) / 32768, 8_000, format.rate_hz))
    return (Codec.PCMU if format.encoding is Encoding.ULAW else Codec.PCMA).encode(pcm_8k)
