"""The rows of the proof in which nothing of ours breaks and the world is unkind: streams are dropped, webhooks come
twice, workers race, and calls come by the thousand.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Final

import aiohttp

from gateway.calls.call import Call
from gateway.calls.keys import ENDED_TTL_S
from gateway.calls.redis_store import RedisStore
from gateway.calls.store import ABANDONED_AFTER_S, SWEEP_EVERY_S
from gateway.cli.prove_callers import Callers, doubled, dropped_once, short_talk
from gateway.cli.prove_play import WORKERS, Plan, Scene, play, target_of
from gateway.cli.prove_racer import shared_store
from gateway.cli.prove_report import Report, report_of
from gateway.cli.prove_stage import Stage, stage
from gateway.cli.prove_verdict import (
    KILL_MS,
    Outcome,
    Promise,
    at_most,
    history_kept,
    hit_of,
    lost_of,
    none_lost,
    silences_of,
    silent_for,
    slope,
)
from simulator.phone_call import PhoneCall
from simulator.webhook import Webhooks, call_form

RACERS: Final = 2
RACED_AT_ONCE: Final = 20

SHORT_MS: Final = 200
"""How long a short call's stream is open: the greeting has begun."""

SHORT_AT_ONCE: Final = 40
SAMPLES: Final = 40
WARM_UP: Final = 0.4
"""The part of the short calls after which memory is looked at: by then the oldest tokens that were remembered as
used are forgotten again, and pools and caches are full."""

SLOPE_BYTES: Final = 1_024
SETTLE_S: Final = 4.0
"""After the last short call: keep-alive connections are closed."""

SWEPT_S: Final = ABANDONED_AFTER_S + 3 * SWEEP_EVERY_S


async def dropped(plan: Plan) -> Outcome:
    """The phone network drops each call's stream, at another moment of each."""

    async def act(scene: Scene) -> None:
        pass  # the drops are the callers'

    played = await play(plan, "dropped", act, changed=dropped_once(plan.seed))
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history_from(0.0)),
        silent_for(silences_of(played.reports), 95, KILL_MS),
    )
    return played.outcome("dropped", "stream dropped by the phone network (RST, no stop)", promises)


async def duplicates(plan: Plan) -> Outcome:
    """Each webhook comes twice, half of them under one idempotency token; status callbacks come in any order."""
    shuffled: list[bool] = []

    async def act(scene: Scene) -> None:
        pass

    async def after(scene: Scene, reports: Sequence[Report]) -> None:
        shuffled.extend([await _stays_ended(scene.here, report.call_sid, plan.seed) for report in reports])

    played = await play(plan, "duplicates", act, changed=doubled, after=after)
    backwards = sum(not one for one in shuffled)
    prompts: dict[tuple[int, int], int] = {}
    for told in played.told:
        prompts[told.call, max(told.turns)] = prompts.get((told.call, max(told.turns)), 0) + 1
    twice = sum(count > 1 for count in prompts.values())
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history_from(0.0)),
        Promise(f"{hit_of(played.reports)} streams broken", hit_of(played.reports) == 0),
        Promise(f"{twice} turns answered twice", twice == 0),
        Promise(f"{backwards} calls moved backwards by {_STATUSES} late callbacks", backwards == 0, is_must=True),
    )
    return played.outcome("duplicates", "duplicate and shuffled webhooks", promises)


_STATUSES: Final = 4


async def _stays_ended(here: Stage, call_sid: str, seed: int) -> bool:
    """Whether a call that has ended stays so, whatever is told late."""
    statuses = [("initiated", 0), ("ringing", 1), ("in-progress", 2), ("completed", 3)]
    random.Random(f"{seed} {call_sid}").shuffle(statuses)
    before = await here.ask(f"/v1/calls/{call_sid}")
    async with aiohttp.ClientSession() as session:
        webhooks = Webhooks(session, here.auth_token)
        for status, number in statuses:
            form = _form(here, call_sid, status) | {"CallbackSource": "call-progress-events"}
            await webhooks.ask(f"{here.url}/twilio/status", "POST", form | {"SequenceNumber": str(number)})
            after = await here.ask(f"/v1/calls/{call_sid}")
            if after is None or after["state"] != "ended" or after["end_reason"] != before["end_reason"]:
                return False
    return True


def _form(here: Stage, call_sid: str, status: str) -> dict[str, str]:
    return call_form(
        call_sid=call_sid,
        account_sid=here.account_sid,
        from_number="+15550100002",
        to_number="+15550100001",
        status=status,
    )


async def races(plan: Plan) -> Outcome:
    """Two processes claim the same call at the same moment, again and again."""
    async with stage(plan.folder / "races", seed=plan.seed) as here:
        environ = here.environ(0, {})
        racers = [await _racer(environ) for _ in range(RACERS)]
        try:
            async with shared_store(here.redis_url, here.auth_token) as store:
                winners = await _run_races(plan, store, racers)
        finally:
            for racer in racers:
                racer.kill()
                await racer.wait()
    wrong = sum(count != 1 for count in winners)
    return Outcome(
        name="races",
        fault=f"{RACERS} workers racing for one call",
        calls=len(winners),
        hit=len(winners),
        lost=sum(count == 0 for count in winners),
        promises=(
            Promise(f"{wrong} of {len(winners)} races without exactly one winner", wrong == 0, is_must=True),
        ),
    )


async def _racer(environ: dict[str, str]) -> asyncio.subprocess.Process:
    racer = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.cli.prove_racer"),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert racer.stdout is not None
    await racer.stdout.readline()
    return racer


async def _run_races(plan: Plan, store: RedisStore, racers: Sequence[asyncio.subprocess.Process]) -> list[int]:
    """How many have won each."""
    draws = random.Random(plan.seed)
    winners: list[int] = []
    while len(winners) < plan.races:
        tokens = [await _token(store) for _ in range(min(RACED_AT_ONCE, plan.races - len(winners)))]
        orders = [draws.sample(tokens, len(tokens)) for _ in racers]
        for racer, order in zip(racers, orders, strict=True):
            assert racer.stdin is not None
            racer.stdin.write(json.dumps(order).encode() + b"\n")
        wins = dict.fromkeys(tokens, 0)
        for racer, order in zip(racers, orders, strict=True):
            assert racer.stdout is not None
            for token, won in zip(order, json.loads(await racer.stdout.readline()), strict=True):
                wins[token] += won
        winners.extend(wins.values())
    return winners


async def _token(store: RedisStore) -> str:
    now_s = time.time()
    call = Call(call_sid=f"CA{uuid.uuid4().hex}", from_="", to="", agent="", started_at_s=now_s)
    await store.open(call)
    return await store.issue_token(call, now_s)


async def short_calls(plan: Plan) -> Outcome:
    """Thousands of calls that hang up at once: nothing of them may stay."""
    async with stage(plan.folder / "short-calls", seed=plan.seed) as here:
        workers = await here.add_several(WORKERS)
        callers = Callers(target_of(here), plan.seed)
        await _hang_up_soon(callers, SHORT_AT_ONCE * 2)
        await asyncio.sleep(SETTLE_S)
        before = [(await here.tasks(worker), worker.descriptors(here.network.port)) for worker in workers]
        points: list[tuple[float, float]] = []
        began_s = time.monotonic()
        for _ in range(SAMPLES):
            await _hang_up_soon(callers, plan.short_calls // SAMPLES)
            points.append((callers.placed, sum(worker.rss_bytes for worker in workers)))
        took_s = time.monotonic() - began_s
        await asyncio.sleep(SETTLE_S)
        after = [(await here.tasks(worker), worker.descriptors(here.network.port)) for worker in workers]
        live, waited_s = await _live_in_the_end(here)
        immortal, kept, longest_s = await _kept_keys(here)
    reports = callers.reports
    grown = slope(points[int(len(points) * WARM_UP) :])
    return Outcome(
        name="short-calls",
        fault=f"{len(reports)} short calls",
        calls=len(reports),
        hit=0,
        lost=lost_of(reports),
        promises=(
            none_lost(lost_of(reports)),
            at_most("memory grows by", grown, SLOPE_BYTES, "bytes a call"),
            Promise(f"tasks and descriptors before {before}, after {after}", _is_back(before, after)),
            Promise(f"{live} calls live in Redis {waited_s:.0f} s after the last", live == 0),
            Promise(f"{immortal} keys of {kept} never expire, the others within {longest_s} s",
                    immortal == 0 and longest_s <= ENDED_TTL_S),
        ),
        notes=(f"{len(reports) / took_s:.1f} calls a second",),
    )  # fmt: skip


async def _hang_up_soon(callers: Callers, count: int) -> None:
    """So many calls, some at a time."""
    free = asyncio.Semaphore(SHORT_AT_ONCE)

    async def one() -> None:
        async with free:
            callers.placed += 1
            setup = callers.setup(short_talk(SHORT_MS), seed=callers.placed)
            callers.reports.append(report_of(callers.placed, await PhoneCall(setup).run()))

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())


async def _live_in_the_end(here: Stage) -> tuple[int, float]:
    """Calls that Redis takes to be live, and how long after the last one that is. A call whose end could not be
    written, because the machine was busy, is found by the sweep."""
    began_s = time.monotonic()
    while True:
        live, waited_s = await here.redis.ask("ZCARD", "switchboard:live"), time.monotonic() - began_s
        if not live or waited_s >= SWEPT_S:
            return int(str(live)), SETTLE_S + waited_s
        await asyncio.sleep(1)


def _is_back(before: Sequence[tuple[int | None, int]], after: Sequence[tuple[int | None, int]]) -> bool:
    """No more tasks and descriptors than there were, but for one of whatever is asked just now."""
    return all(
        tasks is not None and was is not None and tasks <= was + 1 and files <= had + 1
        for (was, had), (tasks, files) in zip(before, after, strict=True)
    )


async def _kept_keys(here: Stage) -> tuple[int, int, int]:
    """Keys that never expire, keys of calls, and the seconds that the longest of these is kept."""
    client = here.redis.client()
    try:
        names = [name async for name in client.scan_iter(count=1000)]
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.ttl(name)
        lives_s = await pipeline.execute()
    finally:
        await client.aclose()
    of_calls = [life for name, life in zip(names, lives_s, strict=True) if b"{CA" in name]
    return sum(life == -1 for life in lives_s), len(of_calls), max(of_calls, default=0)
