"""Admission: whether a call may come in, or go out, now. One gate for both, and for a gateway that is to stop.

Pure: times and measurements are handed in, in seconds of one clock that does not jump. Knows no Twilio, no queue
and no store; what a caller hears who is refused, `gateway/overflow.py` decides.

Every call that was let in holds a **seat** from that instant on, so that a hundred calls of one tenth of a second
are not all judged by what was measured before them. A seat is given back by `release`, as often as anybody likes.

Where there are other workers, a call is let in for all of them: its stream may begin on any. Until it has begun
somewhere the seat is only **reserved**, in whichever worker has room. Where it begins the call is `resume`d, the
worker may be full or not, and what that one tells (`hear`) frees the reservation here. What others tell is a second
or two old: those who come through several workers within that time may be let in though they are too many.

The load is measured two ways, because each is blind to something. How **busy** the event loop's thread is grows in
step with the calls, so it says beforehand how many more there may be; it does not see that somebody else took the
core away. How **late** the loop is sees everything, but only when it has happened. Both have a mark at which the
gate closes and a lower one at which it opens again.
"""

from __future__ import annotations

import enum
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.calls.standing import MOST_ROOM, NOBODY, Others, Standing

SMOOTH_S = 1.0
"""How long a measurement is remembered: an exponential average with this time constant."""

LONGEST_LATENESS_S = 0.03
"""A single lateness counts as at most this much: one stall, however long, is one stall, and no overload."""

REOPEN = 0.5
"""The gate opens again at this part of the lateness that closed it."""

BUSY_LIMIT, BUSY_REOPEN = 0.85, 0.8
"""Shares of the loop's time. Above about nine tenths a loop has no time left for what comes unevenly."""

START_SHARE = 0.015
"""What a call that starts is taken to cost, as a share of the loop's time, until it is part of what was measured:
the handshakes, the first turn, and the sound that is read ahead. An idle loop bears some fifty starts at once."""

SETTLE_S = 0.5
"""When a start shows in the measurements."""

WAITING_MEMORY_S = 15.0
"""A waiting caller who did not ask for so long has hung up; whoever waits asks about every five seconds."""

SETTLED_MEMORY_S = 5.0
"""How long it is told that a reservation is settled: a few heartbeats, one of which whoever holds it hears."""


class Verdict(enum.StrEnum):
    """Whether a call is let in, and if not, why not; few enough to be a metric's label."""

    ADMITTED = "admitted"
    DRAINING = "draining"
    WORKER_FULL = "worker_full"
    LINE_FULL = "line_full"
    KEY_FULL = "key_full"
    OVERLOADED = "overloaded"

    @property
    def is_admitted(self) -> bool:
        return self is Verdict.ADMITTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is too much; 0 is no limit."""

    calls: int = 0
    """Of this worker."""
    calls_per_line: int = 0
    calls_per_key: int = 0
    lateness_s: float = 0.0
    """Of the event loop, on average. With 0 the load is not looked at, neither lateness nor busyness."""


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the sensor saw since it looked last."""

    at_s: float
    lateness_s: float
    """How much later than asked for the event loop woke the sensor."""
    busy: float
    """The part of the time that the loop's thread had the processor: 0 to 1."""
    period_s: float
    """How long the sensor asked to sleep."""


@dataclass(slots=True)
class _Seat:
    line: str
    key: str
    held_until_s: float
    """Of a caller who is on the way to a stream, here or elsewhere; infinite for a call that streams here."""

    @property
    def is_reserved(self) -> bool:
        return self.held_until_s < math.inf


class Admission:
    """The gate, and who has come through it."""

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        self._limits = limits
        self._seats: dict[str, _Seat] = {}
        self._waiting: dict[str, tuple[str, float]] = {}
        """Line and time of asking, by call, in the order they asked."""
        self._starts_s: list[float] = []
        self._settled: dict[str, float] = {}
        """When, by call, the oldest first."""
        self._others = NOBODY
        self._last: Measurement | None = None
        self._lateness_s = 0.0
        self._busy = 0.0
        self._is_late = False
        self._is_busy = False
        self._is_draining = False

    @property
    def held(self) -> int:
        """Seats that are taken or reserved."""
        return len(self._seats)

    @property
    def others(self) -> Others:
        """As they were heard of last."""
        return self._others

    @property
    def lateness_s(self) -> float:
        """The event loop's, on average."""
        return self._lateness_s

    @property
    def busy(self) -> float:
        """The loop's, on average."""
        return self._busy

    def drain(self) -> None:
        """From now on let nobody in for whom no other worker has room; who has a seat keeps it."""
        self._is_draining = True

    def hear(self, others: Others) -> None:
        """What the other workers tell, or are last known to have told; nobody's when there is none."""
        self._others = others
        for call_sid in others.settled & self._seats.keys():
            if self._seats[call_sid].is_reserved:
                del self._seats[call_sid]

    def standing(self, now_s: float) -> Standing:
        """What to tell them."""
        self._forget(now_s)
        streaming = Counter(one.line for one in self._seats.values() if not one.is_reserved)
        return Standing(
            room=self.room(now_s),
            lines=dict(streaming) if self._limits.calls_per_line else {},
            reserved={call_sid: one.line for call_sid, one in self._seats.items() if one.is_reserved},
            settled=tuple(self._settled),
        )

    def room(self, now_s: float) -> int:
        """Streams that may begin here now."""
        return min(self._seats_free(), self._starts_free(now_s))

    def measure(self, measurement: Measurement) -> None:
        """The sensor's word; closes and opens the gate."""
        self._lateness_s = self._late_by(measurement)
        weight = _weight(measurement)
        self._busy += weight * (min(1.0, max(0.0, measurement.busy)) - self._busy)
        self._last = measurement
        self._is_busy = self._busy >= (BUSY_REOPEN if self._is_busy else BUSY_LIMIT)
        self._is_late = self._lateness_s >= self._limits.lateness_s * (REOPEN if self._is_late else 1.0)

    def admit(self, call_sid: str, *, line: str, now_s: float, key: str = "", hold_s: float = math.inf) -> Verdict:
        """A call comes in (`line`: the number it is for) or is to go out (for `key`). Admitted, it has a seat.

        The seat is held for `hold_s`, and for ever once the same call is admitted without it, or resumed. Who has a
        seat is admitted again and has still one seat: webhooks come twice.
        """
        verdict = self.judge(line=line, now_s=now_s, key=key, call_sid=call_sid)
        return self._sit(call_sid, verdict, line, key, now_s, hold_s)

    def admit_waiting(self, call_sid: str, *, line: str, position: int, now_s: float, hold_s: float) -> Verdict:
        """A caller in the queue asks whether there is room by now; the first in the queue has position 1.

        Whoever waits comes before a caller who has just called.
        """
        self._forget(now_s)
        self._waiting.pop(call_sid, None)
        self._waiting[call_sid] = (line, now_s)
        verdict = self._judge(call_sid, line, "", now_s, ahead=position - 1, ahead_on_line=position - 1)
        return self._sit(call_sid, verdict, line, "", now_s, hold_s)

    def resume(self, call_sid: str, *, line: str, now_s: float, key: str = "") -> None:
        """A call that was admitted once, here or by another worker, comes back: it is never refused."""
        self._sit(call_sid, Verdict.ADMITTED, line, key, now_s, math.inf)

    def release(self, call_sid: str, now_s: float) -> bool:
        """The call is over, or goes on elsewhere: its seat is free. True the first time only."""
        self._settle(call_sid, now_s)
        return self._free(call_sid)

    @contextmanager
    def given_back_on_failure(self, call_sid: str) -> Iterator[None]:
        """For what must succeed before a call is one: if it fails, the seat is free again."""
        try:
            yield
        except BaseException:
            self._free(call_sid)  # not settled: another worker may have been quicker, and holds one for it
            raise

    def judge(self, *, line: str, now_s: float, key: str = "", call_sid: str = "") -> Verdict:
        """What `admit` would say, without letting anybody in."""
        self._forget(now_s)
        waiting = Counter(at for sid, (at, _) in self._waiting.items() if sid != call_sid)
        # Who waits for a line that is full takes no seat of the worker's.
        ahead = sum(min(count, self._free_on(at)) for at, count in waiting.items())
        return self._judge(call_sid, line, key, now_s, ahead=ahead, ahead_on_line=waiting[line])

    def _judge(
        self, call_sid: str, line: str, key: str, now_s: float, *, ahead: int, ahead_on_line: int
    ) -> Verdict:
        limits, others = self._limits, self._others
        elsewhere = self._reserved_elsewhere()
        if call_sid in self._seats or call_sid in elsewhere:
            return Verdict.ADMITTED
        # Wherever they are going to stream: seats that are as good as taken.
        taken = ahead + len(elsewhere) + sum(one.is_reserved for one in self._seats.values())
        if self._seats_free() + others.room <= taken:
            return Verdict.DRAINING if self._is_draining and not others.live else Verdict.WORKER_FULL
        if self._free_on(line) <= ahead_on_line:
            return Verdict.LINE_FULL
        if key and 0 < limits.calls_per_key <= sum(one.key == key for one in self._seats.values()):
            return Verdict.KEY_FULL
        return Verdict.OVERLOADED if self.room(now_s) + others.room <= taken else Verdict.ADMITTED

    def _reserved_elsewhere(self) -> dict[str, str]:
        """Lines by call, but of those whose streams have begun here since that was told."""
        known = self._seats.keys() | self._settled.keys()
        return {call_sid: line for call_sid, line in self._others.reserved.items() if call_sid not in known}

    def _seats_free(self) -> int:
        """Of this worker; reserved ones are."""
        if self._is_draining:
            return 0
        if not self._limits.calls:
            return MOST_ROOM
        return max(0, self._limits.calls - sum(not one.is_reserved for one in self._seats.values()))

    def _free_on(self, line: str) -> int:
        """Seats the line may still have on all workers; more than there are callers if it has no limit."""
        most = self._limits.calls_per_line
        if not most:
            return sys.maxsize
        here = sum(one.line == line for one in self._seats.values())
        elsewhere = sum(at == line for at in self._reserved_elsewhere().values())
        return max(0, most - here - elsewhere - self._others.lines.get(line, 0))

    def _starts_free(self, now_s: float) -> int:
        """Calls whose start the event loop bears."""
        limit_s = self._limits.lateness_s
        if not limit_s:
            return MOST_ROOM
        if self._is_late or self._is_busy or self._late_now(now_s) >= limit_s:
            return 0
        starting = sum(now_s - at_s < SETTLE_S for at_s in self._starts_s)
        return max(0, int((BUSY_LIMIT - self._busy) / START_SHARE) - starting)

    def _late_now(self, now_s: float) -> float:
        """The lateness as it would be if the sensor, which is due, were woken now."""
        last = self._last
        if last is None or now_s <= last.at_s + last.period_s:
            return self._lateness_s
        return self._late_by(Measurement(now_s, now_s - last.at_s - last.period_s, 0.0, last.period_s))

    def _late_by(self, measurement: Measurement) -> float:
        counted_s = min(LONGEST_LATENESS_S, max(0.0, measurement.lateness_s))
        return self._lateness_s + _weight(measurement) * (counted_s - self._lateness_s)

    def _sit(self, call_sid: str, verdict: Verdict, line: str, key: str, now_s: float, hold_s: float) -> Verdict:
        """Gives a call that is admitted its seat, if it has none."""
        if verdict is not Verdict.ADMITTED:
            return verdict
        self._waiting.pop(call_sid, None)
        seat = self._seats.setdefault(call_sid, _Seat(line, key, now_s))
        began_before = not seat.is_reserved
        seat.held_until_s = max(seat.held_until_s, now_s + hold_s)
        if not seat.is_reserved and not began_before:
            self._starts_s = [at_s for at_s in self._starts_s if now_s - at_s < SETTLE_S]
            self._starts_s.append(now_s)
            self._settle(call_sid, now_s)
        return verdict

    def _free(self, call_sid: str) -> bool:
        self._waiting.pop(call_sid, None)
        return self._seats.pop(call_sid, None) is not None

    def _settle(self, call_sid: str, now_s: float) -> None:
        self._settled.pop(call_sid, None)
        self._settled[call_sid] = now_s

    def _forget(self, now_s: float) -> None:
        """Seats held for callers who did not come, and waiting callers who do not ask any more."""
        for call_sid in [sid for sid, seat in self._seats.items() if seat.held_until_s <= now_s]:
            del self._seats[call_sid]
        for call_sid in [sid for sid, (_, at_s) in self._waiting.items() if now_s - at_s >= WAITING_MEMORY_S]:
            del self._waiting[call_sid]
        for call_sid in [sid for sid, at_s in self._settled.items() if now_s - at_s >= SETTLED_MEMORY_S]:
            del self._settled[call_sid]


def _weight(measurement: Measurement) -> float:
    """How much of the average is new."""
    return 1.0 - math.exp(-(measurement.period_s + max(0.0, measurement.lateness_s)) / SMOOTH_S)
