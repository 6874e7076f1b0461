"""The row of the proof in which three times as many call as there is room for.

Those who have a place talk on, and what they hear is timed as `switchboard bench` does it, with its callers; the
others must hear a sentence at once. Needs picows, which those callers are made with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

import aiohttp

from gateway.cli.prove_callers import Callers, short_talk
from gateway.cli.prove_play import WORKERS, Plan, target_of
from gateway.cli.prove_report import Report, report_of
from gateway.cli.prove_stage import Stage, stage
from gateway.cli.prove_verdict import Outcome, Promise, at_most, percentile
from simulator.load import Load, Target, script_for
from simulator.load_call import Tally
from simulator.phone_call import PhoneCall
from simulator.voices import Voices

TIMES: Final = 3
ROOM: Final = 10
"""Calls at a time on each worker."""

LEAD_S: Final = 0.3
"""The gateway's own, by default: how far ahead of the ear it sends."""

QUIET_S: Final = 8.0
"""Those who have a place are timed so long before the others come, and so long with them."""

SENTENCE_MS: Final = 500
LATE_MS: Final = 20.0
PERCENT: Final = 99


async def overload(plan: Plan) -> Outcome:
    """See the module's docstring."""
    async with stage(plan.folder / "overload", seed=plan.seed, SWITCHBOARD_MAX_CALLS=str(ROOM)) as here:
        await here.add_several(WORKERS)
        target = Target(f"{here.url}/twilio/voice", here.auth_token, here.account_sid)
        voices = Voices()
        clips = [voices.clip(clip.name) for clip in voices.clips]
        script = script_for(clips, noise_dbfs=-60.0, lead_s=LEAD_S, barge_in_share=0.0, seed=plan.seed)
        load = Load(target, script, plan.seed)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(load.run())
            await _fill(here, load)
            admitted, full = load.calls, load.failed
            quiet = await _timed(load, asyncio.sleep(QUIET_S))
            crowd = _Crowd(Callers(target_of(here), plan.seed))
            busy = await _timed(load, crowd.call((TIMES - 1) * ROOM * WORKERS))
            lost = admitted - load.calls
            running.cancel()
            load.hang_up()
    return _outcome(crowd.reports, admitted, full, lost, quiet, busy)


async def _fill(here: Stage, load: Load) -> None:
    """Until no worker has room. A connection for each webhook, or all would come to one worker."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        for _ in range(2 * ROOM * WORKERS):
            await load.add(session)
            if load.calls == ROOM * WORKERS:
                return
            await asyncio.sleep(0.1)


async def _timed(load: Load, meanwhile: Awaitable[None]) -> Tally:
    """How late sound came meanwhile."""
    load.measure()
    await meanwhile
    tally = load.tally
    return Tally(lateness=list(tally.lateness), own_lateness=list(tally.own_lateness), underruns=tally.underruns)


class _Crowd:
    """Those for whom there is no room."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self.reports: list[Report] = []

    async def call(self, count: int) -> None:
        """All within `QUIET_S`."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._one(number, QUIET_S * number / count))

    async def _one(self, number: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        setup = self._callers.setup(short_talk(500), seed=number)
        self.reports.append(report_of(number, await PhoneCall(setup).run()))


def _outcome(reports: list[Report], admitted: int, full: int, lost: int, quiet: Tally, busy: Tally) -> Outcome:
    refused = [report for report in reports if not report.began_s]
    mute = sum(not report.spoken_verbs for report in refused)
    slowest = max((report.first_answer_ms or 0.0 for report in refused), default=None)
    late_ms, before_ms = percentile(busy.lateness, PERCENT), percentile(quiet.lateness, PERCENT)
    own_ms = percentile(busy.own_lateness, PERCENT)
    return Outcome(
        name="overload",
        fault=f"{TIMES}x overload: {admitted} admitted, {len(refused)} refused",
        calls=admitted + full + len(reports),
        hit=len(refused),
        lost=lost + mute,
        promises=(
            Promise(f"{lost} of {admitted} admitted calls lost", lost == 0, is_must=True),
            Promise(
                f"{mute} of {len(refused)} refused callers heard nothing", mute == 0 and bool(refused), is_must=True
            ),
            at_most("slowest sentence", slowest, SENTENCE_MS, "ms after its webhook"),
            at_most(f"frame lateness p{PERCENT}", late_ms, LATE_MS, "ms"),
        ),
        notes=(
            f"frame lateness p{PERCENT} {_ms(before_ms)} before the crowd, {_ms(late_ms)} with it; "
            f"the callers' own p{PERCENT} {_ms(own_ms)}",
            f"{busy.underruns} underruns with the crowd, {quiet.underruns} before",
        ),
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"
