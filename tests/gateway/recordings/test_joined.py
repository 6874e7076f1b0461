"""Parts of a call as one file, each in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.recordings import joined as joining
from gateway.recordings import wav
from gateway.recordings.joined import joined
from gateway.recordings.sidecar import NotOurs, Sidecar
from tests.gateway.recordings.support import finished, new_folder, sidecar, sound

QUIET = b"\xff"


def caller_of(parts: list[Sidecar], path: Path) -> bytes:
    folder = new_folder(path)
    data = b"".join(joined(parts, lambda part, first, most: folder.read(part, first, most).sound))
    start = wav.HEAD_BYTES
    assert int.from_bytes(data[start - 4 : start], "little") == len(data) - start
    return data[start::2]


def test_each_part_stands_at_its_place_in_the_calls_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "AT_ONCE_BYTES", 128)
    folder = new_folder(tmp_path)
    parts = [finished(folder, 800, part=2, generation=2, offset_ms=1_150), finished(folder, 400, offset_ms=1_000)]
    assert caller_of(parts, tmp_path) == sound(400) + QUIET * 800 + sound(800)


def test_where_two_meet_the_newer_counts(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    parts = [finished(folder, 800), finished(folder, 800, part=2, generation=2, offset_ms=50)]
    assert caller_of(parts, tmp_path) == sound(400) + sound(800)


def test_a_part_that_is_shorter_than_it_says_is_filled_up(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    part = finished(folder, 800)
    with open(folder.path / part.name, "r+b") as file:
        file.truncate(wav.HEAD_BYTES + 200)
    assert caller_of([part], tmp_path) == sound(100) + QUIET * 700


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(NotOurs, match="without parts"):
        next(joined([], lambda *_: b""))
    with pytest.raises(NotOurs, match="not written alike"):
        next(joined([sidecar(), sidecar(2, encoding="pcm16")], lambda *_: b""))
