"""What is told of a part, and names that cannot lead anywhere."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.recordings.sidecar import (
    MOST_PAUSES,
    MOST_REASONS,
    SIDECAR_BYTES,
    NotOurs,
    PausedFor,
    is_call_sid,
    name_of,
    part_of,
    read_sidecar,
    write_sidecar,
)
from pipeline.audio.formats import Encoding
from tests.gateway.recordings.support import CALL, sidecar


def test_it_is_read_as_it_was_written() -> None:
    one = sidecar(3, pauses=(PausedFor(from_ms=20, to_ms=40),), reasons=("No space left on device",))
    assert read_sidecar(write_sidecar(one)) == one
    assert (one.name, one.note_name) == (f"{CALL}.3.wav", f"{CALL}.3.json")
    assert (one.law, one.began_at_s) == (Encoding.ULAW, 1_795_168_800.0)


def test_the_fullest_takes_no_more_room_than_the_first() -> None:
    pauses = (PausedFor(from_ms=10**7, to_ms=10**7),) * MOST_PAUSES
    full = sidecar(999_999, pauses=pauses, reasons=("x" * 60,) * MOST_REASONS)
    assert len(write_sidecar(full)) == len(write_sidecar(sidecar())) == SIDECAR_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps(msgspec.to_builtins(sidecar(call_sid="../../etc/passwd"))),
        json.dumps(msgspec.to_builtins(sidecar(0))),
        json.dumps(msgspec.to_builtins(sidecar(encoding="mp3"))),
        json.dumps(msgspec.to_builtins(sidecar(began_at="yesterday"))),
    ],
)
def test_what_is_no_sidecar_is_refused(text: str) -> None:
    with pytest.raises(NotOurs):
        read_sidecar(text.encode())


@pytest.mark.parametrize(
    "call_sid", ["", "..", "/etc/passwd", "CA" + "7" * 31, "CA" + "G" * 32, CALL + "\n", f"../{CALL}"]
)
def test_no_name_is_made_of_what_is_no_calls_id(call_sid: str) -> None:
    assert not is_call_sid(call_sid)
    with pytest.raises(NotOurs):
        name_of(call_sid, 1)


@pytest.mark.parametrize(
    "name", ["", f"{CALL}.wav", f"{CALL}.0.wav", f"{CALL}.1.mp3", f"x{CALL}.1.wav", f"{CALL}.1.wav~"]
)
def test_other_names_are_none_of_ours(name: str) -> None:
    assert part_of(name) is None


def test_a_name_tells_call_part_and_kind() -> None:
    assert part_of(name_of(CALL, 12, "json")) == (CALL, 12, "json")
