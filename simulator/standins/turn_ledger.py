"""The ledger of the benchmark of turns: what the stand-ins were asked for, and what of it was of use.

Pure; times are seconds of a clock that is handed in. A turn is known by the first word of what was said in it. What
the gateway tells of itself is not asked: whether a request was a guess or a second one shows in its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

BESIDE_S = 0.1
"""Two requests for the same words that are both open for so long are a first and a second one. One that takes the
place of another comes as the other is cut off."""


@dataclass(slots=True)
class Asked:
    """One request to the model."""

    text: str
    """What the caller had said, as far as it was known."""
    at_s: float
    input_tokens: int
    output_tokens: int = 0
    """Made so far: billed, whoever has heard them."""
    is_done: bool = False
    cut_s: float | None = None
    """When its client left before the end."""

    @property
    def turn(self) -> str:
        return turn_of(self.text)


@dataclass(frozen=True, slots=True)
class Bill:
    """What all turns came to. Tokens are words."""

    input_tokens: int
    output_tokens: int
    wasted_input_tokens: int
    wasted_output_tokens: int
    requests: int
    guesses: int
    """Requests made before the turn was over."""
    kept: int
    """Guesses that became the answer."""
    abandoned: int
    second_requests: int
    """Made beside an open one."""
    second_transcripts: int
    split_turns: int
    """Times the gateway took a pause for the end of the turn."""


@dataclass(slots=True)
class TurnLedger:
    """See the module's docstring."""

    asked: list[Asked] = field(default_factory=list)
    ends: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    """Of each turn: what was said until the gateway asked for its words because it was over, and when that was."""

    def ended(self, text: str, at_s: float) -> None:
        """The transcriber was told that all was said."""
        if text:
            self.ends.setdefault(turn_of(text), []).append((text, at_s))

    def bill(self) -> Bill:
        """Of all that was asked."""
        turns: dict[str, list[Asked]] = {}
        for one in self.asked:
            turns.setdefault(one.turn, []).append(one)
        useful = [heard for turn, asked in turns.items() if (heard := self._useful(turn, asked)) is not None]
        guesses = [one for one in self.asked if self._is_guess(one)]
        kept = sum(any(_begun_with(guess, one) for one in useful) for guess in guesses)
        wasted = [one for one in self.asked if one not in useful]
        return Bill(
            input_tokens=sum(one.input_tokens for one in self.asked),
            output_tokens=sum(one.output_tokens for one in self.asked),
            wasted_input_tokens=sum(one.input_tokens for one in wasted),
            wasted_output_tokens=sum(one.output_tokens for one in wasted),
            requests=len(self.asked),
            guesses=len(guesses),
            kept=kept,
            abandoned=len(guesses) - kept,
            second_requests=sum(_is_second(one, asked) for asked in turns.values() for one in asked),
            second_transcripts=sum(len(ends) - _different(ends) for ends in self.ends.values()),
            split_turns=sum(_different(ends) - 1 for ends in self.ends.values()),
        )

    def _useful(self, turn: str, asked: Sequence[Asked]) -> Asked | None:
        """The request whose answer the caller has heard."""
        ends = self.ends.get(turn)
        if ends is None:
            return None
        text, _ = ends[-1]
        return next((one for one in asked if one.text == text and one.is_done), None)

    def _is_guess(self, one: Asked) -> bool:
        return not any(text == one.text and at_s <= one.at_s for text, at_s in self.ends.get(one.turn, ()))


def turn_of(text: str) -> str:
    return text.partition(" ")[0]


def _different(ends: Sequence[tuple[str, float]]) -> int:
    return len({text for text, _ in ends})


def _begun_with(guess: Asked, useful: Asked) -> bool:
    """Whether the answer that was heard is the guess's own, or that of a second request beside it."""
    return guess is useful or (guess.text == useful.text and _are_beside(guess, useful))


def _is_second(one: Asked, asked: Sequence[Asked]) -> bool:
    return any(_are_beside(first, one) for first in asked if first.text == one.text)


def _are_beside(first: Asked, second: Asked) -> bool:
    is_open = not first.is_done and (first.cut_s is None or first.cut_s > second.at_s + BESIDE_S)
    return first is not second and first.at_s < second.at_s and is_open


def bill_from(told: dict[str, Any]) -> Bill:
    """A bill that came as JSON."""
    return Bill(**told)
