"""Parts in a bucket: in obstore's memory, and over the wire in a server that speaks S3."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.recordings.place import BucketError
from tests.gateway.recordings.support import CALL, OTHER, finished, new_folder, sidecar

pytest.importorskip("obstore", reason="the extra `s3` is not installed")

from obstore import put
from obstore.store import MemoryStore, S3Store

from gateway.recordings.bucket import Bucket, open_bucket

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """moto's server, with a bucket `calls`."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL) as server:
        try:
            until_s = time.monotonic() + LIMIT_S
            while time.monotonic() < until_s and server.poll() is None:
                try:
                    urllib.request.urlopen(urllib.request.Request(f"{url}/calls", method="PUT"), timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield url
        finally:
            server.terminate()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    if request.param == "memory":
        return Bucket(MemoryStore())
    url = request.getfixturevalue("endpoint")
    return Bucket(
        S3Store(
            "calls",
            prefix=f"p{time.monotonic_ns()}",
            endpoint=url,
            access_key_id="k",
            secret_access_key="s",
            region="us-east-1",
            client_options={"allow_http": True},
        )
    )


def test_a_part_is_put_and_found_and_read(bucket: Bucket, tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    parts = [finished(folder, part=number, generation=number) for number in (1, 2)]
    other = finished(folder, call_sid=OTHER)
    for part in (other, *parts[::-1]):
        bucket.put(part, folder.path / part.name)
    assert bucket.parts(CALL) == parts
    assert bucket.parts("../" + CALL) == []
    data = (folder.path / parts[0].name).read_bytes()
    assert bucket.read(parts[0], 10, 20).sound == data[10:30]
    last = bucket.read(parts[0], len(data) - 5, 20)
    assert (last.sound, last.size) == (data[-5:], len(data))
    assert bucket.read(parts[0], len(data), 20).sound == b""
    with pytest.raises(FileNotFoundError):
        bucket.read(sidecar(3), 0, 1)


def test_a_large_part_goes_in_pieces(bucket: Bucket, tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    part = finished(folder, 6_000_000)
    bucket.put(part, folder.path / part.name)
    assert bucket.read(part, 0, 1).size == 12_000_058


def test_the_sweep_drops_what_was_put_before(bucket: Bucket, tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    part = finished(folder)
    bucket.put(part, folder.path / part.name)
    now = datetime.now(UTC)
    assert bucket.sweep(now - timedelta(days=1)) == 0
    assert bucket.sweep(now + timedelta(minutes=1)) == 1
    assert bucket.parts(CALL) == []


def test_what_others_put_there_is_left_alone() -> None:
    store = MemoryStore()
    put(store, f"{CALL}/notes.txt", b"mine")
    put(store, f"{CALL}/{CALL}.1.json", b"no sidecar")
    put(store, f"{OTHER}/{CALL}.1.wav", b"elsewhere")
    bucket = Bucket(store)
    assert bucket.parts(CALL) == []
    assert bucket.sweep(datetime.now(UTC) + timedelta(days=1)) == 0
    assert sorted(one["path"] for batch in store.list() for one in batch) == [
        f"{CALL}/notes.txt",
        f"{OTHER}/{CALL}.1.wav",
    ]


def test_a_bucket_that_does_not_answer_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "never-told",
        "AWS_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    folder = new_folder(tmp_path)
    part = finished(folder)
    with pytest.raises(BucketError) as error:
        open_bucket("s3://calls/prefix").put(part, folder.path / part.name)
    assert "\n" not in str(error.value)
    assert "never-told" not in str(error.value)


def test_what_is_no_bucket_is_refused() -> None:
    with pytest.raises(BucketError, match="s3://BUCKET"):
        open_bucket("s3://")
