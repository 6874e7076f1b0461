"""Both channels on the stream's clock: gaps, floods, pauses, and never a sample out of its place."""

from __future__ import annotations

from gateway.recordings.two_tracks import BURST_MS, LATEST_MS, OWN_CLOCK_MS, Stretch, TwoTracks
from pipeline.audio.formats import PCMA, PCMU
from tests.gateway.recordings.support import sound

FRAME = 160
QUIET = b"\xff"


def hear(tracks: TwoTracks, first: int, count: int, zero_ms: int = 0) -> None:
    """Frames that come as soon as they are spoken."""
    for number in range(first, first + count):
        tracks.hear(sound(FRAME, number * FRAME), zero_ms + number * 20, (number + 1) * 0.020)


def test_frames_leave_as_they_came_each_once() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    assert tracks.take(0.0) is None
    hear(tracks, 0, 5)
    assert tracks.take(0.1) == Stretch(0, sound(5 * FRAME), QUIET * 5 * FRAME)
    assert tracks.take(0.1) is None
    hear(tracks, 5, 1)
    assert tracks.finish(0.12) == Stretch(5 * FRAME, sound(FRAME, 5 * FRAME), QUIET * FRAME)
    assert tracks.taken == 6 * FRAME


def test_frames_that_are_missing_are_silence_of_their_length() -> None:
    tracks = TwoTracks(PCMA, 0.0)
    hear(tracks, 0, 1)
    hear(tracks, 4, 1)
    last = tracks.finish(0.1)
    assert last is not None
    assert last.caller == sound(FRAME) + b"\xd5" * 3 * FRAME + sound(FRAME, 4 * FRAME)


def test_timestamps_that_wander_make_no_holes() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    for number, timestamp_ms in enumerate((3, 21, 44, 58)):
        tracks.hear(sound(FRAME, number * FRAME), timestamp_ms, 0.1)
    last = tracks.finish(0.1)
    assert last is not None
    assert last.caller == sound(4 * FRAME)


def test_a_clock_that_did_not_begin_with_the_stream_begins_with_its_first_frame() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    hear(tracks, 0, 3, zero_ms=OWN_CLOCK_MS + 1_000_000)
    tracks.hear(sound(FRAME), 5, 0.1)
    last = tracks.finish(0.1)
    assert last is not None
    assert last.caller == sound(3 * FRAME)


def test_a_timestamp_far_ahead_of_time_is_not_believed() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    hear(tracks, 0, 1)
    tracks.hear(sound(FRAME), BURST_MS + 21, 0.020)
    last = tracks.finish(0.02)
    assert last is not None
    assert last.caller == sound(FRAME)


def test_what_the_agent_said_stands_beside_what_the_caller_said_meanwhile() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    hear(tracks, 0, 10)
    tracks.sent(sound(800), 800, 0.2)
    hear(tracks, 10, 5)
    taken = tracks.take(0.3)
    assert taken is not None
    assert len(taken.caller) == 10 * FRAME  # where the agent's sound may stand is not decided yet
    tracks.played(800, 0.3, by_mark=True)
    hear(tracks, 15, 60)
    taken = tracks.take(1.5)
    assert taken is not None
    assert taken.agent == sound(800) + QUIET * (60 * FRAME)
    assert len(taken.caller) == len(taken.agent)


def test_what_was_flushed_is_silence() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    hear(tracks, 0, 10)
    tracks.sent(sound(800), 800, 0.2)
    tracks.flushed(400, 0.25)
    hear(tracks, 10, 10)
    last = tracks.finish(0.4)
    assert last is not None
    assert last.agent == QUIET * 1_600 + sound(400) + QUIET * 1_200


def test_while_it_pauses_both_are_silent_and_time_goes_on() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    tracks.resume(0.0)
    hear(tracks, 0, 10)
    tracks.sent(sound(4_800), 4_800, 0.2)
    tracks.pause(0.3)
    tracks.pause(0.31)
    hear(tracks, 10, 15)
    tracks.resume(0.5)
    tracks.resume(0.6)
    hear(tracks, 25, 15)
    tracks.played(4_800, 0.8, by_mark=True)
    hear(tracks, 40, 15)
    last = tracks.finish(1.1)
    assert last is not None
    assert [(one.first, one.last) for one in tracks.pauses] == [(2_400, 4_000)]
    spoken = sound(55 * FRAME)
    assert last.caller == spoken[:2_400] + QUIET * 1_600 + spoken[4_000:]
    heard = QUIET * 1_600 + sound(4_800) + QUIET * 2_400
    assert last.agent == heard[:2_400] + QUIET * 1_600 + heard[4_000:]


def test_a_pause_that_lasts_silences_every_stretch() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    tracks.pause(0.0)
    hear(tracks, 0, 5)
    assert tracks.take(0.1) == Stretch(0, QUIET * 5 * FRAME, QUIET * 5 * FRAME)
    tracks.resume(0.1)
    hear(tracks, 5, 5)
    assert tracks.take(0.2) == Stretch(5 * FRAME, sound(5 * FRAME, 5 * FRAME), QUIET * 5 * FRAME)


def test_a_line_without_frames_is_silence_once_they_are_overdue() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    hear(tracks, 0, 1)
    assert tracks.take(1.0) == Stretch(0, sound(FRAME), QUIET * FRAME)
    late = tracks.take(LATEST_MS / 1000 + 1.0)
    assert late is not None
    assert late.caller == QUIET * (8_000 - FRAME)


def test_an_hour_later_the_channels_are_where_they_belong() -> None:
    """The phone's clock runs fast by 100 millionths: 360 ms in the hour."""
    tracks = TwoTracks(PCMU, 0.0)
    position, length = 0, 0
    for number in range(3_600 * 50):
        now_s = (number + 1) * 0.020 * (1 - 100e-6)
        tracks.hear(QUIET * FRAME, number * 20, now_s)
        if number % 500 == 499:
            position += 800
            tracks.sent(b"\x01" * 800, position, now_s)
        elif number % 500 == 5 and position:
            tracks.played(position, now_s, by_mark=True)  # 100 ms after it was sent at once
        taken = tracks.take(now_s) if number % 50 == 0 else None
        if taken is not None:
            for at in range(len(taken.agent)):
                if taken.agent[at] == 1:
                    place = (taken.first + at) % 80_000
                    assert place < 1_000, "the agent has drifted"
                    break
            length += len(taken.agent)
    assert length == tracks.taken > 3_590 * 8_000


def test_a_pause_before_the_first_frame_begins_with_the_stream_and_one_that_never_ended_ends_with_it() -> None:
    tracks = TwoTracks(PCMU, 0.0)
    tracks.pause(0.013)
    hear(tracks, 0, 5)
    last = tracks.finish(0.095)
    assert last == Stretch(0, QUIET * 5 * FRAME, QUIET * 5 * FRAME)
    assert [(pause.first, pause.last) for pause in tracks.pauses] == [(0, 5 * FRAME)]
