"""Pacing and the position of playback, against a phone that is simulated here: the judge of every estimate."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media_stream.playback import (
    EARLY_MS,
    LONGEST_QUEUE_MS,
    MARKS_MISSING_S,
    PIECE_MS,
    UNDERRUN_WITHIN_S,
    Piece,
    Playback,
)
from pipeline.audio.formats import PCM_8K, PCMA, PCMU, AudioFormat

LEAD_MS = 300
RATE_HZ = 8_000
PIECE = PCMU.bytes_in(PIECE_MS)
LEAD = PCMU.bytes_in(LEAD_MS)
SAMPLE_S = 1 / RATE_HZ
BEGAN_S = 1_000.0


def sound(ms: float) -> bytes:
    """Sound no two pieces of which are alike, so that a lost or swapped one shows."""
    return bytes(at // 7 % 251 for at in range(PCMU.bytes_in(ms)))


def playing(ms: float, now: float = BEGAN_S) -> tuple[Playback, list[Piece]]:
    """A playback with so much to play, and what has left at once."""
    playback = Playback(PCMU, LEAD_MS)
    playback.push(sound(ms))
    return playback, playback.take_due(now)


def audio(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece.audio for piece in pieces)


@pytest.mark.parametrize("line", [PCMU, PCMA])
def test_sound_leaves_at_once_as_far_as_the_lead_goes(line: AudioFormat) -> None:
    playback = Playback(line, LEAD_MS)
    playback.push(sound(1_000))
    pieces = playback.take_due(BEGAN_S)
    assert [len(piece.audio) for piece in pieces] == [PIECE] * (LEAD_MS // PIECE_MS)
    assert audio(pieces) == sound(1_000)[:LEAD]
    assert playback.take_due(BEGAN_S) == []


def test_sound_of_another_format_than_a_telephones_is_refused() -> None:
    with pytest.raises(ValueError, match=r"G\.711"):
        Playback(PCM_8K, LEAD_MS)


def test_a_mark_says_its_generation_and_the_position_behind_its_piece() -> None:
    playback, pieces = playing(250)
    assert [piece.mark for piece in pieces] == ["g0:800", "g0:1600", "g0:2000"]
    stood_at = playback.flush(BEGAN_S + 0.1)
    assert stood_at == 800
    playback.push(sound(150))
    assert [piece.mark for piece in playback.take_due(BEGAN_S + 0.1)] == ["g1:1600", "g1:2000"]


def test_small_sounds_are_gathered_into_pieces_and_large_ones_cut() -> None:
    playback = Playback(PCMU, LEAD_MS)
    for _ in range(10):
        playback.push(sound(15))
    assert audio(playback.take_due(BEGAN_S)) == sound(15) * 10
    playback.push(sound(250))
    assert [len(piece.audio) for piece in playback.take_due(BEGAN_S + 0.35)] == [PIECE, PIECE, PIECE // 2]


def test_the_next_piece_is_due_when_it_fits_into_the_lead_and_may_leave_a_tick_before() -> None:
    playback, _ = playing(1_000)
    assert playback.due_at(BEGAN_S) == pytest.approx(BEGAN_S + 0.1)
    assert playback.take_due(BEGAN_S + 0.1 - EARLY_MS / 1000 - 0.001) == []
    (piece,) = playback.take_due(BEGAN_S + 0.1 - EARLY_MS / 1000 + 0.001)
    assert piece.mark == "g0:3200"
    assert playback.due_at(BEGAN_S + 0.1) == pytest.approx(BEGAN_S + 0.2)
    assert playback.due_at(BEGAN_S + 7) == BEGAN_S + 7


def test_a_last_piece_that_is_short_is_due_as_much_sooner() -> None:
    playback, _ = playing(330)
    assert playback.due_at(BEGAN_S) == pytest.approx(BEGAN_S + 0.03)


def test_with_a_lead_shorter_than_a_piece_pieces_are_as_long_as_the_lead() -> None:
    playback = Playback(PCMU, 20)
    playback.push(sound(100))
    (piece,) = playback.take_due(BEGAN_S)
    assert len(piece.audio) == PCMU.bytes_in(20)


def test_a_stall_of_ours_is_caught_up_in_one_go() -> None:
    playback, _ = playing(2_000)
    caught_up = playback.take_due(BEGAN_S + 0.25)
    # 250 of 300 ms were played: two pieces fit into the lead.
    assert [piece.mark for piece in caught_up] == ["g0:3200", "g0:4000"]
    assert playback.underruns == 0


def test_nothing_is_due_while_nothing_waits_and_all_is_acknowledged() -> None:
    playback = Playback(PCMU, LEAD_MS)
    assert playback.due_at(BEGAN_S) is None
    idle = [playback.is_idle]
    playback.push(sound(100))
    idle.append(playback.is_idle)
    (piece,) = playback.take_due(BEGAN_S)
    idle.append(playback.is_idle)
    assert playback.marked(piece.mark, BEGAN_S + 0.1) == PIECE
    assert [*idle, playback.is_idle] == [True, False, False, True]
    assert playback.due_at(BEGAN_S + 0.1) is None


def test_there_is_room_until_five_seconds_wait() -> None:
    playback = Playback(PCMU, LEAD_MS)
    playback.push(sound(LONGEST_QUEUE_MS - 1))
    room = [playback.has_room]
    playback.push(sound(1))
    room.append(playback.has_room)
    playback.take_due(BEGAN_S)
    assert [*room, playback.has_room] == [True, False, True]


def test_marks_of_an_earlier_generation_and_of_strangers_are_ignored() -> None:
    playback, pieces = playing(300)
    playback.flush(BEGAN_S + 0.1)
    playback.push(sound(300))
    playback.take_due(BEGAN_S + 0.1)
    # The position of the first mark of the new generation, which no wrong name may claim.
    known = 2 * PIECE
    wrong = [piece.mark for piece in pieces]
    wrong += ["", "g1", "g1:", ":1600", f"g2:{known}", f"g1:{known}:1", f"G1:{known}", f"1:{known}", "hello"]
    wrong += [f"g1:-{known}", f"g1: {known}", f"g1:{known}.0", "g1:²", "g1:999999", "g1:0", "g1:800"]
    wrong += ["g1:" + "9" * 5_000, "g1:" + "0" * 5_000]
    for name in wrong:
        assert playback.marked(name, BEGAN_S + 0.2) is None, name[:20]
    assert playback.marked(f"g1:{known}", BEGAN_S + 0.2) == known
    assert playback.marked(f"g1:{known}", BEGAN_S + 0.2) is None


def test_the_position_follows_the_clock_until_the_first_mark_and_stops_at_what_was_sent() -> None:
    playback, _ = playing(300)
    positions = [playback.position(BEGAN_S + s) for s in (0.0, 0.05, 0.299, 0.31, 9.0)]
    assert positions == pytest.approx([0, 400, 2_392, 2_400, 2_400], abs=1)


def test_a_late_mark_tells_of_a_slow_line_and_an_early_one_of_a_fast_one() -> None:
    playback, pieces = playing(1_000)
    playback.marked(pieces[0].mark, BEGAN_S + 0.15)
    # Every mark took 50 ms: a clear takes its share of it too, so the clock is right.
    assert playback.position(BEGAN_S + 0.2) == pytest.approx(1_600, abs=1)
    # The second mark comes sooner than sound can be played: known to be played, no measure of the line.
    playback.marked(pieces[1].mark, BEGAN_S + 0.16)
    assert playback.position(BEGAN_S + 0.16) == 1_600
    assert playback.position(BEGAN_S + 0.3) == pytest.approx(2_400, abs=1)


def test_when_playback_stalls_at_the_phone_the_position_stalls_with_it() -> None:
    playback, pieces = playing(2_000)
    playback.marked(pieces[0].mark, BEGAN_S + 0.11)
    sent = [*pieces]
    now = BEGAN_S + 0.11
    # From here on the phone is 200 ms late with everything; ten marks later nobody believes the clock any more.
    for number in range(1, 12):
        now = BEGAN_S + 0.31 + number * PIECE_MS / 1000
        sent += playback.take_due(now)
        playback.marked(sent[number].mark, now)
    assert playback.position(now) == pytest.approx((number + 1) * PIECE + 0.01 * RATE_HZ, abs=2)


def test_a_flush_forgets_what_waits_and_tells_where_playback_stands() -> None:
    playback, pieces = playing(1_000)
    playback.marked(pieces[0].mark, BEGAN_S + 0.1)
    assert playback.flush(BEGAN_S + 0.15) == pytest.approx(1_200, abs=1)
    assert playback.is_idle
    assert playback.take_due(BEGAN_S + 5) == []
    assert playback.position(BEGAN_S + 5) == pytest.approx(1_200, abs=1)


def test_a_flush_of_nothing_stands_where_it_stood() -> None:
    playback = Playback(PCMU, LEAD_MS)
    assert playback.flush(BEGAN_S) == 0
    assert playback.flush(BEGAN_S + 1) == 0


def test_sound_after_a_flush_leaves_at_once_and_counts_from_there() -> None:
    playback, _ = playing(1_000)
    stood_at = playback.flush(BEGAN_S + 0.05)
    playback.push(sound(500))
    assert audio(playback.take_due(BEGAN_S + 0.05)) == sound(500)[:LEAD]
    assert playback.position(BEGAN_S + 0.15) == pytest.approx(stood_at + PIECE, abs=1)
    assert playback.underruns == 0


def test_marks_that_never_come_are_given_up_a_second_after_the_sound_must_have_ended() -> None:
    playback, _ = playing(300)
    ended = BEGAN_S + 0.3
    assert playback.due_at(BEGAN_S) == pytest.approx(ended + MARKS_MISSING_S)
    assert playback.give_up_marks(ended + MARKS_MISSING_S - 0.01) is None
    assert playback.give_up_marks(ended + MARKS_MISSING_S + 0.01) == LEAD
    assert playback.is_idle
    assert playback.give_up_marks(ended + 9) is None
    assert playback.marked("g0:2400", ended + 9) is None


def test_marks_are_waited_for_while_there_is_sound_to_send() -> None:
    playback, _ = playing(1_000)
    assert playback.give_up_marks(BEGAN_S + 60) is None


@pytest.mark.parametrize(
    ("hole_s", "underruns"), [(-0.01, 0), (0.01, 1), (UNDERRUN_WITHIN_S - 0.01, 1), (UNDERRUN_WITHIN_S + 0.01, 0)]
)
def test_an_underrun_is_a_hole_in_speech_and_no_pause_between_answers(hole_s: float, underruns: int) -> None:
    playback, _ = playing(300)
    playback.push(sound(300))
    playback.take_due(BEGAN_S + 0.3 + hole_s)
    assert playback.underruns == underruns


def test_after_a_hole_the_position_counts_from_when_sound_went_on() -> None:
    playback, _ = playing(300)
    playback.push(sound(300))
    playback.take_due(BEGAN_S + 1)
    assert playback.position(BEGAN_S + 1.1) == pytest.approx(LEAD + PIECE, abs=1)


# What is estimated, against what was truly played.


class Line:
    """A phone at the end of a line that is late by `latency_s()` each way, and keeps the order of messages."""

    def __init__(self, playback: Playback, latency_s: Callable[[], float]) -> None:
        self._playback = playback
        self._latency_s = latency_s
        self._now = BEGAN_S
        self._returning: list[tuple[float, int, str]] = []
        """When each mark is back; the number keeps those of one moment in order."""
        self._marked = 0
        self._last_arrival = self._last_return = 0.0
        self._plays_until = 0.0
        self._played: list[tuple[float, int]] = []
        """When each piece of this answer began to sound, and its length."""
        self._generation = 0

    def interrupted_answer(self, cut_after_s: float) -> tuple[int, int]:
        """Samples of one answer heard before it was cut off: as estimated, and in truth."""
        playback, began = self._playback, self._now
        stood_at = playback.position(began)
        ends = began + cut_after_s
        self._played = []
        playback.push(sound(1_000 * cut_after_s + 2_000))
        self._send()
        while (now := self._next_moment()) < ends:
            self._now = now
            while self._returning and self._returning[0][0] <= now:
                self._return_mark(heapq.heappop(self._returning)[2])
            self._send()
        estimated = playback.flush(ends) - stood_at
        cleared = max(self._last_arrival, ends + self._latency_s())
        self._clear(cleared)
        self._now = ends + 1.0
        return estimated, self._truly_played(cleared)

    def _next_moment(self) -> float:
        due = self._playback.due_at(self._now)
        moments = [moment for moment, _, _ in self._returning[:1]] + ([due] if due is not None else [])
        return max(self._now + SAMPLE_S, min(moments))

    def _return_mark(self, name: str) -> None:
        is_news = self._playback.marked(name, self._now) is not None
        assert is_news == name.startswith(f"g{self._generation}:")

    def _send(self) -> None:
        for piece in self._playback.take_due(self._now):
            arrival = self._last_arrival = max(self._last_arrival, self._now + self._latency_s())
            begins = max(arrival, self._plays_until)
            self._plays_until = begins + len(piece.audio) / RATE_HZ
            self._played.append((begins, len(piece.audio)))
            self._mark(piece.mark, self._plays_until)

    def _mark(self, name: str, played_at: float) -> None:
        self._last_return = max(self._last_return, played_at + self._latency_s())
        self._marked += 1
        heapq.heappush(self._returning, (self._last_return, self._marked, name))

    def _clear(self, cleared: float) -> None:
        """The buffer is emptied; marks outstanding come back at once."""
        returns_at = cleared + self._latency_s()
        self._returning = [(min(due, returns_at), number, name) for due, number, name in self._returning]
        heapq.heapify(self._returning)
        self._plays_until = cleared
        self._generation += 1

    def _truly_played(self, now: float) -> int:
        return sum(min(length, max(0, int((now - begins) * RATE_HZ))) for begins, length in self._played)


def errors_ms(latency_s: Callable[[], float], rng: random.Random, interruptions: int = 120) -> list[float]:
    line = Line(Playback(PCMU, LEAD_MS), latency_s)
    answers = [line.interrupted_answer(rng.uniform(0.3, 6.0)) for _ in range(interruptions)]
    assert all(truth > 0 for _, truth in answers[1:])
    return [abs(estimated - truth) * 1000 / RATE_HZ for estimated, truth in answers]


@pytest.mark.parametrize("latency_s", [0.0, 0.04, 0.15])
def test_on_a_steady_line_the_position_is_right_to_twenty_milliseconds(latency_s: float) -> None:
    errors = errors_ms(lambda: latency_s, random.Random(1))
    print(f"latency {latency_s * 1000:g} ms: mean error {mean(errors):.2f} ms, worst {max(errors):.2f} ms")
    assert mean(errors) <= 20
    assert max(errors) <= 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_a_line_that_jitters_by_30_to_300_ms_the_position_is_right_to_150_ms_in_the_mean(seed: int) -> None:
    rng = random.Random(seed)
    errors = errors_ms(lambda: rng.uniform(0.030, 0.300), rng)
    p95 = sorted(errors)[int(len(errors) * 0.95)]
    print(f"jitter 30 to 300 ms, seed {seed}: mean error {mean(errors):.0f} ms, p95 {p95:.0f} ms")
    assert mean(errors) <= 150


# Whatever happens, in whatever order.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 6_000)),
        st.tuples(st.just("wait"), st.integers(0, 1_500)),
        st.tuples(st.just("mark"), st.integers(0, 30)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("give up"), st.just(0)),
    ),
    max_size=60,
)


class Books:
    """Everything a playback was given, has sent and was told, kept beside it."""

    def __init__(self, lead_ms: int) -> None:
        self.playback = Playback(PCMU, lead_ms)
        self.lead = PCMU.bytes_in(lead_ms)
        self.now = BEGAN_S
        self.pushed = self.sent = b""
        """Of this generation."""
        self.stood_at = self.acknowledged = self.position = 0
        self.marks: list[str] = []
        self.plays_until = 0.0
        """Of a phone that is nowhere else than here."""

    def take(self, step: str, amount: int) -> None:
        match step:
            case "push":
                # Counted on, so that no two stretches are alike.
                fresh = bytes((len(self.pushed) + at) // 3 % 256 for at in range(amount))
                self.pushed += fresh
                self.playback.push(fresh)
            case "wait":
                self.now += amount / 1000
            case "mark" if self.marks:
                self.mark(self.marks[amount % len(self.marks)])
            case "give up":
                given_up = self.playback.give_up_marks(self.now)
                self.acknowledged = self.acknowledged if given_up is None else given_up
            case "flush":
                self.flush()
        self.send()
        self.check()

    def mark(self, name: str) -> None:
        told = self.playback.marked(name, self.now)
        if told is not None:
            assert told > self.acknowledged
            self.acknowledged = told
            # A mark may correct the estimate, both ways, but never below what it says.
            self.position = told

    def flush(self) -> None:
        expected = self.playback.position(self.now)
        self.stood_at = self.acknowledged = self.position = self.playback.flush(self.now)
        assert self.stood_at == expected
        self.pushed = self.sent = b""
        self.plays_until = self.now

    def send(self) -> None:
        for piece in self.playback.take_due(self.now):
            assert 0 < len(piece.audio) <= PIECE
            self.sent += piece.audio
            self.marks.append(piece.mark)
            assert piece.mark.partition(":")[2] == str(self.stood_at + len(self.sent))
            self.plays_until = max(self.plays_until, self.now) + len(piece.audio) / RATE_HZ
            ahead = (self.plays_until - self.now) * RATE_HZ
            assert ahead <= self.lead + PCMU.bytes_in(EARLY_MS) + 1, "sent further ahead than the lead"

    def check(self) -> None:
        assert self.pushed.startswith(self.sent), "lost or reordered"
        position = self.playback.position(self.now)
        assert self.acknowledged <= position <= self.stood_at + len(self.sent)
        assert position >= self.position, "played sound is not taken back"
        self.position = position


@given(steps=STEPS, lead_ms=st.sampled_from([20, 100, 300, 1_000]))
def test_whatever_happens_the_position_lies_between_what_is_known_and_what_was_sent(
    steps: list[tuple[str, int]], lead_ms: int
) -> None:
    books = Books(lead_ms)
    for step, amount in steps:
        books.take(step, amount)


@given(steps=STEPS, lead_ms=st.sampled_from([20, 100, 300, 1_000]))
def test_whatever_happened_all_that_was_not_flushed_is_sent_in_the_end(
    steps: list[tuple[str, int]], lead_ms: int
) -> None:
    books = Books(lead_ms)
    for step, amount in steps:
        books.take(step, amount)
    asked = 0
    while (due := books.playback.due_at(books.now)) is not None and books.sent != books.pushed:
        books.now = max(due, books.now + SAMPLE_S)
        books.take("wait", 0)
        asked += 1
        assert asked <= 2 * len(books.pushed) // min(PIECE, books.lead) + 2, "asked for pieces that are not there"
    assert books.sent == books.pushed
    if due is not None:
        books.now = due + SAMPLE_S
        books.take("give up", 0)
    assert books.playback.is_idle
    assert books.playback.due_at(books.now) is None


def test_marks_are_overdue_only_where_marks_used_to_come() -> None:
    playback = Playback(PCMU, 300)
    playback.push(bytes(8_000))
    pieces = [piece for at in range(11) for piece in playback.take_due(at / 10)]
    assert playback.overdue_s(1.0) == 0.0
    playback.marked(pieces[0].mark, 1.0)
    assert playback.overdue_s(1.0) == 0.9
    playback.marked(pieces[-1].mark, 1.0)
    assert playback.overdue_s(5.0) == 0.0
