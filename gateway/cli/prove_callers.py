"""The callers of a proof: real calls through webhooks, TwiML and media streams, each turn with its mark.

What a caller does is a script; what became of the call is a `Report` (`prove_report.py`), made at once, so that a
thousand recordings need not be kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from gateway.cli.prove_marks import Mark, marked
from gateway.cli.prove_report import Report, report_of
from simulator.call_setup import CallSetup
from simulator.caller import HangUp, Listen, Say, Step, Wait
from simulator.phone_call import PhoneCall
from simulator.sound import Sound
from simulator.voices import Voices

FROM_NUMBER: Final = "+15550100002"
TO_NUMBER: Final = "+15550100001"

QUIET_MS: Final = 700
"""A caller waits so long after the agent's last word: the silence in which a call can be moved."""

PATIENCE_MS: Final = 12_000
"""Twice an answer: an agent who says nothing for so long is lost."""

MOST_CALL_S: Final = 240.0

DROPPED_S: Final = (3.0, 12.0)
"""When a stream is dropped that is: at the earliest and the latest."""

SPREAD_S: Final = 4.0
"""Over which the calls of a row begin, so that they are not all in the same word when the fault comes."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call."""

    voice_url: str
    account_sid: str
    auth_token: str
    status_url: str | None = None
    fallback_url: str | None = None


Changed = Callable[[CallSetup], CallSetup]
"""Makes a caller another than callers are."""


class Callers:
    """All of a row."""

    def __init__(self, target: Target, seed: int, *, knows_words: bool = True) -> None:
        """`knows_words`: as in `report_of`."""
        self.target = target
        self._knows_words = knows_words
        self.reports: list[Report] = []
        """Of the calls that are over."""
        self.placed = 0
        self._random = random.Random(seed)

    async def call(self, turns: int, *, delay_s: float = 0.0, changed: Changed | None = None) -> Report:
        """One call of so many turns, to its end."""
        self.placed += 1
        number = self.placed
        await asyncio.sleep(delay_s)
        setup = self.setup(talk(number, turns), seed=self._random.randrange(2**31))
        call = PhoneCall(changed(setup) if changed is not None else setup)
        report = report_of(number, await call.run(), knows_words=self._knows_words)
        self.reports.append(report)
        return report

    async def crowd(self, calls: int, turns: int, *, changed: Changed | None = None) -> list[Report]:
        """So many calls at once, begun within `SPREAD_S`."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.call(turns, delay_s=SPREAD_S * number / calls, changed=changed))
                for number in range(calls)
            ]
        return [task.result() for task in tasks]

    def setup(self, steps: Sequence[Step], *, seed: int) -> CallSetup:
        """A caller's line without noise, so that marks are read as they were written."""
        target = self.target
        return CallSetup(
            voice_url=target.voice_url,
            to_number=TO_NUMBER,
            from_number=FROM_NUMBER,
            account_sid=target.account_sid,
            auth_token=target.auth_token,
            steps=tuple(steps),
            fallback_url=target.fallback_url,
            status_url=target.status_url,
            noise_dbfs=None,
            seed=seed,
            max_call_s=MOST_CALL_S,
            keeps_media=False,
        )


def dropped_once(seed: int) -> Changed:
    """The network drops each caller's first stream, at another moment of each call."""
    draws = random.Random(seed)
    return lambda setup: replace(setup, dropped_after_s=(draws.uniform(*DROPPED_S),))


def doubled(setup: CallSetup) -> CallSetup:
    """Each webhook comes twice; of every other caller under one idempotency token."""
    return replace(setup, copies=2, has_same_token=setup.seed % 2 == 0)


def talk(call: int, turns: int) -> tuple[Step, ...]:
    """Listen and speak, so many times; then listen once more and hang up."""
    steps: list[Step] = []
    for turn in range(1, turns + 1):
        steps += [Listen(QUIET_MS, PATIENCE_MS), Say(marked(_clip(turn), Mark(call, turn)))]
    return (*steps, Listen(QUIET_MS, PATIENCE_MS), HangUp())


def short_talk(hold_ms: int) -> tuple[Step, ...]:
    """Somebody who hangs up soon, whatever is said."""
    return (Wait(hold_ms), HangUp())


@cache
def _clips() -> tuple[Sound, ...]:
    voices = Voices()
    return tuple(voices.clip(clip.name) for clip in voices.clips)


def _clip(turn: int) -> Sound:
    """Another for each turn; the shortest words are left out, of which a fault would leave too little."""
    long_ones = [clip for clip in _clips() if clip.duration_ms >= 500]
    return long_ones[turn % len(long_ones)]
