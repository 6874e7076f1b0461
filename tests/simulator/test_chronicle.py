from __future__ import annotations

from simulator.call_result import Complaint, Happening
from simulator.chronicle import Chronicle


def test_times_count_from_the_call_and_then_from_the_first_stream() -> None:
    instants = iter([10.0, 10.5, 11.0, 11.0, 11.25, 13.0, 13.0])
    chronicle = Chronicle(lambda: next(instants))
    chronicle.note("webhook", {})
    assert chronicle.begin_sound() == 0
    chronicle.note("start", {})
    assert [one.at_ms for one in chronicle.happenings] == [500.0, 250.0]
    assert chronicle.begin_sound() == 2000


def test_media_are_kept_only_if_wanted_and_never_told_live() -> None:
    told: list[Happening] = []
    keeping, lean = Chronicle(lambda: 0.0, told.append), Chronicle(lambda: 0.0, told.append, keeps_media=False)
    keeping.note_media({"bytes": 160})
    lean.note_media({"bytes": 160})
    assert ([one.name for one in keeping.happenings], lean.happenings, told) == (["media"], (), [])


def test_a_complaint_is_also_a_happening() -> None:
    told: list[Happening] = []
    chronicle = Chronicle(lambda: 0.0, told.append)
    chronicle.complain(31951, "no")
    assert chronicle.complaints == (Complaint(31951, "no", 0.0),)
    assert told == list(chronicle.happenings)
    assert told[0].detail == {"code": 31951, "message": "no"}


def test_a_time_known_better_than_now_is_taken() -> None:
    chronicle = Chronicle(lambda: 5.0)
    chronicle.note("agent.heard", {}, at_ms=120.0)
    assert chronicle.happenings == (Happening(5.0, 120.0, "agent.heard", {}),)
    assert chronicle.duration_s == 0.0
