"""One thread that writes: in order, bounded, and no fault of one recording ends the others."""

from __future__ import annotations

import logging
import threading

import pytest

from gateway.recordings import writer as writing
from gateway.recordings.writer import Writer

LIMIT_S = 30.0


def test_work_is_done_in_the_order_it_was_given() -> None:
    writer, done = Writer(), list[int]()
    writer.start()
    for number in range(100):
        assert writer.give(lambda number=number: done.append(number), 10)  # type: ignore[misc] # a default binds it
    assert writer.stop()
    assert done == list(range(100))


def test_what_finds_no_room_is_refused_and_what_has_no_size_is_not() -> None:
    writer, gate, done = Writer(most_waiting_bytes=100), threading.Event(), list[str]()
    assert writer.give(gate.wait, 60)  # type: ignore[arg-type] # what it returns is nobody's
    assert not writer.give(lambda: done.append("too much"), 41)
    assert writer.give(lambda: done.append("fits"), 40)
    assert writer.give(lambda: done.append("end"))
    writer.start()
    gate.set()
    assert writer.stop()
    assert done == ["fits", "end"]
    assert writer.give(lambda: None, 100), "the room is free again"


def test_a_fault_of_one_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    writer, done = Writer(), list[str]()
    writer.start()
    with caplog.at_level(logging.ERROR):
        writer.give(lambda: [][0])
        writer.give(lambda: done.append("after"))
        assert writer.stop()
    assert done == ["after"]
    assert len(caplog.records) == 1


def test_a_disk_that_never_answers_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LEAVE_LIMIT_S", 0.01)
    writer, gate = Writer(), threading.Event()
    writer.start()
    writer.give(lambda: (gate.wait(LIMIT_S), None)[1])
    assert not writer.stop()
    gate.set()
