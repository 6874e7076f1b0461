"""One utterance as a WAV file (RIFF, Microsoft "Multimedia Programming Interface", 1991). Pure."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from pipeline.audio.formats import AudioFormat

SHORTEST_MS: Final = 100
"""OpenAI refuses shorter recordings; nothing that short is a word."""

LONGEST_MS: Final = 300_000
"""Nobody speaks for five minutes without a pause. At 24 kHz it is 14 MB; OpenAI takes 25."""

SILENCE_LEVEL: Final = 32
"""Of 32,768: -60 dB. What is never louder is a line's own noise, in which recognisers hear words nobody said."""

_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM: Final = 1
_FORMAT_BYTES: Final = 16


def is_worth_hearing(audio: bytes, format: AudioFormat) -> bool:
    """PCM16 that is long and loud enough to be speech."""
    if len(audio) < format.bytes_in(SHORTEST_MS):
        return False
    samples = np.frombuffer(audio, dtype="<i2", count=format.samples_in(audio))
    return bool(samples.max() > SILENCE_LEVEL or samples.min() < -SILENCE_LEVEL)


def wav_of(audio: bytes, format: AudioFormat) -> bytes:
    """A file of mono PCM16."""
    sample_bytes = format.encoding.bytes_per_sample
    header = _HEADER.pack(
        b"RIFF",
        _HEADER.size - 8 + len(audio),
        b"WAVE",
        b"fmt ",
        _FORMAT_BYTES,
        _PCM,
        1,  # channel
        format.rate_hz,
        format.bytes_per_second,
        sample_bytes,
        sample_bytes * 8,
        b"data",
        len(audio),
    )
    return header + audio
