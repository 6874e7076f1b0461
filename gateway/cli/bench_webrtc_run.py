"""A run of the WebRTC benchmark: three servers on one core, the load on another, in turns.

The servers are up all the time; each level opens its sessions on one of them, measures, and ends them all. A
session that is only held would go on costing: the other side sends sound as long as there is a connection.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.cli.bench_run import LATE_MS, percentile
from gateway.cli.bench_server import Server, Used, running
from gateway.cli.loopback import HOST
from simulator.voices import Voices
from simulator.webrtc_load import Join, Measured, RtcTarget, WebrtcLoad, join_echo, join_talk, talk_script_for
from simulator.webrtc_talk import SILENCE_MS, TalkScript

SETTLE_S: Final = 2.0
"""After sessions were added, before they are measured."""

JOIN_LIMIT_S: Final = 10.0
"""For sessions to be configured; who is not by then has not answered."""

GENERATOR_LATE_MS: Final = LATE_MS / 2
"""Where the generator itself is later than this, its figures say more about it than about the server."""

LOST_SHARE: Final = 0.001
"""Of the packets. On loopback only a receiver that does not read loses any."""

MARKS: Final = 3
"""Sessions of an echo that listen for their marks."""

LEAD_MS: Final = 300
"""Of phone calls, which this benchmark has none of."""

FULL_PERCENT: Final = 90.0
"""Of the core. A level goes half the way there by what a session has cost so far."""

TRIES: Final = 2
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
    """All were held and answered, none of their sound was lost, and its last hundredth was no frame late."""
    believable: bool
    """The generator kept its own time."""
    failed: int
    first_failure: str | None
    errors: int
    first_error: str | None
    cpu_percent: float
    cpu_ms_per_session_s: float
    cpu_ms_per_added_session_s: float | None
    """Beyond the first, which pays for what the process does anyway: its clocks, the thread that finds speech."""
    sessions_by_cpu: int | None
    """That would fill the core, by what an added session costs at this level; computed, not measured."""
    rss_mb: float
    rss_kb_per_added_session: float | None
    offer_to_answer_p50: float | None
    offer_to_answer_p95: float | None
    offer_to_packet_p50: float | None
    offer_to_packet_p95: float | None
    packet_lateness_p50: float | None
    packet_lateness_p99: float | None
    packet_gap_p99: float | None
    packets: int
    lost: int
    round_trip_p50: float | None
    round_trip_p95: float | None
    round_trip_p99: float | None
    mouth_to_ear_p50: float | None
    mouth_to_ear_p95: float | None
    ask_to_sound_p50: float | None
    ask_to_sound_p95: float | None
    stop_to_sound_p50: float | None
    stop_to_sound_p95: float | None
    voice_to_voice_p50: float | None
    voice_to_voice_p95: float | None
    beyond_silence_p50: float | None
    """Voice to voice without the silence that ends a turn: all that finding it, answering and the way both take."""
    sound_in_percent: float | None
    """Of the packets sent to the server, those of speech."""
    sound_out_percent: float | None
    """Of the packets that came, those with sound; not told of an echo, which codes them all."""
    turns: int
    unanswered: int
    generator_lateness_p99: float | None


@dataclass(frozen=True, slots=True)
class Alone:
    """What a server uses with its first session."""

    cpu_share: float
    """Of the core."""
    rss_bytes: int


class Rig:
    """One server, and a load for each level. `best` is its highest that was sustained, of those in `levels`."""

    def __init__(self, name: str, server: Server, join: Join, token: str, script: TalkScript) -> None:
        self.name = name
        self.levels: list[Figures] = []
        self.is_full = False
        """A level was found that is too much for it."""
        self._server = server
        self._join = join
        self._target = RtcTarget(f"http://{HOST}:{server.port}", token)
        self._script = script
        self._alone: Alone | None = None
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
        async with WebrtcLoad(self._target, self._script, self._join, options.seed) as load:
            await self._grow(load, options)
            await asyncio.sleep(SETTLE_S)
            load.measure()
            before, began = self._server.used(), asyncio.get_running_loop().time()
            await asyncio.sleep(options.duration)
            measured = load.measured()
            after, took_s = self._server.used(), asyncio.get_running_loop().time() - began
            cpu_share = (after.cpu_s - before.cpu_s) / took_s
            figures = _figures(self.name, load, measured, cpu_share, self._alone, after)
        self.levels.append(figures)
        self._tries = 0 if figures.sustained else self._tries + 1
        self.is_full = self._tries >= TRIES or figures.failed > 0
        return figures

    async def _with_one(self) -> Alone:
        before, began = self._server.used(), asyncio.get_running_loop().time()
        await asyncio.sleep(SETTLE_S)
        after, took_s = self._server.used(), asyncio.get_running_loop().time() - began
        return Alone((after.cpu_s - before.cpu_s) / took_s, after.rss_bytes)

    async def _grow(self, load: WebrtcLoad, options: Options) -> None:
        while load.sessions + load.failed < self._wanted:
            await load.add()
            if self._alone is None:
                self._alone = await self._with_one()
            await asyncio.sleep(1 / options.rate)
        try:
            async with asyncio.timeout(JOIN_LIMIT_S):
                while load.joined < load.sessions:  # noqa: ASYNC110 - a look now and then costs the load less
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass  # they count as unanswered


@dataclass(frozen=True, slots=True)
class Modules:
    """What is run as servers."""

    floor: str
    transport: str
    gateway: str


async def compare(options: Options, modules: Modules, tell: Callable[[Figures], None]) -> tuple[Rig, Rig, Rig]:
    """The rigs of floor, bare transport and gateway, at all levels that were asked for; `tell` hears of each."""
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
                return Rig(name, server, join, token, script)

            rigs = (
                await rig("floor", modules.floor, join_echo(MARKS)),
                await rig("transport", modules.transport, join_echo(MARKS)),
                await rig("gateway", modules.gateway, join_talk, token),
            )
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


def _script(options: Options) -> TalkScript:
    voices = Voices()
    clips = [voices.clip(clip.name) for clip in voices.clips]
    return talk_script_for(clips, noise_dbfs=options.noise, seed=options.seed)


def _log() -> Path:
    descriptor, log = tempfile.mkstemp(prefix="switchboard-bench-webrtc-", suffix=".log")
    os.close(descriptor)
    return Path(log)


def _figures(
    name: str, load: WebrtcLoad, measured: Measured, cpu_share: float, alone: Alone | None, after: Used
) -> Figures:
    talk, sessions = measured.talk, load.sessions
    late_ms, own_ms = percentile(measured.lateness, 99), percentile(measured.own_lateness, 99)
    is_whole = not measured.deaf and measured.lost <= LOST_SHARE * max(1, talk.received)
    is_on_time = late_ms is not None and late_ms < LATE_MS
    added_kb = added_share = None
    if alone is not None and sessions > 1:
        added_kb = (after.rss_bytes - alone.rss_bytes) / 1e3 / (sessions - 1)
        added_share = (cpu_share - alone.cpu_share) / (sessions - 1)
    return Figures(
        server=name,
        sessions=sessions,
        sustained=is_on_time and is_whole and not (load.failed or talk.unanswered),
        believable=own_ms is not None and own_ms < GENERATOR_LATE_MS,
        failed=load.failed,
        first_failure=load.first_failure,
        errors=talk.errors,
        first_error=talk.first_error,
        cpu_percent=round(100 * cpu_share, 1),
        cpu_ms_per_session_s=round(1000 * cpu_share / max(1, sessions), 3),
        cpu_ms_per_added_session_s=None if added_share is None else round(1000 * added_share, 3),
        sessions_by_cpu=int(sessions + (1 - cpu_share) / added_share) if added_share and added_share > 0 else None,
        rss_mb=round(after.rss_bytes / 1e6, 1),
        rss_kb_per_added_session=None if added_kb is None else round(added_kb, 1),
        offer_to_answer_p50=percentile(load.offer_to_answer, 50),
        offer_to_answer_p95=percentile(load.offer_to_answer, 95),
        offer_to_packet_p50=percentile(load.offer_to_packet, 50),
        offer_to_packet_p95=percentile(load.offer_to_packet, 95),
        packet_lateness_p50=percentile(measured.lateness, 50),
        packet_lateness_p99=late_ms,
        packet_gap_p99=percentile(measured.gaps, 99),
        packets=talk.received,
        lost=measured.lost,
        round_trip_p50=percentile(talk.round_trip, 50),
        round_trip_p95=percentile(talk.round_trip, 95),
        round_trip_p99=percentile(talk.round_trip, 99),
        mouth_to_ear_p50=percentile(talk.mouth_to_ear, 50),
        mouth_to_ear_p95=percentile(talk.mouth_to_ear, 95),
        ask_to_sound_p50=percentile(talk.ask_to_sound, 50),
        ask_to_sound_p95=percentile(talk.ask_to_sound, 95),
        stop_to_sound_p50=percentile(talk.stop_to_sound, 50),
        stop_to_sound_p95=percentile(talk.stop_to_sound, 95),
        voice_to_voice_p50=percentile(talk.voice_to_voice, 50),
        voice_to_voice_p95=percentile(talk.voice_to_voice, 95),
        beyond_silence_p50=percentile([took - SILENCE_MS for took in talk.voice_to_voice], 50),
        sound_in_percent=_percent(talk.sent_loud, talk.sent),
        sound_out_percent=_percent(talk.received_loud, talk.received) if talk.received_loud else None,
        turns=len(talk.ask_to_sound) + len(talk.stop_to_sound) + len(talk.mouth_to_ear),
        unanswered=talk.unanswered,
        generator_lateness_p99=own_ms,
    )


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
