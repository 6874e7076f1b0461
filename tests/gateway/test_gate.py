from __future__ import annotations

import pytest

from gateway.calls.admission import Admission, Limits, Verdict
from gateway.calls.standing import Standing, put_together
from gateway.gate import Gate, turn_away
from tests.gateway.signed import VOICE, Clock
from twiml.webhooks import read_voice


def test_the_gate_asks_on_its_own_clock_and_gives_seats_back() -> None:
    clock = Clock()
    gate = Gate(admission=Admission(Limits(calls=1)), now=clock)
    assert gate.admit("a", line="+1", hold_s=5) is Verdict.ADMITTED
    assert gate.admit_waiting("b", line="+1", position=1, hold_s=5) is Verdict.WORKER_FULL
    clock.now_s += 5
    assert gate.judge() is Verdict.WORKER_FULL  # one waits
    assert gate.admit_waiting("b", line="+1", position=1, hold_s=5) is Verdict.ADMITTED
    gate.resume("b", line="+1")
    clock.now_s += 1_000
    assert gate.admit("c", line="+1", key="k") is Verdict.WORKER_FULL
    assert (gate.release("b"), gate.release("b")) == (True, False)


def test_a_gateway_that_stops_lets_nobody_in_any_more() -> None:
    is_open = True
    gate = Gate(admission=Admission(), now=Clock(), is_open=lambda: is_open)
    assert gate.judge() is Verdict.ADMITTED
    is_open = False
    assert gate.judge() is Verdict.DRAINING
    is_open = True
    assert gate.admit("a", line="+1") is Verdict.DRAINING


@pytest.mark.parametrize(
    ("with_room", "expected"),
    [(0, False), (1, False), (2, True)],
    ids=["all full", "one has room", "two have room"],
)
def test_a_full_worker_steers_away_only_while_one_of_those_with_room_may_die(
    with_room: int, expected: bool
) -> None:
    gate = Gate(admission=Admission(Limits(calls=1)), now=Clock())
    standings = [Standing(room=2)] * with_room + [Standing()]
    gate.hear(put_together(standings, live=len(standings)))
    assert not gate.steers_away()
    gate.admit("reserved", line="+1", hold_s=5)
    assert not gate.steers_away(), "it may stream elsewhere"
    gate.resume("here", line="+1")
    assert gate.steers_away() is expected
    assert gate.standing() == Standing(reserved={"reserved": "+1"}, settled=("here",))


def test_without_a_ladder_a_caller_is_told_and_the_call_ends() -> None:
    document = turn_away(read_voice(VOICE), Verdict.WORKER_FULL, {})
    assert "All our lines are busy." in document
    assert document.endswith("<Hangup /></Response>")
