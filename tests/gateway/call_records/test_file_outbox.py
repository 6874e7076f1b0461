from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.outbox import MOST_DEAD, Fill, OutboxUnavailable
from tests.gateway.call_records.support import BEGAN_S, sid

pytestmark = pytest.mark.anyio

BODY = b'{"data":{}}'


async def opened(folder: Path) -> FileOutbox:
    box = FileOutbox(folder)
    await box.prepare()
    return box


async def test_what_waits_or_was_under_way_is_due_at_once_after_a_restart(tmp_path: Path) -> None:
    before = await opened(tmp_path / "box")
    for number in (1, 2, 3):
        await before.put(sid(number), BODY, BEGAN_S + number)
    under_way, _ = await before.claim(BEGAN_S + 5, most=2, lease_s=1000)
    assert under_way.call_sid == sid(1)
    after = await opened(tmp_path / "box")
    letters = await after.claim(BEGAN_S + 6, most=9, lease_s=10)
    assert [(one.call_sid, one.body, one.put_at_s, one.tries) for one in letters] == [
        (sid(number), BODY, BEGAN_S + number, 1) for number in (1, 2, 3)
    ]


async def test_what_nobody_took_stays_so_after_a_restart(tmp_path: Path) -> None:
    before = await opened(tmp_path / "box")
    await before.put(sid(1), BODY, BEGAN_S)
    (letter,) = await before.claim(BEGAN_S, most=1, lease_s=10)
    await before.bury(letter, "HTTP 410", BEGAN_S + 1)
    after = await opened(tmp_path / "box")
    assert await after.fill() == Fill(0, None, 1)
    assert [(one.call_sid, one.why) for one in await after.dead()] == [(sid(1), "HTTP 410")]


async def test_a_letter_revived_by_another_program_is_found(tmp_path: Path) -> None:
    box = await opened(tmp_path / "box")
    await box.put(sid(1), BODY, BEGAN_S)
    (letter,) = await box.claim(BEGAN_S, most=1, lease_s=10)
    await box.bury(letter, "HTTP 410", BEGAN_S + 1)
    other = await opened(tmp_path / "box")
    assert await other.revive(sid(1), BEGAN_S + 2)
    assert await box.claim(BEGAN_S + 3, most=1, lease_s=10) == []
    assert (await box.fill()).waiting == 1
    assert [one.call_sid for one in await box.claim(BEGAN_S + 3, most=1, lease_s=10)] == [sid(1)]


async def test_half_a_letter_and_what_is_none_are_passed_over(tmp_path: Path) -> None:
    box = await opened(tmp_path / "box")
    (tmp_path / "box" / f"{sid(1)}.json").write_text('{"put_at_s": 1')
    (tmp_path / "box" / f"{sid(2)}.draft").write_text("{}")
    (tmp_path / "box" / "notes.txt").write_text("hello")
    await box.put(sid(3), BODY, BEGAN_S)
    await box.put(sid(4), BODY, BEGAN_S)
    (tmp_path / "box" / f"{sid(4)}.json").unlink()
    again = await opened(tmp_path / "box")
    assert [one.call_sid for one in await again.claim(BEGAN_S, most=9, lease_s=10)] == [sid(3)]
    assert [one.call_sid for one in await box.claim(BEGAN_S, most=9, lease_s=10)] == [sid(3)]
    assert (await box.fill()).waiting == 1


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    box = await opened(tmp_path / "box")
    await box.put(sid(1), BODY, BEGAN_S)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "box", tmp_path / "box" / f"{sid(1)}.json")]
    assert modes == [0o700, 0o600]


async def test_a_folder_that_is_none_or_somebody_elses_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(OutboxUnavailable, match=name):
            await opened(tmp_path / name)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OutboxUnavailable, match="of this user's"):
        await opened(tmp_path / "box")


async def test_a_disk_that_cannot_be_written_is_told_and_nothing_is_half_put(tmp_path: Path) -> None:
    box = await opened(tmp_path / "box")
    (tmp_path / "box" / f"{sid(1)}.draft").mkdir()
    with pytest.raises(OutboxUnavailable, match="box: Is a directory"):
        await box.put(sid(1), BODY, BEGAN_S)
    assert await box.fill() == Fill(0, None, 0)
    (tmp_path / "box" / f"{sid(1)}.draft").rmdir()
    assert await box.put(sid(1), BODY, BEGAN_S)


async def test_a_name_that_leads_elsewhere_is_no_calls_id(tmp_path: Path) -> None:
    box = await opened(tmp_path / "box")
    with pytest.raises(ValueError, match="no call's id"):
        await box.put("../../etc/passwd", BODY, BEGAN_S)
    assert await box.dead_body("../x") is None
    assert not await box.revive("../x", BEGAN_S)


async def test_of_the_dead_only_so_many_are_kept(tmp_path: Path) -> None:
    box = await opened(tmp_path / "box")
    for number in range(MOST_DEAD):
        page = f'{{"put_at_s":1,"body":"{{}}","died_at_s":{BEGAN_S + number},"why":"HTTP 410"}}'
        (tmp_path / "box" / "dead" / f"{sid(number)}.json").write_text(page)
    await box.put(sid(MOST_DEAD), BODY, BEGAN_S)
    (letter,) = await box.claim(BEGAN_S, most=1, lease_s=10)
    await box.bury(letter, "HTTP 410", BEGAN_S + MOST_DEAD)
    dead = await box.dead()
    assert (len(dead), dead[0].call_sid, dead[-1].call_sid) == (MOST_DEAD, sid(MOST_DEAD), sid(1))
