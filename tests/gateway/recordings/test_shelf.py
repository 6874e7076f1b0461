from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from gateway.recordings.place import Span
from gateway.recordings.shelf import Shelf
from gateway.recordings.sidecar import Sidecar
from tests.gateway.recordings.support import CALL, finished, new_folder, sidecar


@dataclass
class Cellar:
    """A bucket that holds one call's parts."""

    held: list[Sidecar] = field(default_factory=list)

    def put(self, sidecar: Sidecar, sound: Path) -> None:
        raise AssertionError("a shelf puts nothing")

    def parts(self, call_sid: str) -> list[Sidecar]:
        return [one for one in self.held if one.call_sid == call_sid]

    def read(self, sidecar: Sidecar, first: int, most: int) -> Span:
        return Span(b"from the bucket", 15)

    def sweep(self, put_before: datetime) -> int:
        raise AssertionError("a shelf drops nothing")


def test_what_is_in_the_folder_is_read_there_and_the_rest_in_the_bucket(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    here = finished(folder, part=2, generation=2)
    there = sidecar(1)
    shelf = Shelf(folder, Cellar([there, sidecar(2)]))
    assert shelf.parts(CALL) == [there, here]
    assert shelf.read(here, 0, 4).sound == b"RIFF"
    assert shelf.read(there, 0, 4).sound == b"from the bucket"
    assert b"".join(shelf.joined([here])) == (folder.path / here.name).read_bytes()


def test_without_a_bucket_what_is_not_in_the_folder_is_gone(tmp_path: Path) -> None:
    shelf = Shelf(new_folder(tmp_path))
    assert shelf.parts(CALL) == []
    with pytest.raises(FileNotFoundError):
        shelf.read(sidecar(), 0, 1)
