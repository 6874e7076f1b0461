"""Kept sessions: who gets one, how often and how long, and what they may cost."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from gateway.errors import Refusal
from gateway.realtime import kept_sessions
from gateway.realtime.kept_files import KeptFiles
from gateway.realtime.kept_sessions import (
    KEPT_S,
    MEMORY_BYTES,
    MOST_OF_OWNER,
    MOST_SESSIONS,
    KeptSessions,
    new_session_id,
)
from pipeline.events.config import SessionConfig
from pipeline.events.items import FunctionCall
from pipeline.kept_conversation import KeptConversation, encoded, kept_of
from tests.pipeline.expected import said, spoken, typed

pytestmark = pytest.mark.anyio

NOW_S = 1_800_000_000.0
KEPT = kept_of(
    (
        said("item_1", "A table for two."),
        spoken("item_2", "Certain", status="incomplete"),
        FunctionCall(id="item_3", call_id="call_1", name="book", arguments="{}"),
    ),
    SessionConfig(instructions="Be kind."),
)


def sized(size: int) -> KeptConversation:
    return KeptConversation(items=(typed("item_1", "x" * size),), session={})


@pytest.fixture(params=["memory", "folder"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> KeptSessions:
    return KeptSessions(tmp_path / "kept" if request.param == "folder" else None)


async def refusal(
    sessions: KeptSessions, session_id: str = "sess_1", owner: str = "ada", now_s: float = NOW_S
) -> str:
    with pytest.raises(Refusal) as refused:
        await sessions.take(session_id, owner, now_s)
    assert (refused.value.status_code, refused.value.reason) == (404, "session_not_found")
    return str(refused.value)


async def taken(sessions: KeptSessions, session_id: str, owner: str, now_s: float = NOW_S) -> bool:
    try:
        await sessions.take(session_id, owner, now_s)
    except Refusal:
        return False
    return True


async def test_a_conversation_is_had_once_by_its_owner(sessions: KeptSessions) -> None:
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    assert await sessions.take("sess_1", "ada", NOW_S + 1) == KEPT
    await refusal(sessions)


async def test_of_many_at_once_one_has_it(sessions: KeptSessions) -> None:
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    async with asyncio.TaskGroup() as tasks:
        tries = [tasks.create_task(taken(sessions, "sess_1", "ada")) for _ in range(10)]
    assert [one.result() for one in tries].count(True) == 1


async def test_unknown_expired_used_and_anothers_are_refused_in_the_same_words(sessions: KeptSessions) -> None:
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    await sessions.keep("sess_2", "ada", KEPT, NOW_S)
    await sessions.keep("sess_3", "ada", KEPT, NOW_S)
    await sessions.take("sess_3", "ada", NOW_S)
    words = {
        await refusal(sessions, "nobody"),
        await refusal(sessions, "sess_1", "eve"),
        await refusal(sessions, "sess_2", now_s=NOW_S + KEPT_S),
        await refusal(sessions, "sess_3"),
        await refusal(sessions, "../../etc/passwd\0 \ud800"),
    }
    assert words == {
        "No session of this id is kept for you. One that was cut off can be gone on with once, within 10 minutes; "
        "open a session without 'session_id'."
    }


async def test_who_asks_for_anothers_does_not_take_it_away(sessions: KeptSessions) -> None:
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    await refusal(sessions, owner="eve")
    assert await taken(sessions, "sess_1", "ada", NOW_S + KEPT_S - 1)


async def test_a_conversation_in_which_nothing_was_said_is_not_kept(sessions: KeptSessions) -> None:
    await sessions.keep("sess_1", "ada", kept_of((), SessionConfig()), NOW_S)
    await refusal(sessions)


async def test_a_session_kept_again_is_had_once_as_it_was_last(sessions: KeptSessions) -> None:
    await sessions.keep("sess_1", "ada", sized(10), NOW_S)
    await sessions.keep("sess_1", "ada", KEPT, NOW_S + 1)
    assert await sessions.take("sess_1", "ada", NOW_S + 2) == KEPT
    await refusal(sessions)
    assert sessions.remembered_bytes == 0


async def test_an_owner_has_so_many_and_the_oldest_goes_first(sessions: KeptSessions) -> None:
    await sessions.keep("eves", "eve", KEPT, NOW_S)
    for number in range(MOST_OF_OWNER + 2):
        await sessions.keep(f"sess_{number}", "ada", KEPT, NOW_S + number)
    had = [await taken(sessions, f"sess_{number}", "ada") for number in range(MOST_OF_OWNER + 2)]
    assert had == [False, False, *[True] * MOST_OF_OWNER]
    assert await taken(sessions, "eves", "eve")


# In memory


async def test_in_memory_there_are_so_many_sessions_and_the_oldest_goes_first() -> None:
    sessions = KeptSessions()
    for number in range(MOST_SESSIONS + 3):
        await sessions.keep("sess_1", f"owner_{number}", KEPT, NOW_S)
        await sessions.keep(f"sess_{number}", f"owner_{number}", KEPT, NOW_S)
    assert len(sessions) == MOST_SESSIONS
    assert sessions.remembered_bytes == MOST_SESSIONS * len(encoded(KEPT))
    assert not await taken(sessions, "sess_3", "owner_3")
    assert await taken(sessions, f"sess_{MOST_SESSIONS + 2}", f"owner_{MOST_SESSIONS + 2}")


async def test_in_memory_they_have_so_many_bytes() -> None:
    sessions, large = KeptSessions(), sized(1_000_000)
    count = MEMORY_BYTES // len(encoded(large)) + 2
    for number in range(count):
        await sessions.keep(f"sess_{number}", f"owner_{number}", large, NOW_S)
    assert MEMORY_BYTES - len(encoded(large)) < sessions.remembered_bytes <= MEMORY_BYTES
    had = [await taken(sessions, f"sess_{number}", f"owner_{number}") for number in range(count)]
    assert had == [False, False, *[True] * (count - 2)]
    assert sessions.remembered_bytes == 0


async def test_in_memory_what_is_expired_goes_when_something_comes() -> None:
    sessions = KeptSessions()
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    await sessions.keep("sess_2", "ada", KEPT, NOW_S + 1)
    await sessions.keep("sess_3", "eve", KEPT, NOW_S + KEPT_S)
    assert len(sessions) == 2


# In a folder


async def test_another_process_and_the_next_start_find_it(tmp_path: Path) -> None:
    one, other = KeptSessions(tmp_path / "kept"), KeptSessions(tmp_path / "kept")
    await one.keep("sess_1", "ada", KEPT, NOW_S)
    assert len(one) == 0
    assert await other.take("sess_1", "ada", NOW_S) == KEPT
    await refusal(one)


async def test_two_processes_cannot_both_have_it(tmp_path: Path) -> None:
    processes = [KeptSessions(tmp_path / "kept") for _ in range(4)]
    for turn in range(10):
        await processes[0].keep(f"sess_{turn}", "ada", KEPT, NOW_S)
        async with asyncio.TaskGroup() as tasks:
            tries = [tasks.create_task(taken(one, f"sess_{turn}", "ada")) for one in processes]
        assert [one.result() for one in tries].count(True) == 1


async def test_the_largest_conversation_fits_into_a_file(tmp_path: Path) -> None:
    sessions = KeptSessions(tmp_path / "kept")
    items = tuple(typed(f"item_{number}", '"' * 500) for number in range(3_000))
    kept = KeptConversation(items=items, session={})
    owner = "o" * 64
    await sessions.keep(new_session_id(), owner, kept, NOW_S)
    session_id = new_session_id()
    await sessions.keep(session_id, owner, kept, NOW_S)
    assert (await sessions.take(session_id, owner, NOW_S)).items[-1] == items[-1]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def garble(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes())


def empty(path: Path) -> None:
    path.write_bytes(b"")


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"v":1', b'"v":2'))


def swap(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"ada"', b'"eve"'))


def forge(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"sess_1", b"sess_2"))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [cut, garble, empty, spoil, swap, forge, make_folder])
async def test_a_damaged_file_is_as_good_as_none(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    sessions = KeptSessions(tmp_path / "kept")
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    (path,) = (tmp_path / "kept").iterdir()
    damage(path)
    await refusal(sessions)
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.WARNING, kept_sessions.__name__)
    assert "a kept session" in record.message


async def test_a_folder_that_takes_nothing_leaves_them_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sessions = KeptSessions(tmp_path / "kept")
    monkeypatch.setattr(os, "rename", full)
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    monkeypatch.undo()
    assert (len(sessions), caplog.messages) == (1, ["a session is kept in memory only"])
    assert await sessions.take("sess_1", "ada", NOW_S) == KEPT
    await refusal(sessions)


async def test_a_folder_that_hangs_holds_nobody_up_and_gives_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on, was_written = Event(), Event()
    write = KeptFiles.write

    def late(self: KeptFiles, name: str, owner: str, data: bytes, now_s: float) -> None:
        assert goes_on.wait(10)
        write(self, name, owner, data, now_s)
        was_written.set()

    sessions = KeptSessions(tmp_path / "kept")
    monkeypatch.setattr(KeptFiles, "write", late)
    monkeypatch.setattr(kept_sessions, "DISK_LIMIT_S", 0.01)
    await sessions.keep("sess_1", "ada", KEPT, NOW_S)
    monkeypatch.undo()
    assert caplog.messages == ["a session is kept in memory only"]
    goes_on.set()
    assert await asyncio.to_thread(was_written.wait, 10)
    assert await sessions.take("sess_1", "ada", NOW_S) == KEPT
    await refusal(sessions)
    assert list((tmp_path / "kept").iterdir()) == []


def test_ids_of_sessions_are_not_counted_up() -> None:
    ids = {new_session_id() for _ in range(100)}
    assert len({one[5:16] for one in ids}) == 100
    assert all(one.startswith("sess_") and len(one) <= 32 for one in ids)
