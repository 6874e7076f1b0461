"""Where a stream stands, as its frames say that come early and late."""

from __future__ import annotations

from gateway.recordings.stream_clock import WINDOW_S, StreamClock

RATE_HZ = 8_000


def test_until_a_frame_comes_a_stream_runs_from_its_beginning() -> None:
    clock = StreamClock(RATE_HZ, began_s=100.0)
    assert (clock.at(99.0), clock.at(100.5)) == (0, 4_000)


def test_the_frame_that_travelled_least_sets_the_clock() -> None:
    clock = StreamClock(RATE_HZ, began_s=0.0)
    for number, late_s in enumerate((0.030, 0.005, 0.040)):
        end = (number + 1) * 160
        clock.see(end, end / RATE_HZ + late_s)
    assert clock.at(1.005) == RATE_HZ


def test_a_frame_that_was_quick_long_ago_is_forgotten() -> None:
    clock = StreamClock(RATE_HZ, began_s=0.0)
    clock.see(160, 0.020)
    for window in range(1, 4):
        at_s = window * (WINDOW_S + 1)
        clock.see(int(at_s * RATE_HZ), at_s + 0.010)
    assert abs(clock.at(100.010) - 100 * RATE_HZ) <= 1


def test_the_window_before_still_counts() -> None:
    clock = StreamClock(RATE_HZ, began_s=0.0)
    clock.see(160, 0.020)
    clock.see(int(6 * RATE_HZ), 6.1)
    assert clock.at(6.1) == int(6.1 * RATE_HZ)


def test_what_comes_between_two_frames_was_sent_between_them() -> None:
    clock = StreamClock(RATE_HZ, began_s=0.0)
    clock.see(160, 0.020)
    clock.see(320, 0.540)
    assert clock.sent_at(0.545) == 480  # not at 4 360, where the stream stands by now
    assert clock.sent_at(0.020) == 320  # the frame was sent before it


def test_where_no_frames_come_any_more_the_clock_goes_on() -> None:
    clock = StreamClock(RATE_HZ, began_s=0.0)
    clock.see(160, 0.020)
    assert clock.sent_at(2.0) == 16_000
