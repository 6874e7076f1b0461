"""A run of the Realtime benchmark: the floor and the gateway on one core, the load on another, in turns.

Both servers are up all the time and take turns in being talked to: while one is measured, the sessions of the other
are held and send nothing. So both meet the same minute of the same machine.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.bench_run import LATE_MS, percentile
from gateway.cli.bench_server import Server, Used, running
from gateway.cli.loopback import HOST
from simulator.realtime_load import Join, RealtimeLoad, RealtimeTarget, realtime_script_for
from simulator.realtime_session import EchoSession, RealtimeScript, RealtimeSession, RealtimeTally
from simulator.voices import Voices

SETTLE_S = 2.0
"""After sessions were added or let go on, before they are measured."""

JOIN_LIMIT_S = 10.0
"""For new sessions to be configured; who is not by then has failed."""

GENERATOR_LATE_MS = LATE_MS / 2
"""Where the generator itself is later than this, its figures say more about it than about the server."""

LEAD_MS = 300
"""Of phone calls, which this benchmark has none of."""

FULL_PERCENT = 90.0
"""Of the core. A level goes half the way there by what a session has cost so far: a maximum is approached in
strides and met in steps."""

TRIES = 2
"""A level counts as too many only if it fails twice: a machine has bad moments of its own."""


@dataclass(frozen=True, slots=True)
class Options:
    sessions: int
    step: int
    """0: one level."""
    duration: float
    rate: float
    noise: float
    seed: int
    limit: float
    """Seconds after which no further level is begun."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One server at one level. Times in milliseconds; None where there is nothing to measure."""

    server: str
    sessions: int
    sustained: bool
    """All were held and answered, and the last hundredth of round trips and of deltas was no frame late."""
    believable: bool
    """The generator kept its own time."""
    failed: int
    first_failure: str | None
    errors: int
    first_error: str | None
    cpu_percent: float
    cpu_ms_per_session_s: float
    rss_mb: float
    rss_kb_per_added_session: float | None
    round_trip_p50: float | None
    round_trip_p95: float | None
    round_trip_p99: float | None
    delta_kb: float | None
    delta_p50: float | None
    delta_p95: float | None
    delta_p99: float | None
    further_delta_p50: float | None
    further_delta_p95: float | None
    further_delta_p99: float | None
    delta_lateness_p99: float | None
    stop_to_delta_p50: float | None
    stop_to_delta_p95: float | None
    voice_to_voice_p50: float | None
    voice_to_voice_p95: float | None
    turns: int
    unanswered: int
    generator_lateness_p99: float | None


class Rig:
    """One server and its load. `best` is its highest level that was sustained, of those in `levels`."""

    def __init__(self, name: str, server: Server, load: RealtimeLoad) -> None:
        self.name = name
        self.levels: list[Figures] = []
        self.is_full = False
        """A level was found that is too much for it."""
        self._server = server
        self._load = load
        self._alone: Used | None = None
        self._tries = 0
        self._wanted = 0

    @property
    def best(self) -> Figures | None:
        return max((one for one in self.levels if one.sustained), key=lambda one: one.sessions, default=None)

    async def begin(self, options: Options) -> Figures:
        """The first level."""
        self._wanted = options.sessions
        return await self._measure(options)

    async def rise(self, options: Options) -> Figures:
        """The next one: more sessions, or the same again if it was not sustained."""
        last = self.levels[-1]
        if last.sustained:
            room = last.sessions * (FULL_PERCENT / max(1.0, last.cpu_percent) - 1)
            self._wanted = last.sessions + max(options.step, int(min(last.sessions, room) / 2))
        return await self._measure(options)

    async def _measure(self, options: Options) -> Figures:
        load = self._load
        async with _talking(load):
            await self._grow(options)
            await asyncio.sleep(SETTLE_S)
            load.measure()
            before, began = self._server.used(), asyncio.get_running_loop().time()
            await asyncio.sleep(options.duration)
            tally = load.measured()
            after, took_s = self._server.used(), asyncio.get_running_loop().time() - began
        figures = _figures(self.name, load, tally, (after.cpu_s - before.cpu_s) / took_s, self._alone, after)
        self.levels.append(figures)
        self._tries = 0 if figures.sustained else self._tries + 1
        self.is_full = self._tries >= TRIES or figures.failed > 0
        return figures

    async def _grow(self, options: Options) -> None:
        load = self._load
        while load.sessions + load.failed < self._wanted:
            await load.add()
            if self._alone is None:
                await asyncio.sleep(SETTLE_S)
                self._alone = self._server.used()
            await asyncio.sleep(1 / options.rate)
        try:
            async with asyncio.timeout(JOIN_LIMIT_S):
                while load.joined < load.sessions:  # noqa: ASYNC110 - a look now and then costs the load less
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass  # they count as unanswered


@asynccontextmanager
async def _talking(load: RealtimeLoad) -> AsyncGenerator[None, None]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(load.run())
        yield
        running.cancel()


async def compare(options: Options, gateway: str, floor: str, tell: Callable[[Figures], None]) -> tuple[Rig, Rig]:
    """The floor's rig and the gateway's, at all levels that were asked for; `tell` hears of each level.

    `gateway` and `floor` are the modules to run.
    """
    cores = sorted(os.sched_getaffinity(0))
    is_pinned = len(cores) > 1
    if is_pinned:
        os.sched_setaffinity(0, {cores[0]})
    core = cores[-1] if is_pinned else None
    try:
        script, token = _script(options), secrets.token_urlsafe(24)
        until_s = asyncio.get_running_loop().time() + options.limit
        async with AsyncExitStack() as stack:

            async def rig(name: str, module: str, join: Join, *arguments: str) -> Rig:
                server = await stack.enter_async_context(
                    running(module, *arguments, core=core, lead_ms=LEAD_MS, log=_log())
                )
                target = RealtimeTarget(f"ws://{HOST}:{server.port}/v1/realtime?model=stub", token)
                load = RealtimeLoad(target, script, join, options.seed)
                stack.callback(load.hang_up)
                return Rig(name, server, load)

            rigs = (await rig("floor", floor, EchoSession), await rig("gateway", gateway, RealtimeSession, token))
            for one in rigs:
                tell(await one.begin(options))
            while options.step and not all(one.is_full for one in rigs):
                for one in rigs:
                    if asyncio.get_running_loop().time() > until_s:
                        return rigs
                    if not one.is_full:
                        tell(await one.rise(options))
            return rigs
    finally:
        os.sched_setaffinity(0, set(cores))


def _script(options: Options) -> RealtimeScript:
    voices = Voices()
    clips = [voices.clip(clip.name) for clip in voices.clips]
    return realtime_script_for(clips, noise_dbfs=options.noise, seed=options.seed)


def _log() -> Path:
    descriptor, log = tempfile.mkstemp(prefix="switchboard-bench-realtime-", suffix=".log")
    os.close(descriptor)
    return Path(log)


def _figures(
    name: str, load: RealtimeLoad, tally: RealtimeTally, cpu_share: float, alone: Used | None, after: Used
) -> Figures:
    round_trip_ms, late_ms = percentile(tally.round_trip, 99), percentile(tally.lateness, 99)
    own_ms = percentile(tally.own_lateness, 99)
    is_on_time = round_trip_ms is not None and round_trip_ms < LATE_MS and (late_ms is None or late_ms < LATE_MS)
    sessions = load.sessions
    added = rss_kb = None
    if alone is not None and sessions > 1:
        added = after.rss_bytes - alone.rss_bytes
        rss_kb = round(added / 1e3 / (sessions - 1), 1)
    return Figures(
        server=name,
        sessions=sessions,
        sustained=is_on_time and not (load.failed or tally.unanswered),
        believable=own_ms is not None and own_ms < GENERATOR_LATE_MS,
        failed=load.failed,
        first_failure=load.first_failure,
        errors=tally.errors,
        first_error=tally.first_error,
        cpu_percent=round(100 * cpu_share, 1),
        cpu_ms_per_session_s=round(1000 * cpu_share / max(1, sessions), 3),
        rss_mb=round(after.rss_bytes / 1e6, 1),
        rss_kb_per_added_session=rss_kb,
        round_trip_p50=percentile(tally.round_trip, 50),
        round_trip_p95=percentile(tally.round_trip, 95),
        round_trip_p99=round_trip_ms,
        delta_kb=percentile([size / 1e3 for size in tally.delta_bytes], 50),
        delta_p50=percentile(tally.delta, 50),
        delta_p95=percentile(tally.delta, 95),
        delta_p99=percentile(tally.delta, 99),
        further_delta_p50=percentile(tally.further_delta, 50),
        further_delta_p95=percentile(tally.further_delta, 95),
        further_delta_p99=percentile(tally.further_delta, 99),
        delta_lateness_p99=late_ms,
        stop_to_delta_p50=percentile(tally.stop_to_delta, 50),
        stop_to_delta_p95=percentile(tally.stop_to_delta, 95),
        voice_to_voice_p50=percentile(tally.voice_to_voice, 50),
        voice_to_voice_p95=percentile(tally.voice_to_voice, 95),
        turns=len(tally.delta) + len(tally.voice_to_voice) if tally.further_delta else 0,
        unanswered=tally.unanswered,
        generator_lateness_p99=own_ms,
    )
