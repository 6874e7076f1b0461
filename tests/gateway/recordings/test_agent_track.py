"""Where the agent's sound is placed: by its marks, without what was never heard."""

from __future__ import annotations

import random

import pytest

from gateway.recordings.agent_track import CUT_S, OVERDUE_S, SETTLE_S, AgentTrack
from gateway.recordings.stream_clock import StreamClock
from gateway.recordings.track import Track
from simulator.network import DelayLine, Network
from simulator.playback import Playback
from tests.gateway.recordings.support import sound

RATE_HZ = 8_000
PIECE = 800
FRAME = 160
LEAD_MS = 300
"""Sound that is at the phone, or on its way there, before it is played."""
QUIET = b"\xff"


class Line:
    """A stream whose clock is ours, and what was placed on it."""

    def __init__(self) -> None:
        self.clock = StreamClock(RATE_HZ, began_s=0.0)
        self.track = Track(QUIET)
        self.agent = AgentTrack(RATE_HZ, self.clock, self.track)

    def send(self, number: int, at_s: float) -> None:
        self.agent.sent(sound(PIECE, number * PIECE), (number + 1) * PIECE, at_s)

    def mark(self, number: int, at_s: float) -> None:
        self.agent.played((number + 1) * PIECE, at_s, by_mark=True)

    def placed(self) -> tuple[int, bytes]:
        """Where sound begins, and what it is."""
        taken = self.track.take(self.track.end)
        return len(taken) - len(taken.lstrip(QUIET)), taken.strip(QUIET)


def test_sound_stands_where_its_marks_say_that_it_was_played() -> None:
    line = Line()
    line.send(0, 1.0)
    line.send(1, 1.0)
    line.mark(0, 1.25)
    line.mark(1, 1.35)
    line.agent.settle(1.3 + SETTLE_S)
    assert line.agent.waits_since == 10_000, "the second piece still waits, behind the first"
    line.agent.settle(1.4 + SETTLE_S)
    assert line.placed() == (int(1.15 * RATE_HZ), sound(2 * PIECE))
    assert line.agent.waits_since is None


def test_a_mark_that_was_held_back_moves_nothing() -> None:
    line = Line()
    for number in range(3):
        line.send(number, 1.0)
    line.mark(0, 1.18)  # 80 ms late
    line.mark(1, 1.20)
    line.mark(2, 1.36)  # 60 ms late
    line.agent.settle(3.0)
    assert line.placed() == (RATE_HZ, sound(3 * PIECE))


def test_playback_that_stood_still_leaves_a_hole() -> None:
    line = Line()
    for number in range(4):
        line.send(number, 1.0)
    for number, at_s in enumerate((1.1, 1.2, 1.8, 1.9)):
        line.mark(number, at_s)
    line.agent.settle(4.0)
    first, placed = line.placed()
    assert first == RATE_HZ
    assert placed == sound(2 * PIECE) + QUIET * 4_000 + sound(2 * PIECE, 2 * PIECE)


def test_what_a_clear_threw_away_is_not_there() -> None:
    line = Line()
    for number in range(3):
        line.send(number, 1.0)
    line.mark(0, 1.1)
    line.agent.flushed(PIECE + 300, 1.13)
    line.agent.sent(b"\x01" * PIECE, 2 * PIECE + 300, 2.0)
    line.agent.played(2 * PIECE + 300, 2.1, by_mark=True)
    line.agent.settle(4.0)
    taken = line.track.take(line.track.end)
    assert taken[RATE_HZ:].rstrip(b"\x01") == sound(PIECE + 300) + QUIET * (RATE_HZ - PIECE - 300)
    assert taken[2 * RATE_HZ :] == b"\x01" * PIECE


def test_a_clear_before_anything_was_heard_leaves_nothing() -> None:
    line = Line()
    line.send(0, 1.0)
    line.agent.flushed(0, 1.0)
    line.agent.finish(9.0)
    assert (line.agent.waits_since, line.track.end) == (None, 0)


def test_sound_whose_marks_never_come_stands_where_the_clock_has_it() -> None:
    line = Line()
    line.send(0, 1.0)
    line.agent.settle(1.05 + OVERDUE_S)
    assert line.agent.waits_since == RATE_HZ
    line.agent.settle(1.1 + OVERDUE_S)
    assert line.placed() == (RATE_HZ, sound(PIECE))


def test_marks_that_are_given_up_are_as_good_as_the_clock() -> None:
    line = Line()
    line.send(0, 1.0)
    line.agent.played(PIECE, 2.1, by_mark=False)
    line.agent.settle(2.1 + SETTLE_S)
    assert line.placed() == (RATE_HZ, sound(PIECE))


def test_the_way_there_is_learned_and_counts_where_marks_are_missing() -> None:
    line = Line()
    line.send(0, 1.0)
    line.mark(0, 1.25)  # 150 ms on the way
    line.send(1, 5.0)
    line.agent.played(2 * PIECE, 6.2, by_mark=False)
    line.agent.settle(9.0)
    line.track.take(2 * RATE_HZ)
    assert line.placed() == (int(3.15 * RATE_HZ), sound(PIECE, PIECE))


def test_at_the_end_of_a_stream_what_was_not_played_yet_is_left_out() -> None:
    line = Line()
    for number in range(4):
        line.send(number, 1.0)
    line.mark(0, 1.1)
    line.agent.finish(1.25)
    assert line.placed() == (RATE_HZ, sound(2 * PIECE + PIECE // 2))


def test_a_mark_within_a_piece_says_nothing_of_the_whole() -> None:
    line = Line()
    line.send(0, 1.0)
    line.agent.played(PIECE // 2, 1.05, by_mark=True)
    line.agent.settle(1.2 + SETTLE_S)
    assert line.agent.waits_since == RATE_HZ
    line.agent.played(2 * PIECE, 1.2, by_mark=True)  # beyond it: it is played, and how long ago nobody knows
    line.agent.settle(1.2 + SETTLE_S)
    assert line.agent.waits_since is None


def test_a_cut_is_where_the_marks_that_a_clear_sends_back_say_and_not_where_we_believed() -> None:
    line = Line()
    for number in range(3):
        line.send(number, 1.0)
    line.mark(0, 1.1)
    line.agent.flushed(PIECE + 300, 1.14)
    line.agent.settle(1.15)
    assert line.agent.waits_since == RATE_HZ, "nothing is placed before it is known where the clear cut"
    line.agent.returned(2 * PIECE, 1.175)
    line.agent.returned(3 * PIECE, 1.175)
    first, placed = line.placed()
    assert (first, placed) == (RATE_HZ, sound(int(0.175 * RATE_HZ)))
    assert line.agent.waits_since is None


def test_a_clear_that_finds_nothing_begun_leaves_nothing() -> None:
    line = Line()
    line.send(0, 1.0)
    line.mark(0, 1.15)
    line.agent.settle(3.0)
    line.send(1, 4.0)
    line.agent.flushed(PIECE, 4.01)
    line.agent.returned(2 * PIECE, 4.05)
    line.agent.settle(6.0)
    assert line.placed()[1] == sound(PIECE)


def test_what_was_played_to_its_end_waits_for_no_mark_after_a_clear() -> None:
    line = Line()
    line.send(0, 1.0)
    line.mark(0, 1.1)
    line.agent.flushed(PIECE, 1.2)
    assert line.placed() == (RATE_HZ, sound(PIECE))


def test_marks_that_never_come_back_leave_the_cut_to_our_estimate() -> None:
    line = Line()
    for number in range(2):
        line.send(number, 1.0)
    line.mark(0, 1.1)
    line.agent.flushed(PIECE + 80, 1.11)
    line.agent.settle(1.11 + CUT_S)
    assert line.placed() == (RATE_HZ, sound(PIECE + 80))


def test_a_mark_of_a_flush_that_nobody_remembers_is_no_news() -> None:
    line = Line()
    line.agent.returned(PIECE, 1.0)
    line.send(0, 1.0)
    line.mark(0, 1.1)
    line.agent.settle(1.1 + SETTLE_S)
    assert line.placed() == (RATE_HZ, sound(PIECE))


@pytest.mark.parametrize("network", [Network(), Network(60), Network(60, 20), Network(60, 60), Network(100, 100)])
def test_what_was_cut_ends_where_it_did_in_the_ear_to_one_frame_however_the_line_jitters(network: Network) -> None:
    for seed in range(40):
        heard, told = cut_call(network, random.Random(seed))
        assert abs(len(heard.rstrip(QUIET)) - len(told.rstrip(QUIET))) <= FRAME, f"seed {seed}"


def cut_call(network: Network, rng: random.Random) -> tuple[bytes, bytes]:
    """What a simulated phone played, and what was recorded of it: five seconds of which a `clear` cuts the agent's.

    Both clocks begin together, and go on in steps of 1 ms.
    """
    phone, line = Playback(0.0), Line()
    to_phone: DelayLine[tuple[str, int]] = DelayLine(network, rng)
    to_us: DelayLine[tuple[str, int]] = DelayLine(network, rng)
    flush_ms = rng.randint(1_400, 2_600)
    sent, is_flushed = 0, False
    for now_ms in range(5_000):
        now_s = now_ms / 1_000
        if now_ms and now_ms % 20 == 0:
            to_us.put(("frame", now_ms * 8), now_s)
        for _, (kind, value) in to_phone.due(now_s):
            if kind == "media":
                phone.receive(sound(PIECE, value - PIECE), now_s)
                phone.mark(str(value), now_s)
            else:
                for mark in phone.clear(now_s).marks:
                    to_us.put(("mark", int(mark)), now_s)
        for mark in phone.marks_due(now_s):
            to_us.put(("mark", int(mark)), now_s)
        for _, (kind, value) in to_us.due(now_s):
            if kind == "frame":
                line.clock.see(value, now_s)
            elif is_flushed:
                line.agent.returned(value, now_s)
            else:
                line.agent.played(value, now_s, by_mark=True)
        while not is_flushed and now_ms >= 1_000 and sent < (now_ms - 1_000 + LEAD_MS) * 8:
            sent += PIECE
            line.agent.sent(sound(PIECE, sent - PIECE), sent, now_s)
            to_phone.put(("media", sent), now_s)
        if now_ms == flush_ms:
            is_flushed = True
            line.agent.flushed(rng.randint(0, sent), now_s)  # our estimate, however wrong
            to_phone.put(("clear", 0), now_s)
    line.agent.settle(5.0)
    return phone.sound(5.0, QUIET), line.track.take(line.track.end)
