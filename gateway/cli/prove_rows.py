"""The rows of the proof in which something breaks: a function each, with what is broken and what must hold."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

from gateway.cli.loopback import HOST
from gateway.cli.prove_play import Plan, Played, Scene, play, send_child
from gateway.cli.prove_report import Report
from gateway.cli.prove_verdict import (
    KILL_MS,
    MOVE_MS,
    Outcome,
    Promise,
    affected_of,
    at_most,
    history_kept,
    lost_of,
    none_lost,
    silences_of,
    silent_for,
)
from gateway.cli.prove_worker import Worker
from simulator.redis_server import RedisServer, redis_server

OUTAGE_S: Final = 4.0
"""How long Redis is away: far longer than anything in the gateway waits for it."""

ANSWER_LIMIT_MS: Final = 1_000
"""For the webhook of a new call while Redis is away."""

BACK_LIMIT_S: Final = 2.0
"""After Redis is back, until it holds every call again."""

ELECTION_S: Final = 1.0
"""Without any Redis. Managed ones need some seconds, which the rows before show to be no harder."""

KILL_AFTER_S: Final = 2.0
"""From the new primary to the death of a worker: the way to Redis is tried once a second."""

SYNC_LIMIT_S: Final = 20.0

WATCHDOG_S: Final = 1.0
HANG_MS: Final = 2_000
"""From a worker's hang until its callers hear somebody again."""

LEAVE_MS: Final = 1_000
"""From the end of the last call until the process is gone."""

BETWEEN_SIGNALS_S: Final = 0.3

DRAIN_S: Final = 1
"""Where calls are to be moved: none ends by itself so soon."""


async def kill_nine(plan: Plan) -> Outcome:
    """A worker is killed in the middle of everything."""

    async def act(scene: Scene) -> None:
        scene.workers[0].send(signal.SIGKILL)

    played = await play(plan, "kill-9", act)
    return _survived(played, "kill-9", "kill -9 of one worker of two", KILL_MS)


async def term_natural(plan: Plan) -> Outcome:
    """A worker is told to leave and its calls have the time to end."""
    left_s: list[float] = []

    async def act(scene: Scene) -> None:
        worker = scene.workers[0]
        scene.here.take_out(worker)
        worker.send(signal.SIGTERM)
        await worker.gone()
        left_s.append(time.monotonic())

    played = await play(plan, "term-natural", act, SWITCHBOARD_DRAIN_TIMEOUT="600")
    affected = affected_of(played.reports)
    its = _held_by_first_to_leave(played, left_s[0])
    late_ms = (left_s[0] - max(its)) * 1000 if its else None
    return played.outcome(
        "term-natural",
        "SIGTERM, calls end by themselves",
        (
            none_lost(lost_of(played.reports)),
            history_kept(played.history),
            Promise(f"{affected} calls felt it", affected == 0),
            at_most("gone after its last call", late_ms, LEAVE_MS, "ms"),
        ),
        hit=affected,
    )


def _held_by_first_to_leave(played: Played, left_s: float) -> list[float]:
    """When the calls of the worker that left ended: those whose models ran in its process."""
    last_pid: dict[int, int] = {told.call: told.pid for told in played.told}
    ended = {report.number: report.ended_s for report in played.reports}
    by_pid: dict[int, list[float]] = {}
    for call, pid in last_pid.items():
        by_pid.setdefault(pid, []).append(ended[call])
    before = [times for times in by_pid.values() if max(times) <= left_s + LEAVE_MS / 1000]
    return min(before, key=max, default=[])


async def term_move(plan: Plan) -> Outcome:
    """A worker is told to leave, and moves what calls it still has."""

    async def act(scene: Scene) -> None:
        await _retired(scene, scene.workers[0], signals=1)

    played = await play(plan, "term-move", act, SWITCHBOARD_DRAIN_TIMEOUT=str(DRAIN_S))
    return _moved(played, "term-move", "SIGTERM, calls are moved")


async def term_twice(plan: Plan) -> Outcome:
    """A worker is told twice: it moves its calls at once, whoever speaks."""

    async def act(scene: Scene) -> None:
        await _retired(scene, scene.workers[0], signals=2)

    played = await play(plan, "term-twice", act, SWITCHBOARD_DRAIN_TIMEOUT="600")
    return _survived(played, "term-twice", "SIGTERM twice, calls are moved at once", KILL_MS)


async def rolling(plan: Plan) -> Outcome:
    """All workers are replaced, one after the other, again and again."""

    async def act(scene: Scene) -> None:
        serving = list(scene.workers)
        for _ in range(plan.rolls):
            serving.append(await scene.here.add())
            await _retired(scene, serving.pop(0), signals=1)
            # Whoever hung up meanwhile is followed by somebody else.
            scene.more.extend(_callers(scene, plan, 4))

    played = await play(plan, "rolling", act, SWITCHBOARD_DRAIN_TIMEOUT=str(DRAIN_S))
    return _moved(played, "rolling", f"{plan.rolls} rolling restarts under load")


async def hang(plan: Plan) -> Outcome:
    """A worker of `serve --workers 2` is stopped; its supervisor has to notice."""

    async def act(scene: Scene) -> None:
        send_child(scene.workers[0], signal.SIGSTOP)

    played = await play(
        plan,
        "sigstop",
        act,
        kind="supervised",
        WEB_CONCURRENCY="2",
        SWITCHBOARD_WATCHDOG_S=str(WATCHDOG_S),
    )
    silences_ms = silences_of(played.reports, played.fault_s)
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history),
        silent_for(silences_ms, 95, HANG_MS),
    )
    fault = f"SIGSTOP of a worker of serve --workers 2, watchdog {WATCHDOG_S:g} s"
    return played.outcome("sigstop", fault, promises, silences_ms=silences_ms)


async def redis_killed(plan: Plan) -> Outcome:
    """Redis is killed, and comes back knowing nothing."""

    async def act(scene: Scene) -> None:
        scene.here.redis.kill()
        scene.more.extend(_callers(scene, plan, 2))
        await asyncio.sleep(OUTAGE_S)
        await scene.here.redis.start()
        scene.told.append(f"all calls in Redis again after {await _kept_again(scene):.1f} s")

    played = await play(plan, "redis-killed", act)
    return _untouched(played, "redis-killed", f"Redis killed for {OUTAGE_S:g} s and back empty")


async def redis_stopped(plan: Plan) -> Outcome:
    """Redis hangs: it accepts connections and answers nothing."""

    async def act(scene: Scene) -> None:
        scene.here.redis.stop_signal()
        scene.more.extend(_callers(scene, plan, 2))
        await asyncio.sleep(OUTAGE_S)
        scene.here.redis.cont()

    played = await play(plan, "redis-stopped", act)
    return _untouched(played, "redis-stopped", f"Redis stopped (SIGSTOP) for {OUTAGE_S:g} s")


async def flushed_then_killed(plan: Plan) -> Outcome:
    """Redis forgets everything; one second later a worker is killed."""

    async def act(scene: Scene) -> None:
        await scene.here.redis.ask("FLUSHALL")
        await asyncio.sleep(1)
        scene.workers[0].send(signal.SIGKILL)

    played = await play(plan, "flushall-kill", act)
    return _survived(played, "flushall-kill", "FLUSHALL, and kill -9 one second later", KILL_MS)


async def failover(plan: Plan) -> Outcome:
    """Redis dies and its replica takes over, behind the same address; a worker is killed soon afterwards."""
    killed_s: list[float] = []
    async with redis_server() as replica:

        async def act(scene: Scene) -> None:
            here = scene.here
            await replica.ask("REPLICAOF", HOST, here.redis.port)
            await _in_step(replica)
            here.redis.kill()
            await asyncio.sleep(ELECTION_S)
            await replica.ask("REPLICAOF", "NO", "ONE")
            here.network.point_at(HOST, replica.port)
            scene.more.extend(_callers(scene, plan, 2))
            await asyncio.sleep(KILL_AFTER_S)
            killed_s.append(time.monotonic())
            scene.workers[0].send(signal.SIGKILL)

        played = await play(plan, "failover", act)
    felt = sum(any(one.at_s < killed_s[0] for one in report.breaks) for report in played.reports)
    silences_ms = silences_of(played.reports)
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history_from(killed_s[0])),
        Promise(f"{felt} streams broken by the failover", felt == 0),
        silent_for(silences_ms, 95, KILL_MS),
    )
    fault = f"Redis fails over to a replica in {ELECTION_S:g} s, and kill -9 {KILL_AFTER_S:g} s later"
    return played.outcome("failover", fault, promises)


async def _in_step(replica: RedisServer) -> None:
    """Until it has all that its primary has."""
    async with asyncio.timeout(SYNC_LIMIT_S):
        while True:
            told = await replica.ask("INFO", "replication")
            if isinstance(told, dict) and told["master_link_status"] == "up":
                return
            await asyncio.sleep(0.05)


async def both_killed(plan: Plan) -> Outcome:
    """Redis and a worker at the same moment: nobody knows anything any more, and the calls go on."""

    async def act(scene: Scene) -> None:
        scene.here.redis.kill()
        scene.workers[0].send(signal.SIGKILL)
        await asyncio.sleep(OUTAGE_S)
        await scene.here.redis.start()

    played = await play(plan, "both-killed", act)
    silences_ms = silences_of(played.reports)
    promises = (none_lost(lost_of(played.reports)), silent_for(silences_ms, 95, KILL_MS))
    return played.outcome("both-killed", "Redis down and kill -9 together", promises)


def _survived(played: Played, name: str, fault: str, limit_ms: float) -> Outcome:
    silences_ms = silences_of(played.reports)
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history),
        silent_for(silences_ms, 95, limit_ms),
    )
    return played.outcome(name, fault, promises)


def _moved(played: Played, name: str, fault: str) -> Outcome:
    silences_ms = silences_of(played.reports)
    breaks = [one for report in played.reports for one in report.breaks]
    cut = sum(one.is_in_word for one in breaks)
    broken = sum(one.close_code != 1001 for one in breaks)
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history),
        silent_for(silences_ms, 100, MOVE_MS),
        Promise(f"{cut} of {len(breaks)} moves within a spoken word", cut == 0),
        Promise(f"{broken} streams ended otherwise than by a move", broken == 0),
    )
    return played.outcome(name, fault, promises)


def _untouched(played: Played, name: str, fault: str) -> Outcome:
    affected = affected_of(played.reports)
    asked = [report.first_answer_ms for report in played.reports if report.began_s >= played.fault_s]
    slowest = max((took for took in asked if took is not None), default=None)
    promises = (
        none_lost(lost_of(played.reports)),
        history_kept(played.history),
        Promise(f"{affected} calls felt it", affected == 0),
        at_most(f"slowest answer to {len(asked)} calls that came in meanwhile", slowest, ANSWER_LIMIT_MS, "ms"),
    )
    return played.outcome(name, fault, promises, hit=affected)


async def _retired(scene: Scene, worker: Worker, *, signals: int) -> None:
    """As a deployment does it: no new connections, then SIGTERM, and then to wait."""
    scene.here.take_out(worker)
    for number in range(signals):
        await asyncio.sleep(BETWEEN_SIGNALS_S * min(number, 1))
        worker.send(signal.SIGTERM)
    code = await worker.gone()
    if code != 0:
        scene.told.append(f"a worker left with exit code {code}")


def _callers(scene: Scene, plan: Plan, count: int) -> list[asyncio.Task[Report]]:
    """Who calls while it happens."""
    return [asyncio.create_task(scene.callers.call(plan.turns)) for _ in range(count)]


async def _kept_again(scene: Scene) -> float:
    """Seconds until Redis holds as many calls as are live; at most ten."""
    began_s = time.monotonic()
    live = scene.callers.placed - len(scene.callers.reports)
    while time.monotonic() - began_s < 10:
        names = await scene.here.redis.ask("KEYS", "*:call")
        if isinstance(names, list) and len(names) >= live:
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - began_s
