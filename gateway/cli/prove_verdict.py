"""What a row of the proof has shown, and whether that is what was promised. Pure.

A row has promises. Some are musts: if one is broken the proof has failed. The others are what we reach for; whether
they are reached is said either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cli.prove_report import Report
from gateway.cli.prove_witness import Told

HISTORY_PERCENT: Final = 99.0
MOVE_MS: Final = 250.0
KILL_MS: Final = 500.0
"""On loopback."""

NOTICED_MS: Final = 100.0
"""A hole within a word or a sentence that a caller notices; shorter ones a network makes every day."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised, with what was measured in its words, and whether it was kept."""

    words: str
    is_kept: bool
    is_must: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """Of all the prompts after a fault: how many of the turns before it the model was told of."""

    kept: int
    turns: int

    @property
    def percent(self) -> float | None:
        """None of nothing."""
        return 100 * self.kept / self.turns if self.turns else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row."""

    name: str
    fault: str
    """For people."""
    calls: int
    hit: int
    """Calls the fault was felt in."""
    lost: int
    silences_ms: tuple[float, ...] = ()
    """Of each break that a caller heard."""
    history: History | None = None
    """None: not measured."""
    swallowed: int = 0
    """Turns that were being spoken into the fault, and that nobody ever heard."""
    promises: tuple[Promise, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        return any(promise.is_must and not promise.is_kept for promise in self.promises)

    @property
    def is_reached(self) -> bool:
        return all(promise.is_kept for promise in self.promises)


def history_of(told: Iterable[Told], since_s: float) -> History:
    """What a model was once told of, it has to be told of ever after: of prompts from `since_s` on."""
    known: dict[int, set[int]] = {}
    kept = turns = 0
    for one in sorted(told, key=lambda told: told.at_s):
        before = known.setdefault(one.call, set())
        if one.at_s >= since_s:
            turns += len(before)
            kept += len(before & set(one.turns))
        before |= set(one.turns)
    return History(kept, turns)


def swallowed_of(told: Iterable[Told], reports: Iterable[Report]) -> int:
    """Turns that were said and that no model was ever told of."""
    known: dict[int, set[int]] = {}
    for one in told:
        known.setdefault(one.call, set()).update(one.turns)
    return sum(max(0, report.turns - len(known.get(report.number, ()))) for report in reports)


def hit_of(reports: Iterable[Report]) -> int:
    return sum(bool(report.breaks) for report in reports)


def lost_of(reports: Iterable[Report]) -> int:
    return sum(report.is_lost for report in reports)


def silences_of(reports: Iterable[Report], fault_s: float | None = None) -> tuple[float, ...]:
    """How long each break left the caller alone, in ms.

    With `fault_s`, the silence begins with the fault: the stream may have stood open for a while, and mute.
    """
    found = []
    for report in reports:
        for at, one in enumerate(report.breaks):
            silence_ms = one.silence_ms
            if silence_ms is None:
                continue
            if fault_s is not None and at == 0:
                # What was sent ahead may still have been heard after the fault.
                muted_s = max(fault_s, one.spoke_until_s or 0.0)
                opened_s = one.at_s + (one.gap_ms or 0.0) / 1000
                again_s = one.spoke_again_s if one.was_speaking and one.spoke_again_s else opened_s
                silence_ms = max(silence_ms, (again_s - muted_s) * 1000)
            found.append(silence_ms)
    return tuple(found)


def affected_of(reports: Iterable[Report]) -> int:
    """Calls in which anything at all was felt: a break, a hole, or a turn without an answer."""
    return sum(
        bool(report.breaks or report.unanswered or report.impatient or report.longest_underrun_ms >= NOTICED_MS)
        for report in reports
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The value that so many percent do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def none_lost(lost: int) -> Promise:
    return Promise(f"{lost} calls lost", lost == 0, is_must=True)


def history_kept(history: History) -> Promise:
    """Nothing to remember is not kept: the row was too short."""
    percent = history.percent
    words = "no turn to remember" if percent is None else f"{percent:.1f} % of turns remembered"
    return Promise(words, percent is not None and percent >= HISTORY_PERCENT, is_must=True)


def silent_for(silences_ms: Sequence[float], percent: float, limit_ms: float) -> Promise:
    """Nobody was silent: kept as well."""
    value = percentile(silences_ms, percent)
    name = "longest" if percent == 100 else f"p{percent:g}"
    shown = "none" if value is None else f"{value:.0f} ms"
    return Promise(f"silence {name} {shown}, at most {limit_ms:g}", value is None or value <= limit_ms)


def at_most(what: str, value: float | None, limit: float, unit: str) -> Promise:
    """Of what was measured; what was not is not kept."""
    if value is None:
        return Promise(f"{what}: not measured", False)
    return Promise(f"{what} {value:.4g} {unit}, at most {limit:g}", value <= limit)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Of the straight line that lies nearest; None of fewer than two places."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count if count else 0.0
    mean_y = sum(y for _, y in points) / count if count else 0.0
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        return None
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def complaints_of(reports: Iterable[Report]) -> Mapping[str, int]:
    """What Twilio would have written into its debugger, and how often."""
    counts: dict[str, int] = {}
    for report in reports:
        for complaint in report.complaints:
            counts[complaint[:5]] = counts.get(complaint[:5], 0) + 1
    return counts
