"""The stream's own clock: gaps become silence, floods are refused, and positions are the stream's time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media_stream.timeline import BURST_MS, LONGEST_FILL_MS, SMALLEST_GAP_MS, Timeline
from pipeline.audio.formats import PCMA, PCMU, AudioFormat

FRAME_MS = 20
BEGAN_MS = 500_000.0


def frame(number: int, line: AudioFormat = PCMU) -> bytes:
    """Sound that is no silence and differs from its neighbours'."""
    return bytes([number % 100]) * line.bytes_in(FRAME_MS)


def silence(ms: float, line: AudioFormat = PCMU) -> bytes:
    return line.silence * line.bytes_in(ms)


def after_one_frame(line: AudioFormat = PCMU) -> Timeline:
    """A timeline whose next sound is expected at 20 ms."""
    timeline = Timeline(line)
    assert timeline.place(frame(0, line), 0, BEGAN_MS) == frame(0, line)
    return timeline


def test_sound_without_gaps_passes_as_it_is() -> None:
    timeline = Timeline(PCMU)
    for number in range(100):
        at_ms = number * FRAME_MS
        assert timeline.place(frame(number), at_ms, BEGAN_MS + at_ms) == frame(number)
        assert timeline.fill(BEGAN_MS + at_ms + FRAME_MS) == b""


def test_the_first_frame_may_have_any_time() -> None:
    timeline = Timeline(PCMU)
    assert timeline.place(frame(0), 7_000, BEGAN_MS) == frame(0)
    assert timeline.place(frame(1), 7_020, BEGAN_MS + 20) == frame(1)


@pytest.mark.parametrize("line", [PCMU, PCMA])
def test_a_gap_becomes_silence_of_its_length_in_the_lines_own_law(line: AudioFormat) -> None:
    timeline = after_one_frame(line)
    assert timeline.place(frame(5, line), 100, BEGAN_MS + 100) == silence(80, line) + frame(5, line)
    assert timeline.place(frame(6, line), 120, BEGAN_MS + 120) == frame(6, line)


def test_timestamps_may_wander_a_little() -> None:
    timeline = after_one_frame()
    now = BEGAN_MS + 100
    assert timeline.place(frame(1), 20 + SMALLEST_GAP_MS - 1, now) == frame(1)
    # It was put where it was expected, so the next is expected at 40.
    assert timeline.place(frame(2), 40 - SMALLEST_GAP_MS + 1, now) == frame(2)
    assert timeline.place(frame(3), 60 + SMALLEST_GAP_MS, now) == silence(SMALLEST_GAP_MS) + frame(3)


def test_sound_from_before_what_was_heard_is_dropped() -> None:
    timeline = after_one_frame()
    timeline.place(frame(5), 100, BEGAN_MS + 100)
    assert timeline.place(frame(1), 20, BEGAN_MS + 101) is None
    assert timeline.place(frame(5), 120 - SMALLEST_GAP_MS, BEGAN_MS + 101) is None
    assert timeline.place(frame(6), 120, BEGAN_MS + 120) == frame(6)


def test_the_same_frame_again_and_again_is_soon_dropped() -> None:
    timeline = after_one_frame()
    placed = [timeline.place(frame(0), 0, BEGAN_MS) for _ in range(10)]
    assert [sound is not None for sound in placed] == [True] + [False] * 9


def test_sound_may_come_two_seconds_faster_than_time_passes_and_no_more() -> None:
    timeline = after_one_frame()
    burst = [timeline.place(frame(n), n * FRAME_MS, BEGAN_MS + 10) for n in range(1, 500)]
    heard = [sound for sound in burst if sound is not None]
    assert len(heard) == BURST_MS // FRAME_MS
    assert burst[len(heard) :] == [None] * (len(burst) - len(heard))
    # Once time has caught up, the stream goes on where it is by then.
    assert timeline.place(frame(1), 10_000, BEGAN_MS + 10_000) is not None


def test_a_gap_longer_than_ten_seconds_is_filled_with_ten() -> None:
    timeline = after_one_frame()
    back = timeline.place(frame(1), 60_000, BEGAN_MS + 60_000)
    assert back == silence(LONGEST_FILL_MS) + frame(1)
    assert timeline.place(frame(2), 60_020, BEGAN_MS + 60_020) == frame(2)


def test_nothing_is_filled_before_the_first_frame() -> None:
    assert Timeline(PCMU).fill(BEGAN_MS) == b""


def test_quiet_is_filled_up_to_now_and_what_comes_late_for_it_is_dropped() -> None:
    timeline = after_one_frame()
    assert timeline.fill(BEGAN_MS + 20 + SMALLEST_GAP_MS - 1) == b""
    assert timeline.fill(BEGAN_MS + 770) == silence(750)
    assert timeline.fill(BEGAN_MS + 770) == b""
    assert timeline.place(frame(1), 20, BEGAN_MS + 771) is None
    assert timeline.place(frame(38), 770, BEGAN_MS + 790) == frame(38)


def test_a_process_that_slept_for_an_hour_fills_no_hour_at_once() -> None:
    timeline = after_one_frame()
    assert timeline.fill(BEGAN_MS + 3_600_000) == silence(LONGEST_FILL_MS)
    assert timeline.fill(BEGAN_MS + 3_600_000) == silence(LONGEST_FILL_MS)


ARRIVALS = st.lists(
    st.tuples(
        st.integers(-5, 400),  # frames the stream goes on, or back
        st.integers(1, 800),  # bytes of the payload
        st.integers(0, 3_000),  # ms of ours that pass
        st.booleans(),  # whether quiet is filled then
    ),
    max_size=60,
)


@given(ARRIVALS)
def test_positions_are_the_streams_time_whatever_comes(arrivals: list[tuple[int, int, int, bool]]) -> None:
    timeline = Timeline(PCMU)
    now_ms, number, heard, gaps = BEGAN_MS, 0, 0, 0
    began_at_ms: int | None = None
    for frames, size, passed_ms, fills in arrivals:
        now_ms, number = now_ms + passed_ms, max(0, number + frames)
        timestamp_ms = number * FRAME_MS
        if fills:
            filled = timeline.fill(now_ms)
            gaps += bool(filled)
            heard += len(filled)
            assert set(filled) <= set(PCMU.silence)
            assert len(filled) <= PCMU.bytes_in(LONGEST_FILL_MS)
        sound = timeline.place(b"\x01" * size, timestamp_ms, now_ms)
        if sound is None:
            continue
        if began_at_ms is None:
            began_at_ms = timestamp_ms
        fill = len(sound) - size
        assert sound == PCMU.silence * fill + b"\x01" * size
        assert fill == 0 or fill >= PCMU.bytes_in(SMALLEST_GAP_MS)
        assert fill <= PCMU.bytes_in(LONGEST_FILL_MS)
        gaps += bool(fill)
        if fill == PCMU.bytes_in(LONGEST_FILL_MS):
            # The line was away: from here the count begins anew.
            began_at_ms, heard = timestamp_ms, -fill
        position_ms = (heard + fill) * 1000 / PCMU.bytes_per_second
        # Where it is heard is where the stream says it belongs, but for wandering and a sample a gap.
        assert abs(position_ms - (timestamp_ms - began_at_ms)) <= 2 * SMALLEST_GAP_MS + gaps
        heard += len(sound)
