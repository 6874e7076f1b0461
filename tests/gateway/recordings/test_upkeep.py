"""What is done besides recording: uploads that survive everything, closing what was left, sweeping."""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.recordings import upkeep as upkeeping
from gateway.recordings.folder import DAY_S, Folder
from gateway.recordings.place import BucketError, Span
from gateway.recordings.sidecar import Sidecar
from gateway.recordings.upkeep import Upkeep
from tests.gateway.recordings.support import CALL, OTHER, finished, left_behind, new_folder

LIMIT_S = 30.0


@dataclass
class Shop:
    """A bucket that is open or not."""

    is_open: bool = True
    puts: list[str] = field(default_factory=list)
    tries: int = 0
    swept: list[datetime] = field(default_factory=list)
    has: threading.Event = field(default_factory=threading.Event)
    unreadable: str = ""

    def put(self, sidecar: Sidecar, sound: Path) -> None:
        self.tries += 1
        if not self.is_open:
            raise BucketError("closed")
        if sidecar.name == self.unreadable:
            raise OSError(5, "Input/output error")
        assert sound.read_bytes().startswith(b"RIFF")
        self.puts.append(sidecar.name)
        self.has.set()

    def parts(self, call_sid: str) -> list[Sidecar]:
        raise AssertionError("upkeep asks for no calls")

    def read(self, sidecar: Sidecar, first: int, most: int) -> Span:
        raise AssertionError("upkeep reads nothing")

    def sweep(self, put_before: datetime) -> int:
        if not self.is_open:
            raise BucketError("closed")
        self.swept.append(put_before)
        return 1


def upkeep_of(folder: Folder, shop: Shop | None, keep_days: int = 0) -> tuple[Upkeep, list[int]]:
    waiting: list[int] = []
    return Upkeep(folder, shop, keep_days, waiting.append), waiting


def test_what_is_finished_goes_to_the_bucket_and_leaves_the_folder(tmp_path: Path) -> None:
    folder, shop = new_folder(tmp_path), Shop()
    part, left = finished(folder), left_behind(folder, call_sid=OTHER)
    upkeep, waiting = upkeep_of(folder, shop)
    upkeep.turn(0.0)
    assert shop.puts == [part.name, left.name]
    assert list(folder.path.iterdir()) == []
    assert waiting[0] > 0 == waiting[-1]


def test_a_bucket_that_is_away_is_asked_less_and_less_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    folder, shop = new_folder(tmp_path), Shop(is_open=False)
    parts = [finished(folder), finished(folder, call_sid=OTHER)]
    upkeep, _ = upkeep_of(folder, shop)
    with caplog.at_level(logging.INFO):
        for now_s in range(1_000):
            upkeep.turn(float(now_s))
        assert shop.tries == 10  # at once, after 2, 4 … 256 seconds, and then every 300
        shop.is_open = True
        upkeep.turn(5_000.0)
    assert shop.puts == [part.name for part in parts]
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "recordings cannot be uploaded",
        "recordings are uploaded again",
    ]


def test_what_could_not_be_uploaded_at_the_end_is_kept_and_uploaded_after_a_restart(tmp_path: Path) -> None:
    folder, shop = new_folder(tmp_path), Shop(is_open=False)
    part = finished(folder)
    upkeep, _ = upkeep_of(folder, shop)
    upkeep.start()
    assert upkeep.stop()
    assert shop.tries >= 1
    assert [one.name for one in folder.parts()] == [part.name], "nothing is lost with the process"
    shop.is_open = True
    again, _ = upkeep_of(Folder(folder.path), shop)
    again.start()
    assert shop.has.wait(LIMIT_S)
    assert again.stop()
    assert shop.puts == [part.name]
    assert list(folder.path.iterdir()) == []


def test_one_part_that_cannot_be_read_does_not_hold_up_the_others(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    bad, good = finished(folder), finished(folder, call_sid=OTHER)
    shop = Shop(unreadable=bad.name)
    upkeep_of(folder, shop)[0].turn(0.0)
    assert shop.puts == [good.name]
    assert folder.parts() == [bad]


def test_what_another_process_uploads_is_left_to_it(tmp_path: Path) -> None:
    folder, shop = new_folder(tmp_path), Shop()
    part = finished(folder)
    with folder.locked(part) as is_ours:
        assert is_ours
        upkeep_of(folder, shop)[0].turn(0.0)
    assert (shop.tries, folder.parts()) == (0, [part])


def test_a_sidecar_alone_is_dropped(tmp_path: Path) -> None:
    folder, shop = new_folder(tmp_path), Shop()
    part = finished(folder)
    (folder.path / part.name).unlink()
    upkeep_of(folder, shop)[0].turn(0.0)
    assert list(folder.path.iterdir()) == []


def test_old_recordings_are_dropped_once_a_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, shop = new_folder(tmp_path), Shop()
    new = finished(folder, call_sid=OTHER, began_at=datetime.now(UTC).isoformat())
    finished(folder, began_at="2020-01-01T00:00:00+00:00")
    only_disk, _ = upkeep_of(folder, None, keep_days=30)
    only_disk.turn(0.0)
    assert folder.parts() == [new]
    finished(folder, began_at="2020-01-01T00:00:00+00:00")
    only_disk.turn(DAY_S - 1)
    assert len(folder.parts(CALL)) == 1
    only_disk.turn(DAY_S)
    assert folder.parts() == [new]
    upkeep, _ = upkeep_of(folder, shop, keep_days=30)
    upkeep.turn(0.0)
    assert len(shop.swept) == 1
    shop.is_open = False
    upkeep.turn(DAY_S)
    assert "cannot be dropped" in caplog.text


def test_its_thread_works_when_told_and_once_more_at_the_end(tmp_path: Path) -> None:
    folder, shop = new_folder(tmp_path), Shop()
    upkeep, _ = upkeep_of(folder, shop)
    upkeep.start()
    first = finished(folder)
    upkeep.look()
    assert shop.has.wait(LIMIT_S)
    second = finished(folder, call_sid=OTHER)
    assert upkeep.stop()
    assert shop.puts == [first.name, second.name]


def test_a_folder_that_is_gone_and_a_fault_of_ours_do_not_end_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, _ = upkeep_of(Folder(tmp_path / "gone"), None)
    gone.start()
    assert gone.stop()
    assert "cannot be used" in caplog.text
    faulty, _ = upkeep_of(new_folder(tmp_path), None)
    monkeypatch.setattr(faulty, "turn", lambda _now_s: [][0])
    faulty.start()
    assert faulty.stop()
    assert "fault of ours" in caplog.text


def test_after_a_failure_it_comes_back_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeeping, "FIRST_RETRY_S", 0.01)
    folder, shop = new_folder(tmp_path), Shop(is_open=False)
    finished(folder)
    upkeep, _ = upkeep_of(folder, shop)
    upkeep.turn(-1_000.0)
    shop.is_open = True
    upkeep.start()
    assert shop.has.wait(LIMIT_S)
    assert upkeep.stop()
