"""The Realtime load against a throw-away server on real sockets: how it connects, keeps time, holds and leaves."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest

from simulator.realtime_load import (
    FRAME_BYTES,
    PHASES,
    Join,
    RealtimeLoad,
    RealtimeTarget,
    realtime_script_for,
)
from simulator.realtime_session import EchoSession, RealtimeScript, RealtimeSession, RealtimeTally
from simulator.sound import Sound, pcm_of
from tests.simulator.throwaway_realtime import ThrowawayRealtime, realtime

pytestmark = pytest.mark.anyio

LIMIT_S = 20.0
TOKEN = "key-of-a-test"


def tone(hz: int) -> bytes:
    """100 ms on a telephone."""
    return pcm_of(0.5 * np.sin(2 * np.pi * hz * np.arange(800) / 8_000))


def script(noise_dbfs: float = -60.0) -> RealtimeScript:
    return realtime_script_for([Sound("a", tone(400)), Sound("b", tone(800) * 2)], noise_dbfs=noise_dbfs, seed=1)


@asynccontextmanager
async def loaded(server: ThrowawayRealtime, join: Join) -> AsyncGenerator[RealtimeLoad, None]:
    async with realtime(server):
        load = RealtimeLoad(RealtimeTarget(server.url, TOKEN), script(), join, seed=1)
        try:
            async with asyncio.timeout(LIMIT_S):
                yield load
        finally:
            load.hang_up()


@asynccontextmanager
async def running(load: RealtimeLoad) -> AsyncGenerator[None, None]:
    ticking = asyncio.create_task(load.run())
    try:
        yield
    finally:
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking


async def until(is_so: Callable[[], bool]) -> None:
    """Bounded by the timeout of `loaded`."""
    while not is_so():  # noqa: ASYNC110 - what is waited for is no event
        await asyncio.sleep(0.005)


def pcm(append: bytes) -> bytes:
    event = json.loads(append)
    assert event["type"] == "input_audio_buffer.append"
    return b64decode(event["audio"])


async def test_clients_sound_is_cut_into_frames_of_20_ms_at_24_khz() -> None:
    made = script()
    assert [len(clip) for clip in made.clips] == [5, 10]
    assert {len(pcm(frame)) for clip in (*made.clips, made.noise) for frame in clip} == {FRAME_BYTES}
    wide = np.frombuffer(b"".join(pcm(frame) for frame in made.clips[0]), "<i2")
    spectrum = np.abs(np.fft.rfft(wide))
    assert np.argmax(spectrum) * 24_000 / wide.size == pytest.approx(400, abs=10), "as high as it was"
    loud, quiet = (np.abs(np.frombuffer(pcm(script(db).noise[1]), "<i2")).max() for db in (-20, -60))
    assert quiet < loud
    assert script() == made, "the same seed, the same noise"


async def test_an_echo_stands_in_for_200_ms_of_sound() -> None:
    event = json.loads(script().delta)
    assert event["type"] == "response.output_audio.delta"
    assert len(b64decode(event["delta"])) == 48 * 200


async def test_a_session_shows_its_key_is_configured_and_sends_a_frame_every_20_ms() -> None:
    server = ThrowawayRealtime()
    async with loaded(server, RealtimeSession) as load:
        await load.add()
        assert (load.sessions, load.joined) == (1, 0)
        async with running(load):
            await until(lambda: server.types().count("input_audio_buffer.append") >= 25)
        assert (load.sessions, load.joined, load.failed) == (1, 1, 0)
        assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"
        assert server.types()[:2] == ["session.update", "conversation.item.create"]
        assert load.tally.frames_sent >= 25
        assert load.tally.own_lateness


async def test_sessions_are_spread_over_the_frame() -> None:
    async with loaded(ThrowawayRealtime(echoes=True), EchoSession) as load:
        for _ in range(PHASES + 1):
            await load.add()
        assert sorted(len(phase) for phase in load._phases) == [1] * (PHASES - 1) + [2]


async def test_the_way_there_and_back_of_each_frame_is_measured() -> None:
    async with loaded(ThrowawayRealtime(echoes=True), EchoSession) as load:
        await load.add()
        async with running(load):
            await until(lambda: load.tally.frames_sent > 5)
            assert load.tally.round_trip == [], "it is not measured yet"
            load.measure()
            assert load.tally.own_lateness == []
            await until(lambda: len(load.tally.round_trip) > 60)
            measured = load.measured()
        assert min(measured.round_trip) >= 0.0
        assert len(measured.delta) in (1, 2), "once a second"
        assert load.tally == RealtimeTally(own_lateness=load.tally.own_lateness, frames_sent=load.tally.frames_sent)


async def test_what_has_no_answer_when_the_measurement_ends_counts_as_late_as_it_is() -> None:
    async with loaded(ThrowawayRealtime(echoes=False), EchoSession) as load:
        await load.add()
        async with running(load):
            load.measure()
            await until(lambda: load.tally.frames_sent >= 10)
            assert len(load.measured().round_trip) >= 10


async def test_while_it_is_held_nothing_is_sent_and_its_clock_stands() -> None:
    server = ThrowawayRealtime(echoes=True)
    async with loaded(server, EchoSession) as load:
        await load.add()
        assert load.now() == load.now()
        async with running(load):
            await until(lambda: len(server.events) >= 5)
            assert load.now() < load.now()
        held_at, frames = load.now(), load.tally.frames_sent
        await until(lambda: len(server.events) == frames)
        assert load.now() == held_at
        async with running(load):
            await until(lambda: len(server.events) >= frames + 5)
            assert load.now() > held_at
        assert len(server.events) <= load.tally.frames_sent


async def test_a_session_that_is_closed_on_has_failed_and_says_why() -> None:
    server = ThrowawayRealtime(closes_with=3000)
    async with loaded(server, RealtimeSession) as load:
        await load.add()
        async with running(load):
            await until(lambda: load.failed == 1)
        assert (load.sessions, load.first_failure) == (0, "closed with 3000: invalid_api_key")
        assert server.sockets[0].close_code == 3000, "and the goodbye was answered"


async def test_a_session_that_is_cut_off_has_failed() -> None:
    server = ThrowawayRealtime(echoes=True)
    async with loaded(server, EchoSession) as load:
        await load.add()
        async with running(load):
            await until(lambda: bool(server.sockets))
            transport = server.sockets[0]._req.transport if server.sockets[0]._req else None
            assert transport is not None
            transport.abort()
            await until(lambda: load.failed == 1)
        assert load.first_failure == "connection lost"


async def test_a_session_that_cannot_be_opened_has_failed(unused_tcp_port: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        target = RealtimeTarget(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime", TOKEN)
        load = RealtimeLoad(target, script(), RealtimeSession, seed=1)
        await load.add()
    assert (load.sessions, load.failed) == (0, 1)
    assert load.first_failure is not None
    assert load.first_failure.startswith("not opened: ")


async def test_whoever_leaves_says_goodbye() -> None:
    server = ThrowawayRealtime(echoes=True)
    async with loaded(server, EchoSession) as load:
        await load.add()
        await until(lambda: bool(server.sockets))
        load.hang_up()
        assert load.sessions == 0
        await until(lambda: server.sockets[0].closed)
        assert load.failed == 0


@pytest.fixture
def unused_tcp_port() -> int:
    """A port of loopback nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
