from __future__ import annotations

import numpy as np
import pytest

from gateway.media_stream.live_sound import PIECE_MS, LiveSound, interleaved, mixed
from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCMA, PCMU, AudioFormat

FRAME_MS = 20
LOUD, LOUDER = 1_000, 5_000


class Listener:
    """Hears a stream, and keeps both sides as PCM16."""

    def __init__(self, line: AudioFormat = PCMU) -> None:
        self.line = line
        self.pieces: list[bytes] = []
        self.sound = LiveSound(line, self.pieces.append)
        self.at_ms = 0
        self.position = 0

    def tone(self, level: int, ms: int = FRAME_MS) -> bytes:
        return g711.encode(np.full(8 * ms, level, "<i2").tobytes(), self.line.encoding)

    def hear(self, level: int = LOUD, ms: int = FRAME_MS) -> None:
        """So much of the caller, in frames."""
        for _ in range(ms // FRAME_MS):
            self.sound.hear(self.tone(level), self.at_ms, self.at_ms / 1000)
            self.at_ms += FRAME_MS

    def say(self, level: int = LOUDER, ms: int = 100) -> None:
        self.position += 8 * ms
        self.sound.sent(self.tone(level, ms), self.position, self.at_ms / 1000)

    def side(self, which: int) -> list[int]:
        """The level of each 20 ms of one side."""
        both = np.frombuffer(b"".join(self.pieces), "<i2").reshape(-1, 2)[:, which]
        return [500 * round(frame.mean() / 500) for frame in both.reshape(-1, 8 * FRAME_MS)]


def levels(*runs: tuple[int, int]) -> list[int]:
    """So many frames of each level."""
    return [level for level, count in runs for _ in range(count)]


@pytest.mark.parametrize("line", [PCMU, PCMA, PCM_8K], ids=["µ-law", "A-law", "PCM16"])
def test_each_side_has_its_channel_and_the_agents_sound_lasts_as_long_as_it_is_played(line: AudioFormat) -> None:
    here = Listener(line)
    here.hear(ms=100)
    here.say(ms=60)
    here.hear(ms=200)
    assert [len(piece) for piece in here.pieces] == [PIECE_MS * 8 * 4] * 3
    assert here.side(0) == levels((1_000, 15))
    assert here.side(1) == levels((0, 5), (5_000, 3), (0, 7))


def test_what_a_clear_threw_away_is_not_heard_and_what_is_said_next_is() -> None:
    here = Listener()
    here.hear(ms=20)
    here.say(ms=400)
    here.hear(ms=40)
    here.sound.flushed(8 * 60, 0.06)
    here.position = 8 * 60
    here.hear(ms=60)
    here.say(level=3_000, ms=20)
    here.hear(ms=80)
    assert here.side(1) == levels((0, 1), (5_000, 3), (0, 2), (3_000, 1), (0, 3))


def test_frames_that_are_missing_are_silent_and_late_ones_are_not_heard() -> None:
    here = Listener()
    here.hear(ms=40)
    here.at_ms += 60
    here.hear(ms=100)
    here.at_ms -= 100
    here.hear(ms=20)
    assert here.side(0) == levels((1_000, 2), (0, 3), (1_000, 5))


def test_a_caller_who_is_muted_does_not_hold_the_agents_sound_back() -> None:
    here = Listener()
    here.hear(ms=20)
    for _ in range(5):
        here.at_ms += 100
        here.say(ms=100)
        here.sound.played(here.position, here.at_ms / 1000, by_mark=True)
    assert here.side(1).count(5_000) >= 10
    assert here.side(0)[1:] == levels((0, len(here.side(0)) - 1))
    here.hear(ms=200)
    assert here.side(0)[-5:] == levels((1_000, 5))


def test_a_muted_line_that_never_sent_a_frame_is_heard_as_well() -> None:
    here = Listener()
    for _ in range(6):
        here.say(ms=100)
        here.at_ms += 100
    assert 5_000 in here.side(1)


def test_sound_that_marks_say_was_played_long_ago_is_caught_up_with() -> None:
    here = Listener()
    here.hear(ms=20)
    here.say(ms=1_000)
    here.say(level=3_000, ms=100)
    here.hear(ms=100)
    here.sound.played(8 * 200, here.at_ms / 1000, by_mark=True)  # 100 ms ahead of us: no matter
    here.hear(ms=100)
    here.sound.played(8 * 1_000, here.at_ms / 1000, by_mark=True)
    here.hear(ms=180)
    assert here.side(1) == levels((0, 1), (5_000, 10), (3_000, 5), (0, 4))


def test_both_sides_in_one_are_added_and_never_wrap_around() -> None:
    left = np.array([1, 32_000, -32_000], "<i2").tobytes()
    right = np.array([2, 32_000, -32_000], "<i2").tobytes()
    assert np.frombuffer(mixed(interleaved(left, right)), "<i2").tolist() == [3, 32_767, -32_768]
