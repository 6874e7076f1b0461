"""Subtitles within the sound: which utterance this is, and how many of its words have been said by now.

A stand-in that understands nothing understands sound that carries them: partial words while the caller speaks, and
the whole sentence at its end. They are ten samples each, in µ-law, so they survive where nothing transcodes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAGIC: Final = b"\xc1\x4e\xc2\x4d"
"""Of middling loudness, and far too jagged for a voice of 8,000 samples a second."""

NIBBLE: Final = 0xC0
"""Four bits stand in the mantissa of a sample of the same loudness."""

SUBTITLE_BYTES: Final = len(MAGIC) + 6
MOST_UTTERANCES: Final = 1 << 16
MOST_WORDS: Final = (1 << 8) - 1


def subtitle(utterance: int, words: int) -> bytes:
    """So many words of this utterance have been said."""
    assert utterance < MOST_UTTERANCES and words <= MOST_WORDS, "there is no room for more"
    digits = f"{utterance:04x}{words:02x}"
    return MAGIC + bytes(NIBBLE | int(digit, 16) for digit in digits)


def subtitled(law: bytes, utterance: int, word_ends: Sequence[int]) -> bytes:
    """The sound with a subtitle at the end of each word; `word_ends` are positions in it, behind the subtitle."""
    sound = bytearray(law)
    for said, end in enumerate(word_ends, start=1):
        sound[end - SUBTITLE_BYTES : end] = subtitle(utterance, said)
    return bytes(sound)


class SubtitleReader:
    """Reads the subtitles of one stream of sound, in pieces of any length."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, law: bytes) -> list[tuple[int, int]]:
        """Each subtitle that this piece completes: utterance, and words said."""
        sound, found, at = self._rest + law, [], 0
        while (at := sound.find(MAGIC, at)) >= 0 and at + SUBTITLE_BYTES <= len(sound):
            digits = sound[at + len(MAGIC) : at + SUBTITLE_BYTES]
            at += SUBTITLE_BYTES
            if all(digit & 0xF0 == NIBBLE for digit in digits):
                number = int("".join(f"{digit & 0x0F:x}" for digit in digits), 16)
                found.append((number >> 8, number & 0xFF))
        # A subtitle may go on in the next piece; what was read is not read again.
        keep = len(sound) - at if at >= 0 else SUBTITLE_BYTES - 1
        self._rest = sound[-min(keep, SUBTITLE_BYTES - 1) :] if keep else b""
        return found
