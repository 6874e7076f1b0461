"""Pausing a stream's recording, so that whoever goes on with the call knows of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.calls.call import Call
from gateway.calls.journal import Journal
from gateway.calls.orders import NOT_RECORDED, WORKER_GONE, Done, PauseRecording, ResumeRecording
from gateway.calls.redis_store import RedisStore
from gateway.calls.store import Attended, MemoryStore
from gateway.recordings import switch as switching
from gateway.recordings.recording import Recording
from gateway.recordings.switch import Switch
from gateway.recordings.writer import Writer
from gateway.redis.link import RedisLink
from pipeline.audio.formats import PCMU
from tests.gateway.call_records.support import recorded_store
from tests.gateway.recordings.support import CALL, new_folder, sidecar
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio


def made(generation: int = 1, **changes: bool) -> Call:
    call = Call(call_sid=CALL, from_="+14155550134", to="+1", agent="reception", started_at_s=time.time())
    for _ in range(generation):
        call.offer_stream("token", time.time())
    call.begin_stream(generation)
    for name, value in changes.items():
        setattr(call, name, value)
    return call


def attended() -> Attended:
    return Attended(Journal(), lambda: None)


def recording_in(folder: Path) -> Recording:
    folder.mkdir(exist_ok=True)
    return Recording(new_folder(folder).path, sidecar(), PCMU, Writer(), print, lambda: 0.0)


async def test_a_pause_stands_with_the_call_until_it_is_resumed(tmp_path: Path) -> None:
    seen = attended()
    call, recording = made(), recording_in(tmp_path)
    switch = Switch(call, MemoryStore(), seen, time.time)
    assert await switch.carry_out(PauseRecording()) == NOT_RECORDED
    switch.take(recording)
    assert await switch.carry_out(PauseRecording()) == Done("paused")
    assert (recording.is_paused, call.is_recording_paused) == (True, True)
    again = recording_in(tmp_path / "again")
    Switch(call, MemoryStore(), seen, time.time).take(again)
    assert again.is_paused, "the next part begins so"
    assert await switch.carry_out(ResumeRecording()) == Done("recording")
    assert (recording.is_paused, call.is_recording_paused) == (False, False)
    told = seen.journal.recent()
    assert [one["event"] for one in told] == ["recording.paused", "recording.resumed"]
    assert all(abs(one["at_s"] - time.time()) < 60 for one in told)


@pytest.mark.parametrize(
    ("generation", "is_forgotten", "paused"), [(1, True, False), (2, True, True), (2, False, False)]
)
async def test_what_nobody_knows_counts_as_paused(
    tmp_path: Path, generation: int, is_forgotten: bool, paused: bool
) -> None:
    recording = recording_in(tmp_path)
    Switch(made(generation, is_forgotten=is_forgotten), MemoryStore(), attended(), time.time).take(recording)
    assert recording.is_paused is paused


async def test_where_nothing_is_recorded_there_is_nothing_to_pause() -> None:
    switch = Switch(made(is_keying=True), MemoryStore(), attended(), time.time)
    switch.take(None)
    assert await switch.carry_out(PauseRecording()) == NOT_RECORDED


def states(call: Call, recording: Recording | None = None) -> str:
    told = {"keying": call.is_keying, "paused": recording is not None and recording.is_paused}
    return " ".join(name for name, holds in told.items() if holds)


async def cancelled() -> None:
    """As all that waits is when its stream is over."""
    raise asyncio.CancelledError


async def test_digits_that_are_keyed_in_over_the_end_of_a_stream_stay_out_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "KEYS_S", 0.0)
    call = made()
    one = Switch(call, MemoryStore(), attended(), time.time)
    one.take(recording_in(tmp_path / "one"))
    with one.hushed():
        assert states(call) == "keying"
    assert states(call) == "", "they were all keyed in"
    with pytest.raises(asyncio.CancelledError), one.hushed():
        await cancelled()
    assert states(call) == "keying"
    again, recording = Switch(call, MemoryStore(), attended(), time.time), recording_in(tmp_path / "two")
    again.take(recording)
    assert recording.is_paused
    with again.hushed():
        await asyncio.sleep(0.01)
        assert states(call, recording) == "keying paused", "they are keyed in once more"
    assert states(call, recording) == ""
    call.is_keying = True
    again.take(recording)
    await asyncio.sleep(0.01)
    assert states(call, recording) == "", "nobody keys in anything any more"


class Store:
    """A worker's view of a Redis of its own."""

    def __init__(self, url: str, worker_id: str) -> None:
        self.link = RedisLink(url, now=time.monotonic)
        self.store = recorded_store(self.link, "test", worker_id=worker_id, now=time.time)


@asynccontextmanager
async def two_workers() -> AsyncGenerator[tuple[RedisServer, RedisStore, RedisStore], None]:
    async with redis_server() as redis, asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        one, two = Store(redis.url, "one"), Store(redis.url, "two")
        writing = tasks.create_task(one.store.copies.run())
        yield redis, one.store, two.store
        writing.cancel()
        for each in (one, two):
            await each.link.aclose()


async def test_a_pause_is_known_to_every_worker_once_it_is_said_to_hold(tmp_path: Path) -> None:
    call, recording = made(), recording_in(tmp_path)
    async with two_workers() as (_, one, two), one.attend(call, lambda: None, lambda: None):
        switch = Switch(call, one, attended(), time.time)
        switch.take(recording)
        for order, is_hushed in ((PauseRecording(), True), (ResumeRecording(), False)):
            done = await switch.carry_out(order)
            assert isinstance(done, Done) and done.is_kept
            known = await two.find(CALL)
            assert known is not None and known.is_recording_paused is is_hushed


async def test_a_resume_by_a_worker_that_has_lost_the_call_is_refused_and_the_call_stays_paused(
    tmp_path: Path,
) -> None:
    call, recording = made(), recording_in(tmp_path)
    async with two_workers() as (_, one, two), one.attend(call, lambda: None, lambda: None):
        switch = Switch(call, one, attended(), time.time)
        switch.take(recording)
        await switch.carry_out(PauseRecording())
        newer = await two.find(CALL)
        assert newer is not None
        await two.issue_token(newer, time.time())
        assert await switch.carry_out(ResumeRecording()) == WORKER_GONE
        again = await two.find(CALL)
        assert again is not None and again.is_recording_paused


async def test_while_redis_is_away_a_pause_holds_here_and_says_that_nobody_else_knows(tmp_path: Path) -> None:
    call, recording = made(), recording_in(tmp_path)
    async with two_workers() as (redis, one, _), one.attend(call, lambda: None, lambda: None):
        redis.kill()
        switch = Switch(call, one, attended(), time.time)
        switch.take(recording)
        assert await switch.carry_out(PauseRecording()) == Done("paused", is_kept=False)
        assert recording.is_paused
