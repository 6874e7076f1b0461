"""The API of recordings: who may ask, what is told, and bytes by the range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from gateway.recordings.folder import Folder
from gateway.recordings.http import routes
from gateway.recordings.place import BucketError
from gateway.recordings.recorder import Recorder
from tests.gateway.recordings.support import CALL, OTHER, finished, new_folder

PATH = f"/v1/calls/{CALL}/recordings"


def refuse(request: Request) -> Response | None:
    return None if request.headers.get("authorization") == "Bearer key" else Response(status_code=401)


class House:
    def __init__(self, path: Path) -> None:
        self.folder = new_folder(path)
        self.recorder = Recorder(
            Folder(self.folder.path),
            None,
            records=True,
            keep_days=0,
            as_pcm16=False,
            count=lambda _state: None,
            show_waiting=lambda _size: None,
        )
        self.app = Starlette(routes=list(routes(self.recorder, refuse)))
        self.client = TestClient(self.app, headers={"Authorization": "Bearer key"})

    @contextmanager
    def breaking(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        def fail(*_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(type(self.recorder.shelf), "parts", fail)
            yield


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/1", f"{PATH}/joined"])
def test_nobody_may_listen_without_the_key(house: House, path: str) -> None:
    finished(house.folder)
    assert TestClient(house.app).get(path).status_code == 401
    assert house.client.get(path).status_code == 200


def test_the_parts_of_a_call_are_listed(house: House) -> None:
    finished(house.folder, part=2, generation=2, offset_ms=900)
    told = house.client.get(PATH).json()["recordings"]
    assert [(one["part"], one["state"], one["duration_ms"], one["offset_ms"]) for one in told] == [
        (2, "whole", 100, 900)
    ]
    assert house.client.get(f"/v1/calls/{OTHER}/recordings").json() == {"recordings": []}


@pytest.mark.parametrize(
    ("asked", "status_code", "first", "last"),
    [
        (None, 200, 0, 1_657),
        ("bytes=0-", 206, 0, 1_657),
        ("bytes=100-199", 206, 100, 199),
        ("bytes=1600-9999", 206, 1_600, 1_657),
        ("bytes=-58", 206, 1_600, 1_657),
        ("bytes=-9999", 206, 0, 1_657),
        ("bytes=-", 200, 0, 1_657),
        ("bytes=0-1,5-9", 200, 0, 1_657),
        ("seconds=1-2", 200, 0, 1_657),
    ],
)
def test_the_sound_is_served_by_the_range(
    house: House, asked: str | None, status_code: int, first: int, last: int
) -> None:
    part = finished(house.folder)
    data = (house.folder.path / part.name).read_bytes()
    response = house.client.get(f"{PATH}/1", headers={"Range": asked} if asked else {})
    assert (response.status_code, response.content) == (status_code, data[first : last + 1])
    assert response.headers["content-type"] == "audio/wav"
    wanted = f"bytes {first}-{last}/1658" if status_code == 206 else None
    assert response.headers.get("content-range") == wanted


@pytest.mark.parametrize("asked", ["bytes=1658-", "bytes=9-8", "bytes=-0"])
def test_a_range_that_is_not_there_is_refused(house: House, asked: str) -> None:
    finished(house.folder)
    response = house.client.get(f"{PATH}/1", headers={"Range": asked})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */1658")


@pytest.mark.parametrize("part", ["2", "0", "x", "..%2f..%2fetc%2fpasswd", "1.wav"])
def test_what_is_not_there_is_not_found(house: House, part: str) -> None:
    finished(house.folder)
    assert house.client.get(f"{PATH}/{part}").status_code == 404
    assert house.client.get("/v1/calls/..%2f..%2fetc/recordings/1").status_code == 404
    assert house.client.get(f"/v1/calls/{OTHER}/recordings/joined").status_code == 404


def test_a_part_whose_sound_is_gone_is_not_found(house: House) -> None:
    part = finished(house.folder)
    (house.folder.path / part.name).unlink()
    assert house.client.get(f"{PATH}/1").json()["error"]["code"] == "recording_not_found"


def test_all_parts_come_as_one(house: House) -> None:
    finished(house.folder)
    finished(house.folder, part=2, generation=2, offset_ms=200)
    response = house.client.get(f"{PATH}/joined")
    assert (response.status_code, len(response.content)) == (200, 58 + 2 * 2_400)
    finished(house.folder, part=3, generation=3, encoding="pcm16")
    assert house.client.get(f"{PATH}/joined").status_code == 409


@pytest.mark.parametrize("error", [BucketError("away"), PermissionError("no")])
def test_a_place_that_cannot_be_read_is_our_fault(
    house: House, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.breaking(error, monkeypatch):
        assert house.client.get(PATH).json()["error"]["code"] == "recordings_unavailable"


def test_without_a_recorder_there_are_no_routes() -> None:
    assert routes(None, refuse) == []
