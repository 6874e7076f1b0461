"""One fault, played: callers talk to two workers, something happens, and the callers talk to their end.

What happens is handed in; what it came to, `prove_rows.py` judges.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.cli.prove_callers import Callers, Changed, Target
from gateway.cli.prove_report import Report
from gateway.cli.prove_stage import Stage, stage
from gateway.cli.prove_verdict import (
    History,
    Outcome,
    Promise,
    complaints_of,
    history_of,
    hit_of,
    lost_of,
    silences_of,
    swallowed_of,
)
from gateway.cli.prove_witness import Told
from gateway.cli.prove_worker import Worker

WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is played."""

    calls: int
    turns: int
    """Of each caller."""
    fault_at_s: float
    """After the first call: by then every caller has had a turn."""
    rolls: int
    races: int
    short_calls: int
    seed: int
    folder: Path
    """For logs."""


@dataclass(eq=False)
class Scene:
    """What a fault acts upon."""

    here: Stage
    workers: list[Worker]
    callers: Callers
    told: list[str] = field(default_factory=list)
    """Notes for people."""
    more: list[asyncio.Task[Report]] = field(default_factory=list)
    """Calls that were placed beside the crowd."""


Act = Callable[[Scene], Awaitable[None]]
After = Callable[[Scene, Sequence[Report]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Played:
    """What it came to."""

    reports: tuple[Report, ...]
    told: tuple[Told, ...]
    fault_s: float
    """When it began, on the steady clock."""
    notes: tuple[str, ...]

    @property
    def history(self) -> History:
        """Of what was told after the fault."""
        return self.history_from(self.fault_s)

    def history_from(self, since_s: float) -> History:
        return history_of(self.told, since_s)

    def outcome(
        self,
        name: str,
        fault: str,
        promises: tuple[Promise, ...],
        *,
        hit: int | None = None,
        silences_ms: tuple[float, ...] | None = None,
    ) -> Outcome:
        complaints = complaints_of(self.reports)
        shown = (f"complaints: {', '.join(f'{code} ×{count}' for code, count in complaints.items())}",)
        return Outcome(
            name=name,
            fault=fault,
            calls=len(self.reports),
            hit=hit_of(self.reports) if hit is None else hit,
            lost=lost_of(self.reports),
            silences_ms=silences_of(self.reports) if silences_ms is None else silences_ms,
            history=self.history,
            swallowed=swallowed_of(self.told, self.reports),
            promises=promises,
            notes=(*self.notes, *(shown if complaints else ())),
        )


def target_of(here: Stage) -> Target:
    return Target(
        voice_url=f"{here.url}/twilio/voice",
        account_sid=here.account_sid,
        auth_token=here.auth_token,
        status_url=f"{here.url}/twilio/status",
        fallback_url=f"{here.url}/twilio/fallback",
    )


async def play(
    plan: Plan,
    name: str,
    act: Act,
    *,
    kind: str = "single",
    changed: Changed | None = None,
    after: After | None = None,
    **settings: str,
) -> Played:
    """The whole of it; see the module's docstring. `kind` is a command of `prove_gateway.py`.

    `changed` makes callers other than they are; `after` looks at what is left when they have hung up.
    """
    async with stage(plan.folder / name, seed=plan.seed, **settings) as here:
        workers = await here.add_several(1 if kind == "supervised" else WORKERS, kind)
        scene = Scene(here, workers, Callers(target_of(here), plan.seed))
        async with asyncio.TaskGroup() as group:
            crowd = group.create_task(scene.callers.crowd(plan.calls, plan.turns, changed=changed))
            await asyncio.sleep(plan.fault_at_s)
            fault_s = time.monotonic()
            await act(scene)
        reports = (*crowd.result(), *[(await task) for task in scene.more])
        if after is not None:
            await after(scene, reports)
        return Played(tuple(reports), here.told(), fault_s, tuple(scene.told))


def send_child(worker: Worker, number: int) -> int:
    """A signal to the first process that a supervisor has started; gives its id."""
    child = worker.children[0]
    with suppress(ProcessLookupError):
        os.kill(child, number)
    return child
