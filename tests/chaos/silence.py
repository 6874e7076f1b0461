"""What a caller hears while an answer is owed: how long nothing, and how much of something.

Pure: times are milliseconds of one call's sound clock. Who answered, and with what words, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulator.call_result import Utterance


@dataclass(frozen=True, slots=True)
class Waited:
    """One turn, from the end of the caller's speech on."""

    longest_ms: float
    """The longest silence while something was owed: before the first sound, and between two sounds."""
    heard_ms: float
    """Of sound, all together."""
    sounds: int
    """Utterances; a pause of 400 ms parts two."""


def waited(since_ms: float, until_ms: float, utterances: Iterable[Utterance], *, is_answered: bool) -> Waited:
    """From `since_ms`, when the caller stopped, to `until_ms`, when the caller spoke again or hung up.

    The silence behind the last sound counts only if the answer was not whole by then: it was still owed.
    """
    silent_since_ms, longest_ms, heard_ms, sounds = since_ms, 0.0, 0.0, 0
    for utterance in utterances:
        if utterance.end_ms <= since_ms or utterance.start_ms >= until_ms:
            continue
        start_ms, end_ms = max(utterance.start_ms, since_ms), min(utterance.end_ms, until_ms)
        longest_ms = max(longest_ms, start_ms - silent_since_ms)
        silent_since_ms = end_ms
        heard_ms += end_ms - start_ms
        sounds += 1
    if not is_answered:
        longest_ms = max(longest_ms, until_ms - silent_since_ms)
    return Waited(longest_ms, heard_ms, sounds)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all (0 to 1) do not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
