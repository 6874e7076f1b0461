"""A folder of kept things: whole files or none, each taken once, bounded, and for nobody else's eyes."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.realtime.kept_files import KeptFiles

NOW_S = 1_800_000_000.0


def files_in(folder: Path, *, most: int = 5, most_of_owner: int = 3) -> KeptFiles:
    return KeptFiles(folder, keep_s=600.0, most=most, most_of_owner=most_of_owner, most_bytes=100)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_taken_once(tmp_path: Path) -> None:
    files = files_in(tmp_path / "kept")
    files.write("sess_1", "ada", b"words", NOW_S)
    assert files.take("sess_1", "ada") == b"words"
    assert files.take("sess_1", "ada") is None
    assert names_in(tmp_path / "kept") == []


def test_another_process_finds_it(tmp_path: Path) -> None:
    files_in(tmp_path / "kept").write("sess_1", "ada", b"words", NOW_S)
    assert files_in(tmp_path / "kept").take("sess_1", "ada") == b"words"


def test_nobody_else_takes_it_and_it_stays(tmp_path: Path) -> None:
    files = files_in(tmp_path / "kept")
    files.write("sess_1", "ada", b"words", NOW_S)
    assert files.take("sess_1", "eve") is None
    assert files.take("sess_1", "ada") == b"words"


def test_before_anything_was_kept_there_is_nothing(tmp_path: Path) -> None:
    assert files_in(tmp_path / "kept").take("sess_1", "ada") is None
    assert names_in(tmp_path) == []


def test_the_newer_of_one_name_takes_the_place_of_the_older(tmp_path: Path) -> None:
    files = files_in(tmp_path / "kept")
    files.write("sess_1", "ada", b"old", NOW_S)
    files.write("sess_1", "ada", b"new", NOW_S + 1)
    assert files.take("sess_1", "ada") == b"new"
    assert files.take("sess_1", "ada") is None


def test_of_many_who_want_it_one_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    files = files_in(folder)
    with ThreadPoolExecutor(8) as threads:
        for turn in range(20):
            files.write("sess_1", "ada", b"words", NOW_S + turn)
            taken = list(threads.map(lambda _: files_in(folder).take("sess_1", "ada"), range(8)))
            assert (taken.count(b"words"), taken.count(None)) == (1, 7)


def test_only_their_owner_reads_the_files_and_no_name_tells_anything(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "kept"
    files_in(folder).write("sess_1", "ada", b"words", NOW_S)
    (path,) = folder.iterdir()
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "sess_1" not in path.name and "ada" not in path.name
    assert path.stat().st_mtime == NOW_S


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o710])
def test_a_folder_that_is_open_to_others_is_not_used(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "kept"
    files = files_in(folder)
    files.write("sess_1", "ada", b"words", NOW_S)
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 700"):
        files.write("sess_2", "ada", b"words", NOW_S)
    with pytest.raises(PermissionError, match="chmod 700"):
        files.take("sess_1", "ada")


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="open to others"):
        files_in(tmp_path / "kept").write("sess_1", "ada", b"words", NOW_S)


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        files_in(tmp_path / "file" / "kept").write("sess_1", "ada", b"words", NOW_S)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(OSError, match="No space"):
        files_in(tmp_path / "kept").write("sess_1", "ada", b"words", NOW_S)
    assert names_in(tmp_path / "kept") == []


def test_what_is_expired_goes_when_something_comes(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    files = files_in(folder)
    files.write("sess_1", "ada", b"old", NOW_S)
    files.write("sess_2", "eve", b"newer", NOW_S + 1)
    files.write("sess_3", "joe", b"newest", NOW_S + 600)
    assert [files.take(*one) for one in (("sess_1", "ada"), ("sess_2", "eve"))] == [None, b"newer"]


def test_what_a_process_that_died_left_half_done_goes_too(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    files = files_in(folder)
    files.write("sess_1", "ada", b"words", NOW_S)
    (path,) = folder.iterdir()
    left = [path.with_suffix(f".{'0' * 16}.{end}") for end in ("new", "taken")]
    for one in left:
        one.write_bytes(b"wo")
        os.utime(one, (NOW_S, NOW_S))
    files.write("sess_2", "ada", b"words", NOW_S + 599)
    assert [one.exists() for one in left] == [True, True]
    files.write("sess_3", "ada", b"words", NOW_S + 600)
    assert [one.exists() for one in left] == [False, False]


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    files = files_in(folder)
    files.write("sess_1", "ada", b"words", NOW_S)
    for name in ("notes.txt", "x.kept", "0123456789abcdef-00.kept"):
        (folder / name).write_bytes(b"mine")
        os.utime(folder / name, (0, 0))
    files.write("sess_2", "ada", b"words", NOW_S + 10_000)
    assert [name for name in names_in(folder) if len(name) < 50] == [
        "0123456789abcdef-00.kept",
        "notes.txt",
        "x.kept",
    ]


def test_who_keeps_too_many_loses_the_oldest_of_their_own(tmp_path: Path) -> None:
    files = files_in(tmp_path / "kept")
    files.write("sess_0", "eve", b"eve's", NOW_S)
    for number in range(1, 5):
        files.write(f"sess_{number}", "ada", b"%d" % number, NOW_S + number)
    assert [files.take(f"sess_{number}", "ada") for number in range(1, 5)] == [None, b"2", b"3", b"4"]
    assert files.take("sess_0", "eve") == b"eve's"


def test_when_there_are_too_many_the_oldest_of_all_goes(tmp_path: Path) -> None:
    files = files_in(tmp_path / "kept")
    owners = [f"owner_{number}" for number in range(7)]
    for number, owner in enumerate(owners):
        files.write("sess_1", owner, owner.encode(), NOW_S - number)  # each older than the one before
    assert len(names_in(tmp_path / "kept")) == 5
    taken = [files.take("sess_1", owner) for owner in owners]
    assert [owner for owner in taken if owner is not None] == [
        b"owner_0",
        b"owner_1",
        b"owner_2",
        b"owner_3",
        b"owner_6",
    ]


def test_one_that_is_taken_while_others_are_looked_through_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    files = files_in(folder)
    files.write("sess_1", "ada", b"words", NOW_S)
    unlink = os.unlink

    def taken_first(path: str) -> None:
        unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", taken_first)
    files.write("sess_2", "ada", b"words", NOW_S + 600)
    monkeypatch.undo()
    assert files.take("sess_2", "ada") == b"words"


def test_no_more_is_read_than_a_kept_thing_has(tmp_path: Path) -> None:
    files = files_in(tmp_path / "kept")
    files.write("sess_1", "ada", b"x" * 1_000, NOW_S)
    assert files.take("sess_1", "ada") == b"x" * 101
