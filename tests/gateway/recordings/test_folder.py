"""The folder: ours alone, nothing in it but what is ours, and what a dead worker left."""

from __future__ import annotations

import fcntl
import os
import wave
from pathlib import Path

import pytest

from gateway.recordings.folder import DAY_S, Folder
from gateway.recordings.part_file import PartFile
from gateway.recordings.sidecar import State
from pipeline.audio.formats import PCMU
from tests.gateway.recordings.support import (
    CALL,
    OTHER,
    channels,
    finished,
    left_behind,
    mode_of,
    new_folder,
    sidecar,
    sound,
    stretch,
)


def test_it_is_made_for_us_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new" / "folder")
    folder.prepare()
    folder.prepare()
    assert mode_of(folder.path) == 0o700


def test_one_that_others_can_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(PermissionError, match="chmod 700"):
        Folder(tmp_path).prepare()


def test_parts_are_found_by_call_and_in_order(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    parts = [finished(folder, part=number, generation=number) for number in (10, 2)]
    other = finished(folder, call_sid=OTHER)
    assert folder.parts(CALL) == parts[::-1]
    assert folder.parts() == [*parts[::-1], other]
    assert folder.parts("../" + CALL) == []
    assert folder.read(other, 0, 4).sound == b"RIFF"


def test_nothing_but_ours_is_read_and_no_link_is_followed(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    elsewhere = new_folder(tmp_path / "elsewhere")
    secret = finished(elsewhere)
    (folder.path / secret.note_name).symlink_to(elsewhere.path / secret.note_name)
    (folder.path / f"{CALL}.2.json").write_text("{}")
    (folder.path / f"{CALL}.3.json").write_bytes((elsewhere.path / secret.note_name).read_bytes())
    (folder.path / "notes.json").write_text("{}")
    assert folder.parts() == []
    (folder.path / secret.name).symlink_to(elsewhere.path / secret.name)
    with pytest.raises(OSError, match="symbolic links"):
        folder.read(secret, 0, 4)


def test_what_a_dead_worker_left_is_closed_as_partial(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    left = left_behind(folder)
    (closed,) = folder.recover()
    assert (closed.state, closed.reasons, closed.duration_ms) == (State.PARTIAL, ("the worker died",), 100)
    assert folder.parts() == [closed]
    path = folder.path / left.name
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 1)  # half a sample, which no header counts
    assert channels(path)[0] == sound(800)
    assert folder.recover() == []


def test_pcm_that_a_dead_worker_left_is_read_by_others(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    left = left_behind(folder, encoding="pcm16")
    folder.recover()
    with wave.open(str(folder.path / left.name)) as read:
        assert read.getnframes() == 800


def test_what_is_being_recorded_is_left_alone(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    file = PartFile(folder.path, sidecar(), PCMU)
    assert folder.recover() == []
    file.write(stretch(0, 800), 0.0)
    assert file.finish(800, []) is State.WHOLE


def test_a_sidecar_whose_sound_is_gone_is_not_recovered(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    left = left_behind(folder)
    (folder.path / left.name).unlink()
    assert folder.recover() == []


def test_the_sweep_drops_what_is_old_and_ours(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    old, new = finished(folder), finished(folder, call_sid=OTHER, began_at="2026-11-22T10:00:00+00:00")
    going_on = left_behind(folder, part=2, generation=2)
    kept = folder.path / "CA-notes.txt"
    kept.write_text("mine")
    os.utime(kept, (0, 0))
    assert folder.sweep(2, old.began_at_s + 2 * DAY_S) == 1
    assert sorted(path.name for path in folder.path.iterdir()) == sorted(
        [new.name, new.note_name, going_on.name, going_on.note_name, kept.name]
    )


def test_sound_whose_sidecar_was_never_written_is_swept_by_its_age(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    names = [f"{CALL}.{number}.wav" for number in (1, 2, 3)]
    for name in (*names, f"{CALL}.4.json", f"{CALL}.txt", f"{CALL}.05.wav"):
        (folder.path / name).write_bytes(b"RIFF")
        os.utime(folder.path / name, (1_000.0, 1_000.0))
    os.utime(folder.path / names[1], (1_001.0, 1_001.0))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    os.utime(elsewhere, (0, 0))
    (folder.path / f"{OTHER}.1.wav").symlink_to(elsewhere)
    (folder.path / f"{OTHER}.2.wav").mkdir()
    os.utime(folder.path / f"{OTHER}.2.wav", (0, 0))
    with open(folder.path / names[2], "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        assert folder.sweep(1, 1_000.0 + DAY_S) == 1
    left = sorted(path.name for path in folder.path.iterdir())
    assert left == sorted([*names[1:], f"{CALL}.txt", f"{CALL}.05.wav", f"{OTHER}.1.wav", f"{OTHER}.2.wav"])
    assert elsewhere.read_bytes() == b"mine"


def test_what_waits_is_counted_in_bytes(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    assert folder.waiting_bytes() == 0
    part = finished(folder)
    (folder.path / "other").write_bytes(bytes(1_000))
    sizes = [(folder.path / name).stat().st_size for name in (part.name, part.note_name)]
    assert folder.waiting_bytes() == sum(sizes)
    folder.drop(part)
    folder.drop(part)
    assert folder.waiting_bytes() == 0
