"""A recording while it goes on: what the reader and the phone tell reaches the file, whatever the disk does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gateway.recordings.recording import BEHIND, PASS_ON_S, Recording
from gateway.recordings.sidecar import State
from gateway.recordings.writer import Writer
from pipeline.audio.formats import PCMU
from tests.gateway.recordings.support import CALL, channels, new_folder, sidecar, sound

FRAME = 160
QUIET = b"\xff"


@dataclass
class Booth:
    """A recording, its clock, and what became of it."""

    folder: Path
    writer: Writer = field(default_factory=Writer)
    ends: list[State] = field(default_factory=list)
    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.recording = Recording(self.folder, sidecar(), PCMU, self.writer, self.ends.append, lambda: self.now_s)

    def speak(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.now_s = 100.0 + (number + 1) * 0.020
            self.recording.hear(sound(FRAME, number * FRAME), number * 20, self.now_s)

    def finish(self) -> list[State]:
        self.recording.close()
        self.recording.close()
        self.writer.start()
        assert self.writer.stop()
        return self.ends


def test_both_sides_of_a_call_reach_the_file(tmp_path: Path) -> None:
    booth = Booth(new_folder(tmp_path).path)
    booth.speak(0, 10)
    booth.recording.sent(sound(800), 800, 100.2)
    booth.speak(10, 5)
    booth.recording.played(800, 100.3, by_mark=True)
    booth.recording.sent(b"\x01" * 800, 1_600, 100.3)
    booth.recording.flushed(800, 100.3)
    booth.speak(15, 100)
    assert booth.finish() == [State.WHOLE]
    caller, agent = channels(booth.folder / f"{CALL}.1.wav")
    assert caller == sound(115 * FRAME)
    assert agent == QUIET * 1_600 + sound(800) + QUIET * (115 * FRAME - 2_400)


def test_a_folder_that_is_gone_loses_the_recording_and_nothing_else(tmp_path: Path) -> None:
    booth = Booth(tmp_path / "gone")
    booth.speak(0, 100)
    assert booth.finish() == [State.LOST]


def test_a_disk_that_does_not_keep_up_leaves_holes_of_silence(tmp_path: Path) -> None:
    booth = Booth(new_folder(tmp_path).path, Writer(most_waiting_bytes=30_000))
    booth.speak(0, 250)
    assert booth.finish() == [State.PARTIAL]
    caller, _ = channels(booth.folder / f"{CALL}.1.wav")
    kept = len(caller.rstrip(QUIET))
    assert 8_000 <= kept < 16_000
    assert caller == sound(kept) + QUIET * (250 * FRAME - kept)
    assert BEHIND in (booth.folder / f"{CALL}.1.json").read_text()


def test_behind_and_gone_is_still_only_lost(tmp_path: Path) -> None:
    booth = Booth(tmp_path / "gone", Writer(most_waiting_bytes=1))
    booth.speak(0, 100)
    assert booth.finish() == [State.LOST]


def test_a_line_that_is_muted_is_written_all_the_same(tmp_path: Path) -> None:
    booth = Booth(new_folder(tmp_path).path)
    booth.speak(0, 1)
    for second in range(1, 30):
        booth.recording.sent(sound(800), 800 * second, 100.0 + second * PASS_ON_S)
        booth.recording.played(800 * second, 100.1 + second * PASS_ON_S, by_mark=True)
    booth.now_s = 130.0
    waiting = booth.writer._waiting_bytes
    assert waiting > 2 * 15 * 8_000, "it has not left for the file"
    assert booth.finish() == [State.WHOLE]


def test_it_is_silent_until_everybody_who_paused_it_has_resumed(tmp_path: Path) -> None:
    booth = Booth(new_folder(tmp_path).path)
    booth.speak(0, 10)
    with booth.recording.hushed():
        booth.recording.pause()
        booth.recording.pause()
        assert booth.recording.is_paused
        booth.speak(10, 10)
        booth.recording.resume()
        booth.speak(20, 10)
    booth.recording.resume()
    booth.speak(30, 10)
    booth.finish()
    caller, _ = channels(booth.folder / f"{CALL}.1.wav")
    assert caller == sound(10 * FRAME) + QUIET * 20 * FRAME + sound(10 * FRAME, 30 * FRAME)
    assert '"from_ms": 200' in (booth.folder / f"{CALL}.1.json").read_text()


def test_what_comes_after_the_end_is_not_heard(tmp_path: Path) -> None:
    booth = Booth(new_folder(tmp_path).path)
    booth.speak(0, 10)
    booth.finish()
    booth.speak(10, 100)
    assert len(channels(booth.folder / f"{CALL}.1.wav")[0]) == 10 * FRAME
