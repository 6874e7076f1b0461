"""The fault matrix: provider by fault, in whole telephone calls, judged by what the caller hears.

    python -m tests.chaos.matrix --faults 240

prints a line for each provider and fault. The rules: silence while something is owed never exceeds 2.5 s, no call
is lost, and no tool does its work twice.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.call_result import EndReason
from simulator.standins.fault import Fault
from tests.chaos import houses
from tests.chaos.cells import Cell, Part, drawn
from tests.chaos.dialogue import ANSWERS, CANNOT, Moment
from tests.chaos.houses import APOLOGY, Seen
from tests.chaos.silence import Waited, percentile, waited

LONGEST_SILENCE_MS: Final = 2_500

MACHINE_MS: Final = 150
"""Added to it for the machine these calls share with all others of the run: gateways, providers and callers take
turns on one event loop. What it was in a run is printed."""

WORD_MS: Final = 200
"""Of the stand-ins' voices."""

LEAST_FILLER_MS: Final = 400
"""Shorter than any filler, so that what is left of the sound was the answer's."""

AT_ONCE: Final = 16
"""Calls; more would be late because of each other."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of one call, as judged."""

    moment: Moment
    injected: int
    """Requests that had the fault."""
    is_answered: bool
    has_apology: bool
    fillers: int
    waited: Waited
    whole_after_ms: float
    """From the end of the caller's speech to the last sound."""


@dataclass(frozen=True, slots=True)
class Verdict:
    cell: Cell
    turns: tuple[Turn, ...]
    end_reason: EndReason
    side_effects: int

    @property
    def injected(self) -> int:
        """Turns that a fault has struck."""
        return sum(turn.injected > 0 for turn in self.turns)

    @property
    def longest_ms(self) -> float:
        return max((turn.waited.longest_ms for turn in self.turns), default=0.0)

    @property
    def is_lost(self) -> bool:
        """It ended by itself, or did not go on once nothing was wrong any more. A fault of the last turn is one
        that a connection has kept from the turn before."""
        if self.end_reason is not EndReason.CALLER_HUNG_UP or not self.turns:
            return True
        last = self.turns[-1]
        return not (last.is_answered or (last.injected and last.has_apology))

    @property
    def duplicates(self) -> int:
        return max(0, self.side_effects - 1)

    @property
    def faults(self) -> list[str]:
        """All that is not as it should be."""
        return self.faults_on(MACHINE_MS)

    def faults_on(self, machine_ms: float) -> list[str]:
        """The same, on a machine that is late by so much."""
        found = [f"lost: {self.end_reason.value}"] if self.is_lost else []
        if self.duplicates:
            found.append(f"the tool ran {self.side_effects} times")
        if not self.injected:
            found.append("no fault was taken")
        for turn in self.turns:
            if turn.waited.longest_ms > LONGEST_SILENCE_MS + machine_ms:
                found.append(f"{turn.moment}: silent for {turn.waited.longest_ms:.0f} ms")
            if not (turn.is_answered or turn.has_apology):
                found.append(f"{turn.moment}: neither answer nor apology")
            elif not turn.is_answered and (self.cell.is_spared or not turn.injected):
                if not (self.cell.part is Part.REALTIME and turn.injected):
                    found.append(f"{turn.moment}: an apology where there is another provider")
        return found


def judge(seen: Seen) -> Verdict:
    """What the caller heard, and what the house knows of it."""
    speaks = [one.at_s for one in seen.result.happenings if one.name == "caller.speaks"]
    ends_ms = [*(turn.caller_started_ms for turn in seen.result.turns[1:]), len(seen.result.agent_sound) / 8]
    turns = []
    for number, turn in enumerate(seen.result.turns):
        until_ms = ends_ms[number]
        moment = seen.cell.turns[number]
        until_s = speaks[number + 1] if number + 1 < len(speaks) else float("inf")
        told = [one for one in seen.journal if speaks[number] <= one["at_s"] < until_s]
        turns.append(_judge_turn(seen, moment, turn.caller_stopped_ms, until_ms, told))
    return Verdict(seen.cell, tuple(turns), seen.result.end_reason, seen.side_effects)


def _judge_turn(
    seen: Seen, moment: Moment, since_ms: float, until_ms: float, told: Sequence[dict[str, Any]]
) -> Turn:
    said = " ".join(one["text"] for one in told if one["event"] == "transcript.done" and one["speaker"] == "agent")
    fillers = sum(one["event"] == "filler" for one in told)
    utterances = seen.result.agent_utterances
    sound_ms = waited(since_ms, until_ms, utterances, is_answered=True).heard_ms - fillers * LEAST_FILLER_MS
    is_answered = any(_is_heard(text, said, sound_ms) for text in (ANSWERS[moment], CANNOT))
    has_apology = APOLOGY in said
    whole = [one.end_ms for one in utterances if since_ms < one.end_ms <= until_ms]
    return Turn(
        moment,
        seen.injected.get(moment, 0),
        is_answered,
        has_apology,
        fillers,
        waited(since_ms, until_ms, utterances, is_answered=is_answered or has_apology),
        (max(whole) - since_ms) if whole else 0.0,
    )


def _is_heard(text: str, said: str, sound_ms: float) -> bool:
    """It was told, and sounded for as long as its words take, but for the tail that a telephone may clip."""
    told = " ".join(said.split())
    return text in told and sound_ms >= 0.9 * len(text.split()) * WORD_MS


async def play(cells: Sequence[Cell], *, at_once: int = AT_ONCE, tell: Callable[[Verdict], None]) -> list[Verdict]:
    """All of these calls, some at once; `tell` is told of each when it is over."""
    places = asyncio.Semaphore(at_once)

    async def one(cell: Cell) -> Verdict:
        async with places:
            verdict = judge(await houses.run(cell))
            tell(verdict)
            return verdict

    light = [cell for cell in cells if cell.fault is not Fault.BIG_CHUNK]
    heavy = [cell for cell in cells if cell.fault is Fault.BIG_CHUNK]
    # Ten megabytes of JSON are a pause for everybody on this event loop: these calls come after the others.
    tasks: list[asyncio.Task[Verdict]] = []
    for some in (light, heavy):
        async with asyncio.TaskGroup() as calls:
            tasks += [calls.create_task(one(cell)) for cell in some]
    return [task.result() for task in tasks]


def table(verdicts: Iterable[Verdict]) -> str:
    """A line for each provider and fault; the last two are all of them and how silence was distributed."""
    rows: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        cell = verdict.cell
        behind = "" if cell.part is Part.TOOL else " +spare" if cell.is_spared else " alone"
        rows.setdefault((f"{cell.part} {cell.provider}{behind}", cell.fault), []).append(verdict)
    head = ("provider", "fault", "faults", "calls", "longest ms", "lost", "dup", "apologies", "fillers")
    layout = "{:<30} {:<11} {:>6} {:>6} {:>10} {:>5} {:>4} {:>9} {:>8}"
    lines = [layout.format(*head)]
    lines += [layout.format(*key, *_sums(row)) for key, row in rows.items()]
    every = [verdict for row in rows.values() for verdict in row]
    lines.append(layout.format("all", "", *_sums(every)))
    return "\n".join([*lines, *distribution(every)])


def _sums(row: Sequence[Verdict]) -> tuple[object, ...]:
    turns = [turn for verdict in row for turn in verdict.turns]
    return (
        sum(verdict.injected for verdict in row),
        len(row),
        f"{max(verdict.longest_ms for verdict in row):.0f}",
        sum(verdict.is_lost for verdict in row),
        sum(verdict.duplicates for verdict in row),
        sum(turn.has_apology for turn in turns),
        sum(turn.fillers for turn in turns),
    )


def distribution(verdicts: Sequence[Verdict]) -> list[str]:
    """The longest silence of a turn, over all turns with a fault and all without."""
    lines = []
    for name, is_struck in (("turns with a fault", True), ("turns without", False)):
        every = [turn for verdict in verdicts for turn in verdict.turns]
        turns = [turn for turn in every if bool(turn.injected) is is_struck]
        silences = [turn.waited.longest_ms for turn in turns]
        shares = " ".join(f"p{round(100 * s)} {percentile(silences, s):.0f}" for s in (0.5, 0.9, 0.95, 0.99, 1.0))
        over = sum(silence > LONGEST_SILENCE_MS for silence in silences)
        lines.append(f"{name}: {len(turns)}; longest silence ms: {shares}; over {LONGEST_SILENCE_MS}: {over}")
    return lines


async def lateness(every_s: float = 0.05) -> float:
    """Until it is cancelled: by how much the event loop was late at the worst, in milliseconds."""
    loop, worst_s = asyncio.get_running_loop(), 0.0
    try:
        while True:
            due_s = loop.time() + every_s
            await asyncio.sleep(every_s)
            worst_s = max(worst_s, loop.time() - due_s)
    except asyncio.CancelledError:
        return worst_s * 1000


def _tell(verdict: Verdict) -> None:
    print(f"{verdict.cell}: {'; '.join(verdict.faults) or 'well'}", file=sys.stderr, flush=True)


async def _main(faults: int, at_once: int, wanted: str) -> int:
    cells = [cell for cell in drawn(faults) if wanted in str(cell)]
    await houses.warm_up()
    began_s = time.monotonic()
    watching = asyncio.create_task(lateness())
    verdicts = await play(cells, at_once=at_once, tell=_tell)
    watching.cancel()
    print(table(verdicts))
    print(f"the event loop was late by {await watching:.0f} ms at the worst; tolerance {MACHINE_MS} ms")
    print(f"{time.monotonic() - began_s:.0f} s for {len(cells)} calls, {at_once} at once")
    wrong = [verdict for verdict in verdicts if verdict.faults]
    for verdict in wrong:
        print(f"WRONG {verdict.cell}: {'; '.join(verdict.faults)}")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=240, help="so many, evenly from the whole matrix")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="calls at a time")
    parser.add_argument("--only", default="", help="cells whose name has this in it, as `tts cartesia`")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    return asyncio.run(_main(asked.faults, asked.at_once, asked.only))


if __name__ == "__main__":
    sys.exit(main())
