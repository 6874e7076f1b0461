from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.calls.admission import (
    BUSY_LIMIT,
    BUSY_REOPEN,
    NO_LIMITS,
    REOPEN,
    SETTLE_S,
    SETTLED_MEMORY_S,
    START_SHARE,
    WAITING_MEMORY_S,
    Admission,
    Limits,
    Measurement,
    Verdict,
)
from gateway.calls.standing import MOST_ROOM, NOBODY, Standing, put_together

LINE, OTHER_LINE = "+493012345", "+493099999"
LAG = Limits(lateness_s=0.01)
PERIOD_S = 0.05


def admit(admission: Admission, call_sid: str, line: str = LINE, now_s: float = 0.0) -> Verdict:
    return admission.admit(call_sid, line=line, now_s=now_s)


def measured(admission: Admission, *, lateness_s: float = 0.0, busy: float = 0.0, until_s: float) -> float:
    """Measurements of one kind up to `until_s`; gives the time of the last."""
    last = admission._last
    now_s = last.at_s if last else 0.0
    while now_s < until_s:
        now_s += PERIOD_S + lateness_s
        admission.measure(Measurement(now_s, lateness_s, busy, PERIOD_S))
    return now_s


def test_without_limits_everybody_is_let_in() -> None:
    admission = Admission(NO_LIMITS)
    now_s = measured(admission, lateness_s=1.0, busy=1.0, until_s=5)
    assert {admit(admission, f"CA{n}", now_s=now_s) for n in range(500)} == {Verdict.ADMITTED}
    assert admission.held == 500


def test_the_reasons_are_told_apart() -> None:
    admission = Admission(Limits(calls=3, calls_per_line=2, calls_per_key=1))
    assert admission.admit("a", line=LINE, now_s=0, key="k") is Verdict.ADMITTED
    assert admission.admit("b", line=OTHER_LINE, now_s=0, key="k") is Verdict.KEY_FULL
    assert admission.admit("b", line=LINE, now_s=0, key="other") is Verdict.ADMITTED
    assert admit(admission, "c") is Verdict.LINE_FULL
    assert admit(admission, "c", OTHER_LINE) is Verdict.ADMITTED
    assert admit(admission, "d", OTHER_LINE) is Verdict.WORKER_FULL
    admission.drain()
    assert admit(admission, "d", OTHER_LINE) is Verdict.DRAINING
    assert admission.judge(line=LINE, now_s=0) is Verdict.DRAINING


def test_a_webhook_that_comes_twice_takes_one_seat_even_while_draining() -> None:
    admission = Admission(Limits(calls=1))
    assert admit(admission, "a") is admit(admission, "a") is Verdict.ADMITTED
    assert [one for one in Verdict if one.is_admitted] == [Verdict.ADMITTED]
    admission.drain()
    assert admit(admission, "a") is Verdict.ADMITTED
    assert admission.held == 1
    assert [admission.release("a", 0), admission.release("a", 0)] == [True, False]


def test_a_call_that_comes_back_is_never_refused() -> None:
    admission = Admission(Limits(calls=1))
    admit(admission, "a")
    admission.drain()
    for _ in range(2):
        admission.resume("b", line=LINE, now_s=1)
    assert admission.held == 2
    assert admit(admission, "b") is Verdict.ADMITTED


def test_a_seat_is_given_back_when_what_follows_fails() -> None:
    admission = Admission(Limits(calls=1))
    admit(admission, "a")
    with admission.given_back_on_failure("a"):
        pass
    assert admission.held == 1
    with pytest.raises(KeyError), admission.given_back_on_failure("a"):
        raise KeyError("the store failed")
    assert admission.held == 0


def test_a_seat_that_is_held_is_free_again_unless_the_call_comes() -> None:
    admission = Admission(Limits(calls=1))
    assert admission.admit_waiting("a", line=LINE, position=1, now_s=0, hold_s=15) is Verdict.ADMITTED
    assert admission.admit_waiting("a", line=LINE, position=1, now_s=1, hold_s=15) is Verdict.ADMITTED
    assert admit(admission, "b", now_s=15.9) is Verdict.WORKER_FULL
    assert admit(admission, "b", now_s=16) is Verdict.ADMITTED
    admission.release("b", 16)
    admission.admit_waiting("c", line=LINE, position=1, now_s=20, hold_s=15)
    admit(admission, "c", now_s=21)
    assert admit(admission, "d", now_s=1e6) is Verdict.WORKER_FULL


def test_who_waits_comes_before_a_newcomer_and_in_order() -> None:
    admission = Admission(Limits(calls=1))
    admit(admission, "seated")
    for position, waiting in ((1, "first"), (2, "second")):
        asked = admission.admit_waiting(waiting, line=LINE, position=position, now_s=0, hold_s=15)
        assert asked is Verdict.WORKER_FULL
    admission.release("seated", 1)
    assert admit(admission, "newcomer") is Verdict.WORKER_FULL
    assert admission.admit_waiting("second", line=LINE, position=2, now_s=1, hold_s=15) is Verdict.WORKER_FULL
    assert admission.admit_waiting("first", line=LINE, position=1, now_s=1, hold_s=15) is Verdict.ADMITTED
    admission.release("first", 1)
    assert admit(admission, "newcomer", now_s=1 + WAITING_MEMORY_S) is Verdict.ADMITTED  # the second has hung up


def test_who_waits_for_a_full_line_is_in_nobodys_way_on_another() -> None:
    admission = Admission(Limits(calls=2, calls_per_line=1))
    admit(admission, "seated")
    admission.admit_waiting("waiting", line=LINE, position=1, now_s=0, hold_s=15)
    assert admit(admission, "other", OTHER_LINE) is Verdict.ADMITTED


# Several workers.


def told(*admissions: Admission, now_s: float = 0.0) -> None:
    """A heartbeat of each, heard by all: twice, because what is heard changes what is told."""
    for _ in range(2):
        standings = [one.standing(now_s) for one in admissions]
        for at, one in enumerate(admissions):
            others = standings[:at] + standings[at + 1 :]
            one.hear(put_together(others, live=len(others)))


def fleet(count: int, limits: Limits) -> list[Admission]:
    workers = [Admission(limits) for _ in range(count)]
    told(*workers)
    return workers


def reserve(admission: Admission, call_sid: str, line: str = LINE, now_s: float = 0.0) -> Verdict:
    return admission.admit(call_sid, line=line, now_s=now_s, hold_s=15)


def test_a_worker_that_is_full_lets_in_for_the_others_until_all_are() -> None:
    full, other = fleet(2, Limits(calls=2))
    for sid in "ab":
        full.resume(sid, line=LINE, now_s=0)
    told(full, other)
    assert [reserve(full, sid) for sid in "cde"] == ["admitted", "admitted", "worker_full"]
    told(full, other)
    assert reserve(other, "e") is Verdict.WORKER_FULL
    assert reserve(other, "c") is Verdict.ADMITTED, "reserved by the other worker, asked for here"
    assert full.room(0) == 0 and other.room(0) == 2, "a seat is taken where the stream begins"


def test_a_worker_that_drains_lets_in_for_the_others() -> None:
    leaving, other = fleet(2, Limits(calls=1))
    leaving.drain()
    assert reserve(leaving, "a") is Verdict.ADMITTED
    assert reserve(leaving, "b") is Verdict.WORKER_FULL, "the others may have room soon"
    leaving.hear(NOBODY)
    leaving.release("a", 0)
    assert reserve(leaving, "b") is Verdict.DRAINING


def test_a_worker_that_is_overloaded_lets_in_for_one_that_is_not() -> None:
    late, other = fleet(2, LAG)
    now_s = measured(late, lateness_s=0.03, until_s=3)
    assert late.room(now_s) == 0
    assert reserve(late, "a", now_s=now_s) is Verdict.ADMITTED
    late.hear(NOBODY)
    assert reserve(late, "b", now_s=now_s) is Verdict.OVERLOADED


def test_a_stream_that_begins_elsewhere_frees_the_reservation_and_is_counted_once() -> None:
    asked, landed, third = fleet(3, Limits(calls=5, calls_per_line=2))
    assert reserve(asked, "a") is Verdict.ADMITTED
    told(asked, landed, third)
    landed.resume("a", line=LINE, now_s=1)
    # Only one of the two is heard of, then only the other.
    assert third.judge(line=LINE, now_s=1) is Verdict.ADMITTED
    third.hear(put_together([asked.standing(1), landed.standing(1)], live=2))
    assert [reserve(third, sid, now_s=1) for sid in "bc"] == ["admitted", "line_full"]
    told(asked, landed, third, now_s=1)
    assert (asked.held, landed.held, third.held) == (0, 1, 1)
    assert asked.judge(line=LINE, now_s=1) is Verdict.LINE_FULL
    assert landed.judge(line=LINE, now_s=1) is Verdict.LINE_FULL


def test_a_call_that_was_over_before_the_next_heartbeat_keeps_no_seat_anywhere() -> None:
    asked, landed = fleet(2, Limits(calls_per_line=1))
    reserve(asked, "a")
    told(asked, landed)
    landed.resume("a", line=LINE, now_s=0)
    landed.release("a", 0)
    assert landed.judge(line=LINE, now_s=0) is Verdict.ADMITTED
    told(asked, landed)
    assert asked.judge(line=LINE, now_s=0) is Verdict.ADMITTED
    assert landed.standing(SETTLED_MEMORY_S) == Standing(room=MOST_ROOM), "it is not told for ever"


def test_a_call_that_has_moved_here_keeps_its_seat_though_its_last_worker_tells_that_it_is_settled() -> None:
    before, now = fleet(2, Limits(calls=1))
    before.resume("a", line=LINE, now_s=0)
    before.release("a", 1)
    now.resume("a", line=LINE, now_s=1)
    told(before, now, now_s=1)
    assert (before.held, now.held, now.room(1)) == (0, 1, 0)


def test_whoever_hears_that_a_caller_hung_up_frees_the_seat_that_another_reserved() -> None:
    asked, told_of_it = fleet(2, Limits(calls_per_line=1))
    reserve(asked, "a")
    assert not told_of_it.release("a", 0)
    told(asked, told_of_it)
    assert asked.held == 0


def test_a_reservation_that_failed_does_not_take_another_workers_away() -> None:
    slow, quick = fleet(2, Limits(calls=1))
    reserve(slow, "a")
    reserve(quick, "a")
    with pytest.raises(KeyError), slow.given_back_on_failure("a"):
        raise KeyError("the other was quicker")
    told(slow, quick)
    assert (slow.held, quick.held) == (0, 1)


class Cluster(RuleBasedStateMachine):
    """Three workers that hear of each other at once: what they decide is what one who knows all would."""

    LIMIT, ON_LINE = 2, 3

    def __init__(self) -> None:
        super().__init__()
        self.workers = fleet(3, Limits(calls=self.LIMIT, calls_per_line=self.ON_LINE))
        self.streaming: dict[str, tuple[int, str]] = {}
        self.reserved: dict[str, str] = {}
        self.sids = (f"CA{number}" for number in itertools.count())
        self.drained: set[int] = set()

    def room(self, at: int) -> int:
        if at in self.drained:
            return 0
        return max(0, self.LIMIT - sum(there == at for there, _ in self.streaming.values()))

    @rule(at=st.integers(0, 2), line=st.sampled_from([LINE, OTHER_LINE]))
    def ring(self, at: int, line: str) -> None:
        sid = next(self.sids)
        free = sum(map(self.room, range(3))) - len(self.reserved)
        lines = [*self.reserved.values(), *(on for _, on in self.streaming.values())]
        verdict = reserve(self.workers[at], sid, line)
        if free <= 0:
            everyone_leaves = len(self.drained) == 3
            assert verdict is (Verdict.DRAINING if everyone_leaves else Verdict.WORKER_FULL)
        elif lines.count(line) >= self.ON_LINE:
            assert verdict is Verdict.LINE_FULL
        else:
            assert verdict is Verdict.ADMITTED
            self.reserved[sid] = line
        self.tell()

    @precondition(lambda self: self.reserved)
    @rule(at=st.integers(0, 2), data=st.data())
    def land(self, at: int, data: st.DataObject) -> None:
        sid = data.draw(st.sampled_from(sorted(self.reserved)))
        self.streaming[sid] = (at, self.reserved.pop(sid))
        self.workers[at].resume(sid, line=self.streaming[sid][1], now_s=0)
        self.tell()

    @precondition(lambda self: self.reserved)
    @rule(at=st.integers(0, 2), data=st.data())
    def give_up(self, at: int, data: st.DataObject) -> None:
        sid = data.draw(st.sampled_from(sorted(self.reserved)))
        del self.reserved[sid]
        self.workers[at].release(sid, 0)
        self.tell()

    @precondition(lambda self: self.streaming)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        sid = data.draw(st.sampled_from(sorted(self.streaming)))
        at, _ = self.streaming.pop(sid)
        assert self.workers[at].release(sid, 0)
        self.tell()

    @rule(at=st.integers(0, 2))
    def drain(self, at: int) -> None:
        self.drained.add(at)
        self.workers[at].drain()
        self.tell()

    def tell(self) -> None:
        for _ in range(2):
            standings = [one.standing(0) for one in self.workers]
            for at, one in enumerate(self.workers):
                others = [number for number in range(3) if number != at]
                live = len([number for number in others if number not in self.drained])
                one.hear(put_together([standings[number] for number in others], live=live))

    @invariant()
    def every_call_has_one_seat(self) -> None:
        assert sum(one.held for one in self.workers) == len(self.streaming) + len(self.reserved)


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# The load.


def test_a_loop_that_is_late_lets_nobody_in_until_it_has_been_well_for_a_while() -> None:
    admission = Admission(LAG)
    now_s = measured(admission, lateness_s=0.03, until_s=3)
    assert admit(admission, "a", now_s=now_s) is Verdict.OVERLOADED
    verdicts = []
    while admission.lateness_s > LAG.lateness_s * REOPEN / 2:
        now_s = measured(admission, until_s=now_s + 0.01)
        verdicts.append((admission.lateness_s >= LAG.lateness_s * REOPEN, admission.judge(line=LINE, now_s=now_s)))
    assert all((verdict is Verdict.OVERLOADED) is late for late, verdict in verdicts)
    assert {verdict for _, verdict in verdicts} == {Verdict.OVERLOADED, Verdict.ADMITTED}


def test_a_busy_loop_closes_the_gate_and_opens_it_lower() -> None:
    admission = Admission(LAG)
    now_s = measured(admission, busy=0.99, until_s=5)
    assert admit(admission, "a", now_s=now_s) is Verdict.OVERLOADED
    while admission.busy >= BUSY_REOPEN:
        assert admission.judge(line=LINE, now_s=now_s) is Verdict.OVERLOADED
        now_s = measured(admission, busy=0.5, until_s=now_s + 0.01)
    assert admission.judge(line=LINE, now_s=now_s) is Verdict.ADMITTED


def test_one_stall_is_no_overload() -> None:
    admission = Admission(LAG)
    now_s = measured(admission, lateness_s=0.001, busy=0.3, until_s=3)
    admission.measure(Measurement(now_s + 0.25, 0.2, 0.5, PERIOD_S))
    assert admit(admission, "a", now_s=now_s + 0.26) is Verdict.ADMITTED


def test_a_loop_that_stands_still_is_late_before_the_sensor_says_so() -> None:
    admission = Admission(LAG)
    now_s = measured(admission, until_s=1)
    assert admission.judge(line=LINE, now_s=now_s + PERIOD_S) is Verdict.ADMITTED
    assert admission.judge(line=LINE, now_s=now_s + 2) is Verdict.OVERLOADED


def test_a_burst_is_not_judged_by_one_old_measurement_and_the_rest_comes_in_when_it_has_shown() -> None:
    admission = Admission(LAG)
    now_s = measured(admission, until_s=1)
    verdicts = [admit(admission, f"CA{n}", now_s=now_s + n / 1000) for n in range(100)]
    let_in = verdicts.count(Verdict.ADMITTED)
    assert let_in == int(BUSY_LIMIT / START_SHARE)
    assert set(verdicts[let_in:]) == {Verdict.OVERLOADED}
    now_s = measured(admission, busy=0.1, until_s=now_s + 2 * SETTLE_S)
    assert admit(admission, "late", now_s=now_s) is Verdict.ADMITTED


class Gatekeeping(RuleBasedStateMachine):
    """Any order of calls, resumes, ends, waits and measurements."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(calls=4, calls_per_line=2, calls_per_key=1, lateness_s=0.01)
        self.admission = Admission(self.limits)
        self.now_s = 0.0
        self.seats: dict[str, tuple[str, str, float]] = {}
        self.resumed: set[str] = set()
        self.draining = False

    sids = st.integers(0, 9).map(str)
    lines = st.sampled_from([LINE, OTHER_LINE])
    keys = st.sampled_from(["", "k"])
    holds = st.sampled_from([5.0, float("inf")])

    def note(self, sid: str, line: str, key: str, verdict: Verdict, hold_s: float) -> None:
        known = self.seats.get(sid)
        if known is not None:
            assert verdict is Verdict.ADMITTED
            self.seats[sid] = (known[0], known[1], max(known[2], self.now_s + hold_s))
        elif verdict is Verdict.ADMITTED:
            assert not self.draining
            own = [one for one in self.seats.values() if one[0] == line]
            assert len(self.seats) < self.limits.calls and len(own) < self.limits.calls_per_line
            assert not key or all(one[1] != key for one in self.seats.values())
            self.seats[sid] = (line, key, self.now_s + hold_s)

    @rule(sid=sids, line=lines, key=keys, hold_s=holds)
    def admit(self, sid: str, line: str, key: str, hold_s: float) -> None:
        verdict = self.admission.admit(sid, line=line, now_s=self.now_s, key=key, hold_s=hold_s)
        self.note(sid, line, key, verdict, hold_s)

    @rule(sid=sids, line=lines, position=st.integers(1, 4), hold_s=holds)
    def wait(self, sid: str, line: str, position: int, hold_s: float) -> None:
        verdict = self.admission.admit_waiting(sid, line=line, position=position, now_s=self.now_s, hold_s=hold_s)
        self.note(sid, line, "", verdict, hold_s)

    @rule(sid=sids, line=lines)
    def resume(self, sid: str, line: str) -> None:
        self.admission.resume(sid, line=line, now_s=self.now_s)
        line, key, _ = self.seats.get(sid, (line, "", 0.0))
        self.seats[sid] = (line, key, float("inf"))

    @rule(sid=sids)
    def release(self, sid: str) -> None:
        assert self.admission.release(sid, self.now_s) is (self.seats.pop(sid, None) is not None)

    @rule(seconds=st.floats(0, 8), late=st.sampled_from([0.0, 0.02]), busy=st.floats(0, 1))
    def pass_time(self, seconds: float, late: float, busy: float) -> None:
        self.now_s += seconds
        self.admission.measure(Measurement(self.now_s, late, busy, PERIOD_S))
        self.admission.judge(line=LINE, now_s=self.now_s)
        self.seats = {sid: one for sid, one in self.seats.items() if one[2] > self.now_s}

    @precondition(lambda self: len(self.seats) > 3)
    @rule()
    def drain(self) -> None:
        self.draining = True
        self.admission.drain()

    @invariant()
    def seats_are_neither_lost_nor_invented(self) -> None:
        assert self.admission.held == len(self.seats)


TestGatekeeping = Gatekeeping.TestCase
TestGatekeeping.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(-1, 5)), max_size=60))
def test_no_measurement_breaks_the_averages(measurements: list[tuple[float, float]]) -> None:
    admission = Admission(LAG)
    now_s = 0.0
    for lateness_s, busy in measurements:
        now_s += PERIOD_S + lateness_s
        admission.measure(Measurement(now_s, lateness_s, busy, PERIOD_S))
        assert 0 <= admission.busy <= 1 and 0 <= admission.lateness_s <= 0.03


# A loop of which everything is known: what it serves, in what order, and how late.


@dataclass
class SimulatedLoop:
    """One server, first come first served; calls have a frame every 20 ms and a start that takes longer."""

    admission: Admission
    draws: random.Random
    frame_s: float = 0.0002
    """A call takes a hundredth of the loop."""
    start_s: float = 0.008
    webhook_s: float = 0.001
    call_life_s: float = 20.0
    now_s: float = 0.0
    used_s: float = 0.0
    late_s: list[float] = field(default_factory=list)
    """Of each frame."""
    refused: int = 0
    let_in: int = 0

    def run(self, arrivals_s: list[float], until_s: float) -> None:
        numbers = itertools.count()
        due: list[tuple[float, int, str, str]] = [(0.0, next(numbers), "sense", "")]
        due += [(at_s, next(numbers), "arrive", f"CA{n}") for n, at_s in enumerate(arrivals_s)]
        heapq.heapify(due)
        ends_s: dict[str, float] = {}
        sensed_s = sensed_used_s = 0.0
        while due and due[0][0] < until_s:
            at_s, _, what, sid = heapq.heappop(due)
            self.now_s = max(self.now_s, at_s)
            if what == "sense":
                busy = (self.used_s - sensed_used_s) / max(1e-9, self.now_s - sensed_s)
                self.admission.measure(Measurement(self.now_s, self.now_s - at_s, busy, PERIOD_S))
                sensed_s, sensed_used_s = self.now_s, self.used_s
                heapq.heappush(due, (self.now_s + PERIOD_S, next(numbers), "sense", ""))
            elif what == "arrive":
                self.work(self.webhook_s)
                if self.admission.admit(sid, line=LINE, now_s=self.now_s) is Verdict.ADMITTED:
                    self.let_in += 1
                    ends_s[sid] = self.now_s + self.call_life_s
                    begins_s = self.now_s + 0.1 + self.draws.random() * 0.1
                    heapq.heappush(due, (begins_s, next(numbers), "start", sid))
                else:
                    self.refused += 1
            elif what == "start":
                self.work(self.start_s)
                heapq.heappush(due, (self.now_s + 0.02, next(numbers), "frame", sid))
            else:
                self.late_s.append(self.now_s - at_s)
                self.work(self.frame_s * self.draws.uniform(0.5, 1.5))
                if at_s < ends_s[sid]:
                    heapq.heappush(due, (at_s + 0.02, next(numbers), "frame", sid))
                else:
                    assert self.admission.release(sid, self.now_s)

    def work(self, seconds: float) -> None:
        self.now_s += seconds
        self.used_s += seconds

    @property
    def p99_s(self) -> float:
        return sorted(self.late_s)[int(len(self.late_s) * 0.99)]


def poisson(draws: random.Random, rate_hz: float, until_s: float) -> list[float]:
    gaps = (draws.expovariate(rate_hz) for _ in itertools.count())
    return list(itertools.takewhile(lambda at_s: at_s < until_s, itertools.accumulate(gaps)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_three_times_the_load_those_let_in_are_served_in_time(seed: int) -> None:
    draws = random.Random(seed)
    loop = SimulatedLoop(Admission(LAG), draws)
    capacity = 1 / (loop.frame_s * 50)
    loop.run(poisson(draws, 3 * capacity / loop.call_life_s, 40), 40)
    assert loop.p99_s < 0.02
    assert loop.refused > 0
    # The machine is not left idle either.
    assert loop.used_s / 40 > 0.6


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_machine_that_can_carry_them_refuses_nobody(seed: int) -> None:
    draws = random.Random(seed)
    loop = SimulatedLoop(Admission(LAG), draws)
    capacity = 1 / (loop.frame_s * 50)
    arrivals = [n / 1000 for n in range(20)] + poisson(draws, 0.3 * capacity / loop.call_life_s, 40)
    loop.run(sorted(arrivals), 40)
    assert (loop.refused, loop.p99_s < 0.02) == (0, True)


def test_without_the_gate_the_same_loop_fails_everybody() -> None:
    draws = random.Random(1)
    loop = SimulatedLoop(Admission(NO_LIMITS), draws)
    loop.run(poisson(draws, 3 / (loop.frame_s * 50) / loop.call_life_s, 15), 15)
    assert loop.p99_s > 1
