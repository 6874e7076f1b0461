"""What the callers of a benchmark of turns say: shipped clips with subtitles, some with a pause in the middle.

Pure, and the same for the same seed: so two runs can be compared turn by turn.
"""

from __future__ import annotations

import random
from base64 import b64encode
from dataclasses import dataclass

import numpy as np

from simulator.noise import ComfortNoise
from simulator.sound import RATE_HZ, Codec, Sound
from simulator.subtitles import subtitled

FRAME_BYTES = 160
SHORTEST_WORDS = 4
"""Clips of fewer words have no middle to pause in."""

PAUSES_MS = (250, 400)
"""Of people who look for a word: shorter than the silence that ends a turn, longer than an early guess waits."""

NOISE_S = 2


@dataclass(frozen=True, slots=True)
class Turns:
    """Which turns there are."""

    calls: int
    turns: int
    """Of each call."""
    pause_share: float
    """Of turns with a pause in the middle."""
    seed: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn of one caller. `payloads` are base64 of 20 ms each, ready to be sent; the last ends the speech."""

    number: int
    text: str
    payloads: tuple[str, ...]
    has_pause: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """`calls` has the turns of each caller in order; `noise` is what is on their lines in between."""

    calls: tuple[tuple[Spoken, ...], ...]
    noise: tuple[str, ...]


def plan_of(turns: Turns, clips: list[Sound], *, noise_dbfs: float) -> Plan:
    """All that will be said."""
    noise = ComfortNoise(noise_dbfs, np.random.default_rng(turns.seed))
    calls = tuple(
        tuple(_spoken(turns, call, turn, clips, noise) for turn in range(turns.turns))
        for call in range(turns.calls)
    )
    return Plan(calls, _payloads(Codec.PCMU.encode(noise.under(bytes(2 * RATE_HZ * NOISE_S)))))


def texts_of(turns: Turns, clips: list[Sound]) -> dict[int, str]:
    """The words of each turn by its number. The first names the turn, so that no two are the same."""
    return {
        _number(turns, call, turn): _text(turns, call, turn, clips)
        for call in range(turns.calls)
        for turn in range(turns.turns)
    }


def _spoken(turns: Turns, call: int, turn: int, clips: list[Sound], noise: ComfortNoise) -> Spoken:
    number, text = _number(turns, call, turn), _text(turns, call, turn, clips)
    draws = random.Random(f"{turns.seed}/pause/{number}")
    has_pause = draws.random() < turns.pause_share
    pause_bytes = RATE_HZ * draws.randint(*PAUSES_MS) // 1000 if has_pause else 0
    law = Codec.PCMU.encode(noise.under(_clip(turns, call, turn, clips).pcm))
    count = len(text.split())
    ends = [len(law) * said // count for said in range(1, count + 1)]
    middle = ends[count // 2 - 1]
    pause = Codec.PCMU.encode(noise.under(bytes(2 * pause_bytes)))
    ends = [end if end <= middle else end + pause_bytes for end in ends]
    sound = subtitled(law[:middle] + pause + law[middle:], number, ends)
    # Filled up in front, so that the speech ends where its last frame does.
    before = Codec.PCMU.encode(noise.under(bytes(2 * (-len(sound) % FRAME_BYTES))))
    return Spoken(number, text, _payloads(before + sound), has_pause)


def _number(turns: Turns, call: int, turn: int) -> int:
    return call * turns.turns + turn


def _clip(turns: Turns, call: int, turn: int, clips: list[Sound]) -> Sound:
    return random.Random(f"{turns.seed}/clip/{_number(turns, call, turn)}").choice(clips)


def _text(turns: Turns, call: int, turn: int, clips: list[Sound]) -> str:
    return f"c{call}t{turn} {_clip(turns, call, turn, clips).text}"


def _payloads(law: bytes) -> tuple[str, ...]:
    return tuple(b64encode(law[at : at + FRAME_BYTES]).decode() for at in range(0, len(law), FRAME_BYTES))
