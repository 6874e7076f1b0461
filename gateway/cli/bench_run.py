"""One run of the benchmark: a server on one core, the load on another, and what both of them showed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from gateway.cli.bench_server import ACCOUNT_SID, Server, Used, running
from simulator.load import Load, Target, script_for
from simulator.voices import Voices

SETTLE_S = 5.0
"""After the last call was placed, and between the first call and the others: greetings are over, caches warm."""


LATE_MS = 20.0
"""One frame: where the last hundredth of messages is later than this, there are more calls than can be carried."""


@dataclass(frozen=True, slots=True)
class Options:
    calls: int
    rate: float
    duration: float
    barge_in: float
    noise: float
    lead: int
    seed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. Times in milliseconds; None where there is nothing to measure."""

    server: str
    calls: int
    sustained: bool
    """All calls were held and answered, and the last hundredth of messages was no frame late."""
    failed: int
    cpu_percent: float
    cpu_ms_per_call_s: float
    rss_mb: float
    rss_kb_per_added_call: float
    voice_to_voice_p50: float | None
    voice_to_voice_p95: float | None
    barge_in_to_clear_p50: float | None
    barge_in_to_clear_p95: float | None
    slowest_phrase: str | None
    """What is said when it takes longest until the agent is cleared."""
    slowest_phrase_p50: float | None
    other_phrases_p95: float | None
    frame_lateness_p50: float | None
    frame_lateness_p95: float | None
    frame_lateness_p99: float | None
    underruns: int
    turns: int
    unanswered: int
    barge_ins: int
    unstopped: int
    generator_lateness_p99: float | None


async def measure(name: str, module: str, arguments: tuple[str, ...], options: Options) -> Figures:
    cores = sorted(os.sched_getaffinity(0))
    is_pinned = len(cores) > 1
    if is_pinned:
        os.sched_setaffinity(0, {cores[0]})
    try:
        voices = Voices()
        script = script_for(
            [voices.clip(clip.name) for clip in voices.clips],
            noise_dbfs=options.noise,
            lead_s=options.lead / 1000,
            barge_in_share=options.barge_in,
            seed=options.seed,
        )
        descriptor, log = tempfile.mkstemp(prefix="switchboard-bench-", suffix=".log")
        os.close(descriptor)
        core = cores[-1] if is_pinned else None
        async with running(module, *arguments, core=core, lead_ms=options.lead, log=Path(log)) as server:
            load = Load(Target(server.voice_url, server.auth_token, ACCOUNT_SID), script, options.seed)
            return await _run(name, server, load, options)
    finally:
        os.sched_setaffinity(0, set(cores))


async def _run(name: str, server: Server, load: Load, options: Options) -> Figures:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(load.run())
        await load.add(session)
        await asyncio.sleep(SETTLE_S)
        alone = server.used()
        for _ in range(options.calls - 1):
            await load.add(session)
            await asyncio.sleep(1 / options.rate)
        await asyncio.sleep(SETTLE_S)
        load.measure()
        before, began = server.used(), asyncio.get_running_loop().time()
        await asyncio.sleep(options.duration)
        after, took_s = server.used(), asyncio.get_running_loop().time() - began
        running.cancel()
        load.hang_up()
    return _figures(name, load, options, after.cpu_s - before.cpu_s, took_s, alone, after)


def _figures(
    name: str, load: Load, options: Options, cpu_s: float, took_s: float, alone: Used, after: Used
) -> Figures:
    tally = load.tally
    # A server that only echoes has no turns, and no pace to be late by.
    lateness = tally.lateness if tally.voice_to_voice else []
    late_ms = percentile(lateness, 99)
    by_phrase = tally.clears_by_phrase
    slowest = max(by_phrase, key=lambda phrase: percentile(by_phrase[phrase], 50) or 0.0, default=None)
    others = [took_ms for phrase, took in by_phrase.items() if phrase != slowest for took_ms in took]
    return Figures(
        server=name,
        calls=options.calls,
        sustained=not (load.failed or tally.unanswered or (late_ms is not None and late_ms >= LATE_MS)),
        failed=load.failed,
        cpu_percent=round(100 * cpu_s / took_s, 1),
        cpu_ms_per_call_s=round(1000 * cpu_s / took_s / options.calls, 3),
        rss_mb=round(after.rss_bytes / 1e6, 1),
        rss_kb_per_added_call=round((after.rss_bytes - alone.rss_bytes) / 1e3 / max(1, options.calls - 1), 1),
        voice_to_voice_p50=percentile(tally.voice_to_voice, 50),
        voice_to_voice_p95=percentile(tally.voice_to_voice, 95),
        barge_in_to_clear_p50=percentile(tally.barge_in_to_clear, 50),
        barge_in_to_clear_p95=percentile(tally.barge_in_to_clear, 95),
        slowest_phrase=slowest,
        slowest_phrase_p50=percentile(by_phrase.get(slowest or "", []), 50),
        other_phrases_p95=percentile(others, 95),
        frame_lateness_p50=percentile(lateness, 50),
        frame_lateness_p95=percentile(lateness, 95),
        frame_lateness_p99=late_ms,
        underruns=tally.underruns if lateness else 0,
        turns=len(tally.voice_to_voice),
        unanswered=tally.unanswered,
        barge_ins=len(tally.barge_in_to_clear),
        unstopped=tally.unstopped,
        generator_lateness_p99=percentile(tally.own_lateness, 99),
    )


def percentile(values: list[float], percent: float) -> float | None:
    """The value below which so many percent lie; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 1)
