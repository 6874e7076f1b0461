from __future__ import annotations

import re
import socket

import pytest

from gateway import worker_id as module
from gateway.worker_id import new_worker_id, take_worker_id, worker_id


@pytest.fixture(autouse=True)
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not been asked for its name yet."""
    monkeypatch.setattr(module, "_own", [])


def test_a_name_says_host_and_place_and_is_new_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "voice_1.example.com")
    assert re.fullmatch(r"voice-1-example-com-w2-[0-9a-f]{6}", new_worker_id(2))
    assert re.fullmatch(r"voice-1-example-com-[0-9a-f]{6}", new_worker_id())
    assert len({new_worker_id(1) for _ in range(20)}) == 20


def test_a_host_without_a_usable_name_is_a_worker_and_a_long_one_keeps_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "___")
    assert new_worker_id().startswith("worker-")
    monkeypatch.setattr(socket, "gethostname", lambda: "x" * 60 + "end")
    assert new_worker_id().rpartition("-")[0] == "x" * 37 + "end"


def test_a_process_keeps_the_name_it_makes() -> None:
    assert worker_id() == worker_id()


def test_a_process_goes_by_the_name_it_is_given_and_takes_no_second_one() -> None:
    take_worker_id("host-w1-000000")
    take_worker_id("host-w1-000000")
    assert worker_id() == "host-w1-000000"
    with pytest.raises(RuntimeError, match="host-w1-000000 already"):
        take_worker_id("host-w1-111111")
