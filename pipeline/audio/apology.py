"""What a caller hears when even the voice has failed: recordings, so that nobody ever hears nothing.

`make_apology.py` made them. Each is read and recoded once for each format.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.audio.transcode import transcode

APOLOGY_TEXT: Final = "I'm sorry, something went wrong on our side. Please try again in a moment."

APOLOGY_FILE: Final = Path(__file__).with_name("apology.ulaw")
"""8 kHz µ-law."""

ONE_MOMENT_TEXT: Final = "One moment, please."

ONE_MOMENT_FILE: Final = Path(__file__).with_name("one_moment.ulaw")
"""8 kHz µ-law."""


@cache
def apology(format: AudioFormat) -> bytes:
    """`APOLOGY_TEXT`, spoken, in `format`."""
    return transcode(APOLOGY_FILE.read_bytes(), PCMU, format)


@cache
def one_moment(format: AudioFormat) -> bytes:
    """`ONE_MOMENT_TEXT`, spoken, in `format`."""
    return transcode(ONE_MOMENT_FILE.read_bytes(), PCMU, format)
