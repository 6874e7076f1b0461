"""One run of the benchmark: a server on one core, the load on another, and what both of them showed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from picows import WSError

from gateway.cli.bench_fleet import Fleet, fleet
from gateway.cli.bench_redis import Informant, Moments, RedisFigures, figures_of, informant
from gateway.cli.bench_server import ACCOUNT_SID, Used
from gateway.cli.bench_short_calls import AT_ONCE, place, setup_of
from gateway.cli.bench_wire import Crossed, between, sockets_to
from simulator.errors import WebhookFailed
from simulator.load import Load, Target, script_for
from simulator.redis_server import redis_server
from simulator.voices import Voices

SETTLE_S = 5.0
"""After the last call was placed, and between the first call and the others: greetings are over, caches warm."""


IDLE_S = 3.0
"""How long gateways without a call are watched: three of their heartbeats."""

SHORT_SETTLE_S = 2.0
"""After the last short call: what is written a moment later is written."""

LATE_MS = 20.0
"""One frame: where the last hundredth of messages is later than this, there are more calls than can be carried."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    workers: int = 1
    has_redis: bool = False
    """A redis-server of its own, on the load's core; several workers need it."""


@dataclass(frozen=True, slots=True)
class Options:
    calls: int
    rate: float
    duration: float
    barge_in: float
    noise: float
    lead: int
    seed: int
    short_calls: int = 0
    """That begin and end at once, before the others."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. Times in milliseconds; None where there is nothing to measure."""

    server: str
    workers: int
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
    cpu_ms_per_short_call: float | None
    """To begin a call and end it, 0.2 s of sound included."""
    descriptors: int
    """Files and sockets that are open, of all workers."""
    bytes_to_gateway_per_call_s: float
    """As TCP carries them, WebSocket headers included."""
    bytes_from_gateway_per_call_s: float
    messages_per_call_s: float
    """Segments of TCP with data, both ways."""
    redis: RedisFigures | None


@dataclass(frozen=True, slots=True)
class Span:
    """What was used and crossed in the seconds that count."""

    took_s: float
    cpu_s: float
    crossed: Crossed


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run has shown, beside what its callers heard."""

    alone: Used
    """With one call."""
    after: Used
    descriptors: int
    span: Span
    short_cpu_s: float
    moments: Moments | None


async def measure(subject: Subject, options: Options) -> Figures:
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
        async with AsyncExitStack() as stack:
            settings, watcher = {}, None
            if subject.has_redis:
                redis = await stack.enter_async_context(redis_server())
                watcher = await stack.enter_async_context(informant(redis.port))
                settings["REDIS_URL"] = redis.url
            servers = await stack.enter_async_context(
                fleet(
                    subject.module,
                    *subject.arguments,
                    workers=subject.workers,
                    core=cores[-1] if is_pinned else None,
                    lead_ms=options.lead,
                    log=Path(log),
                    settings=settings,
                    seed=options.seed,
                )
            )
            load = Load(Target(servers.voice_url, servers.auth_token, ACCOUNT_SID), script, options.seed)
            return _figures(subject, load, options, await _run(servers, watcher, load, options))
    finally:
        os.sched_setaffinity(0, set(cores))


async def _run(servers: Fleet, watcher: Informant | None, load: Load, options: Options) -> Seen:
    now = asyncio.get_running_loop().time
    setup = setup_of(servers.voice_url, servers.status_url, servers.auth_token)
    if options.short_calls:
        await place(setup, AT_ONCE)  # connections are made, scripts and pools there: what a first call costs alone
        await asyncio.sleep(SHORT_SETTLE_S)
    begun = await watcher.look() if watcher else None
    await asyncio.sleep(IDLE_S if watcher else 0)
    idle = await watcher.look() if watcher else None
    short_began, cpu_before_s = now(), servers.used().cpu_s
    if options.short_calls:
        await place(setup, options.short_calls)
        await asyncio.sleep(SHORT_SETTLE_S)
    short_cpu_s, short_s = servers.used().cpu_s - cpu_before_s, now() - short_began
    ended = await watcher.look() if watcher else None
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(load.run())
        alone = await _grow(servers, load, session, options)
        load.measure()
        before = await watcher.look() if watcher else None
        used, sockets, began = servers.used(), sockets_to(servers.port), now()
        await asyncio.sleep(options.duration)
        after, crossed, took_s = servers.used(), between(sockets, sockets_to(servers.port)), now() - began
        at_last = await watcher.look() if watcher else None
        descriptors = servers.descriptors()
        running.cancel()
        load.hang_up()
    moments = None
    if begun and idle and ended and before and at_last:
        moments = Moments(begun, idle, ended, before, at_last, idle_s=IDLE_S, short_s=short_s, took_s=took_s)
    span = Span(took_s, after.cpu_s - used.cpu_s, crossed)
    return Seen(alone, after, descriptors, span, short_cpu_s, moments)


async def _grow(servers: Fleet, load: Load, session: aiohttp.ClientSession, options: Options) -> Used:
    """Place all calls; what was used with one."""
    await _add(load, session)
    await asyncio.sleep(SETTLE_S)
    alone = servers.used()
    for _ in range(options.calls - 1):
        await _add(load, session)
        await asyncio.sleep(1 / options.rate)
    await asyncio.sleep(SETTLE_S)
    return alone


async def _add(load: Load, session: aiohttp.ClientSession) -> None:
    """A server that is too slow for one more call has failed it."""
    try:
        await load.add(session)
    except (OSError, WSError, WebhookFailed):
        load.failed += 1


def _figures(subject: Subject, load: Load, options: Options, seen: Seen) -> Figures:
    tally, span, call_s = load.tally, seen.span, options.calls * seen.span.took_s
    # A server that only echoes has no turns, and no pace to be late by.
    lateness = tally.lateness if tally.voice_to_voice else []
    late_ms = percentile(lateness, 99)
    by_phrase = tally.clears_by_phrase
    slowest = max(by_phrase, key=lambda phrase: percentile(by_phrase[phrase], 50) or 0.0, default=None)
    others = [took_ms for phrase, took in by_phrase.items() if phrase != slowest for took_ms in took]
    return Figures(
        server=subject.name,
        workers=subject.workers,
        calls=options.calls,
        sustained=not (load.failed or tally.unanswered or (late_ms is not None and late_ms >= LATE_MS)),
        failed=load.failed,
        cpu_percent=round(100 * span.cpu_s / span.took_s, 1),
        cpu_ms_per_call_s=round(1000 * span.cpu_s / call_s, 3),
        rss_mb=round(seen.after.rss_bytes / 1e6, 1),
        rss_kb_per_added_call=round(
            (seen.after.rss_bytes - seen.alone.rss_bytes) / 1e3 / max(1, options.calls - 1), 1
        ),
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
        cpu_ms_per_short_call=round(1000 * seen.short_cpu_s / options.short_calls, 2)
        if options.short_calls
        else None,
        descriptors=seen.descriptors,
        bytes_to_gateway_per_call_s=round(span.crossed.bytes_out / call_s, 1),
        bytes_from_gateway_per_call_s=round(span.crossed.bytes_in / call_s, 1),
        messages_per_call_s=round((span.crossed.data_segments_out + span.crossed.data_segments_in) / call_s, 2),
        redis=_redis(seen, options),
    )


def _redis(seen: Seen, options: Options) -> RedisFigures | None:
    if seen.moments is None:
        return None
    return figures_of(seen.moments, calls=options.calls, short_calls=options.short_calls)


def percentile(values: list[float], percent: float) -> float | None:
    """The value below which so many percent lie; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 1)
