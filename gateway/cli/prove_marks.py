"""Marks in a caller's sound: which call speaks, and in which of its turns. Pure.

A gateway under proof has to show that it still knows every turn after a fault. So each turn says its own number, in
a way that a stand-in transcriber reads without understanding anything: some samples of the sound, ten times a
second, are not the speaker's. G.711 carries them unchanged, the ear of the turn detection does not mind them, and a
turn of which a fault has swallowed a part is still known by the rest.
"""

from __future__ import annotations

import audioop
import re
from dataclasses import dataclass
from typing import Final

from simulator.sound import SAMPLES_PER_MS, Sound

EVERY_MS: Final = 100

_MAGIC: Final = (0xA, 0x5, 0xC, 0x3, 0xF, 0x0)
_FIRST_BYTE: Final = 0xD0
"""The sixteen values of G.711 µ-law from here on: as loud as quiet speech, and all different after a way through
PCM16, which the two zeros are not."""

_HEAD: Final = bytes(_FIRST_BYTE | nibble for nibble in _MAGIC)
_CALL_NIBBLES, _TURN_NIBBLES, _CHECK_NIBBLES = 4, 2, 2
_MARK: Final = re.compile(re.escape(_HEAD) + rb"([\xd0-\xdf]{8})")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """The first call and the first turn have number 1."""

    call: int
    turn: int


def marked(sound: Sound, mark: Mark) -> Sound:
    """The sound with the mark in it, as often as fits."""
    pcm = bytearray(sound.pcm)
    samples = audioop.ulaw2lin(_written(mark), 2)
    step = EVERY_MS * SAMPLES_PER_MS * 2
    for at in range(0, len(pcm) - len(samples) + 1, step):
        pcm[at : at + len(samples)] = samples
    return Sound(sound.text, bytes(pcm))


def marks_in(law: bytes) -> tuple[Mark, ...]:
    """Every mark in G.711 µ-law, each once, in the order they are first heard."""
    found: dict[Mark, None] = {}
    for match in _MARK.finditer(law):
        values = [byte & 0x0F for byte in match[1]]
        call = _number(values[:_CALL_NIBBLES])
        turn = _number(values[_CALL_NIBBLES : _CALL_NIBBLES + _TURN_NIBBLES])
        if _number(values[-_CHECK_NIBBLES:]) == _check(call, turn):
            found[Mark(call, turn)] = None
    return tuple(found)


def _written(mark: Mark) -> bytes:
    nibbles = (
        *_nibbles(mark.call, _CALL_NIBBLES),
        *_nibbles(mark.turn, _TURN_NIBBLES),
        *_nibbles(_check(mark.call, mark.turn), _CHECK_NIBBLES),
    )
    return _HEAD + bytes(_FIRST_BYTE | nibble for nibble in nibbles)


def _check(call: int, turn: int) -> int:
    return (call * 31 + turn * 7 + 5) % 256


def _nibbles(number: int, count: int) -> list[int]:
    """The highest first. Raises `ValueError` for a number that has no room."""
    if not 0 <= number < 16**count:
        raise ValueError(f"a mark has room for numbers below {16**count}, not for {number}")
    return [number >> 4 * place & 0x0F for place in reversed(range(count))]


def _number(nibbles: list[int]) -> int:
    number = 0
    for nibble in nibbles:
        number = number << 4 | nibble
    return number
