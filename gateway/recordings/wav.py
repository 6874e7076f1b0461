"""The header of a recording: stereo RIFF/WAVE, in the line's own law or as PCM16. Pure.

Format tags and the `fact` chunk that every format but PCM has: Microsoft, "New Multimedia Data Types and Data
Techniques", 1994, WAVE format registration; the same in RFC 2361 (tags 0x0006 and 0x0007).
"""

from __future__ import annotations

import struct
from typing import Final, assert_never

from pipeline.audio.formats import Encoding

CHANNELS: Final = 2
LONGEST_BYTES: Final = 0xFFFF_FF00
"""Sizes are 32-bit. In G.711 that is three days of sound."""

_TAGS: Final = {1: Encoding.PCM16, 6: Encoding.ALAW, 7: Encoding.ULAW}
_TAG_AT: Final = 20
HEAD_BYTES: Final = 58
"""As much of a file tells everything `encoding_of` wants; no header is longer."""


def header(encoding: Encoding, rate_hz: int, samples: int) -> bytes:
    """What stands before `samples` of stereo sound."""
    match encoding:
        case Encoding.PCM16:
            tag, has_fact = 1, False
        case Encoding.ALAW:
            tag, has_fact = 6, True
        case Encoding.ULAW:
            tag, has_fact = 7, True
        case _:
            assert_never(encoding)
    frame = frame_bytes(encoding)
    form = struct.pack("<HHIIHH", tag, CHANNELS, rate_hz, rate_hz * frame, frame, 8 * encoding.bytes_per_sample)
    if has_fact:
        form += struct.pack("<H", 0)
    chunks = _chunk(b"fmt ", form)
    if has_fact:
        chunks += _chunk(b"fact", struct.pack("<I", samples))
    sound = min(samples * frame, LONGEST_BYTES)
    return (
        struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + 8 + sound, b"WAVE")
        + chunks
        + struct.pack("<4sI", b"data", sound)
    )


def header_bytes(encoding: Encoding) -> int:
    """How long the header is; the sound begins there."""
    return 44 if encoding is Encoding.PCM16 else HEAD_BYTES


def frame_bytes(encoding: Encoding) -> int:
    """One sample of both channels."""
    return CHANNELS * encoding.bytes_per_sample


def encoding_of(head: bytes) -> Encoding:
    """How a file of ours is written, by its first bytes. Raises `ValueError` for what is none."""
    if len(head) < header_bytes(Encoding.PCM16) or head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt ":
        raise ValueError("is no recording of ours: it does not begin as one")
    tag = int.from_bytes(head[_TAG_AT : _TAG_AT + 2], "little")
    if tag not in _TAGS:
        raise ValueError(f"is no recording of ours: WAVE format {tag} is not 1, 6 or 7")
    return _TAGS[tag]


def interleaved(caller: bytes, agent: bytes, width: int) -> bytes:
    """Stereo of two channels, equally long, with `width` bytes a sample; the caller is left."""
    mixed = bytearray(2 * len(caller))
    for index in range(width):
        mixed[index :: 2 * width] = caller[index::width]
        mixed[width + index :: 2 * width] = agent[index::width]
    return bytes(mixed)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body
