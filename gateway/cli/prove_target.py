"""The proof against a bot that is not ours: any that speaks Twilio's webhooks and media streams.

Only what a caller can do to it is done, and what the operator allows: signals to processes whose ids were named.
What a stranger's agent remembers cannot be known from outside, so history is not judged; silence is, by ear.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from gateway.cli.prove_callers import Callers, Changed, Target, doubled, dropped_once, short_talk
from gateway.cli.prove_play import Plan
from gateway.cli.prove_report import Report, report_of
from gateway.cli.prove_verdict import Outcome, affected_of, complaints_of, hit_of, lost_of, none_lost, silences_of
from simulator.phone_call import PhoneCall

SHORT_MS = 1_000
SHORT_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Bot:
    """Whom to call, and whom a signal may be sent to."""

    voice_url: str
    account_sid: str
    auth_token: str
    kill_pid: int | None = None
    term_pid: int | None = None

    @property
    def target(self) -> Target:
        return Target(self.voice_url, self.account_sid, self.auth_token)


def rows_for(bot: Bot) -> Mapping[str, Callable[[Plan], Awaitable[Outcome]]]:
    """By name, those that can be played against it."""

    async def dropped(plan: Plan) -> Outcome:
        return await _talked(
            bot, plan, "dropped", "stream dropped by the phone network (RST, no stop)", dropped_once(plan.seed)
        )

    async def duplicates(plan: Plan) -> Outcome:
        return await _talked(bot, plan, "duplicates", "each webhook twice", doubled)

    async def short_calls(plan: Plan) -> Outcome:
        return await _short_calls(bot, plan)

    async def kill(plan: Plan) -> Outcome:
        return await _signalled(bot, plan, "kill-9", signal.SIGKILL, bot.kill_pid)

    async def term(plan: Plan) -> Outcome:
        return await _signalled(bot, plan, "term", signal.SIGTERM, bot.term_pid)

    rows: dict[str, Callable[[Plan], Awaitable[Outcome]]] = {
        "dropped": dropped,
        "duplicates": duplicates,
        "short-calls": short_calls,
    }
    if bot.kill_pid is not None:
        rows["kill-9"] = kill
    if bot.term_pid is not None:
        rows["term"] = term
    return rows


async def _talked(bot: Bot, plan: Plan, name: str, fault: str, changed: Changed) -> Outcome:
    callers = Callers(bot.target, plan.seed, knows_words=False)
    return _outcome(name, fault, await callers.crowd(plan.calls, plan.turns, changed=changed))


async def _signalled(bot: Bot, plan: Plan, name: str, number: signal.Signals, pid: int | None) -> Outcome:
    assert pid is not None, "the row is only there if it was named"
    callers = Callers(bot.target, plan.seed, knows_words=False)
    async with asyncio.TaskGroup() as group:
        crowd = group.create_task(callers.crowd(plan.calls, plan.turns))
        await asyncio.sleep(plan.fault_at_s)
        fault_s = time.monotonic()
        os.kill(pid, number)
    return _outcome(name, f"{number.name} to process {pid}", crowd.result(), fault_s)


async def _short_calls(bot: Bot, plan: Plan) -> Outcome:
    callers, free = Callers(bot.target, plan.seed, knows_words=False), asyncio.Semaphore(SHORT_AT_ONCE)

    async def one(number: int) -> Report:
        async with free:
            return report_of(number, await PhoneCall(callers.setup(short_talk(SHORT_MS), seed=number)).run())

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(one(number)) for number in range(plan.short_calls)]
    return _outcome("short-calls", f"{plan.short_calls} short calls", [call.result() for call in calls])


def _outcome(name: str, fault: str, reports: list[Report], fault_s: float | None = None) -> Outcome:
    complaints = ", ".join(f"{code} ×{count}" for code, count in complaints_of(reports).items())
    lost = lost_of(reports)
    return Outcome(
        name=name,
        fault=fault,
        calls=len(reports),
        hit=max(hit_of(reports), affected_of(reports)),
        lost=lost,
        silences_ms=silences_of(reports, fault_s),
        promises=(none_lost(lost),),
        notes=(f"complaints: {complaints}",) if complaints else (),
    )
