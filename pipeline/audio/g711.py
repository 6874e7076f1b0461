"""G.711, the sound of the telephone: µ-law and A-law to PCM16 and back (ITU-T Recommendation G.711).

Every function takes whole samples and keeps no state. Nothing here knows of rates, frames or calls.
`audioop` is the standard library's below Python 3.13 and the `audioop-lts` wheel from there on; both give the
same bytes for every input.
"""

from __future__ import annotations

import audioop
from typing import Final, assert_never

import numpy as np
import numpy.typing as npt

from pipeline.audio.formats import Encoding

SAMPLE_BYTES: Final = 2
"""Of PCM16."""

_FULL_SCALE: Final = 32_768
"""PCM16 divided by this lies in -1 … 1."""


def ulaw_to_pcm16(audio: bytes) -> bytes:
    linear: bytes = audioop.ulaw2lin(audio, SAMPLE_BYTES)
    return linear


def alaw_to_pcm16(audio: bytes) -> bytes:
    linear: bytes = audioop.alaw2lin(audio, SAMPLE_BYTES)
    return linear


def pcm16_to_ulaw(audio: bytes) -> bytes:
    """For 508 negative inputs next to a decision value the code is the neighbour of the one in ITU-T G.191."""
    codes: bytes = audioop.lin2ulaw(audio, SAMPLE_BYTES)
    return codes


def pcm16_to_alaw(audio: bytes) -> bytes:
    codes: bytes = audioop.lin2alaw(audio, SAMPLE_BYTES)
    return codes


_ALL_CODES: Final = bytes(range(256))
_ULAW_TO_ALAW: Final = pcm16_to_alaw(ulaw_to_pcm16(_ALL_CODES))
_ALAW_TO_ULAW: Final = pcm16_to_ulaw(alaw_to_pcm16(_ALL_CODES))


def ulaw_to_alaw(audio: bytes) -> bytes:
    """One look-up a byte: about four times cheaper than by way of PCM16."""
    return audio.translate(_ULAW_TO_ALAW)


def alaw_to_ulaw(audio: bytes) -> bytes:
    return audio.translate(_ALAW_TO_ULAW)


def decode(audio: bytes, encoding: Encoding) -> bytes:
    """PCM16 of `audio`, at the same rate."""
    match encoding:
        case Encoding.PCM16:
            return audio
        case Encoding.ULAW:
            return ulaw_to_pcm16(audio)
        case Encoding.ALAW:
            return alaw_to_pcm16(audio)
        case _:
            assert_never(encoding)


def encode(pcm16: bytes, encoding: Encoding) -> bytes:
    """`pcm16` in `encoding`, at the same rate."""
    match encoding:
        case Encoding.PCM16:
            return pcm16
        case Encoding.ULAW:
            return pcm16_to_ulaw(pcm16)
        case Encoding.ALAW:
            return pcm16_to_alaw(pcm16)
        case _:
            assert_never(encoding)


def _float_table(linear: bytes) -> npt.NDArray[np.float32]:
    table = np.frombuffer(linear, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)
    table.setflags(write=False)
    return table


ULAW_TO_FLOAT: Final = _float_table(ulaw_to_pcm16(_ALL_CODES))
"""256 float32 in -1 … 1 by µ-law code: `ULAW_TO_FLOAT[codes]` decodes a whole batch of calls at once."""

ALAW_TO_FLOAT: Final = _float_table(alaw_to_pcm16(_ALL_CODES))
"""The same by A-law code."""
