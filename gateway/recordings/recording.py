"""The recording of one media stream while it goes on: what the reader and the phone tell, on its way to the file.

Lives on the event loop and never waits: sound goes to the writer's thread a second at a time. What the disk says
reaches neither the call nor this file; it stands in the part's sidecar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.recordings.part_file import PartFile, log
from gateway.recordings.sidecar import Sidecar, State
from gateway.recordings.two_tracks import Stretch, TwoTracks
from gateway.recordings.writer import Writer
from pipeline.audio.formats import AudioFormat

PASS_ON_S: Final = 1.0
"""Sound leaves for the file so often: what dies with a worker, besides what is not yet known to be heard."""

BEHIND: Final = "the disk did not keep up"


class Recording:
    """The `Tap` of one stream. All but `pause` and `resume` is for the reader, the phone and the socket."""

    def __init__(
        self,
        folder: Path,
        sidecar: Sidecar,
        line: AudioFormat,
        writer: Writer,
        count: Callable[[State], None],
        now: Callable[[], float],
        began: Callable[[Sidecar], None] = lambda _part: None,
    ) -> None:
        """`began` is told in the writer's thread which part it is, once its files are there, and `count` what
        became of it; `now` is the pacer's clock."""
        self.call_sid = sidecar.call_sid
        self._tracks = TwoTracks(line, now())
        self._writer = writer
        self._count = count
        self._now = now
        self._next_s = now() + PASS_ON_S
        self._holds: list[object] = []
        """Who wants silence; the recording goes on when nobody does."""
        self._file: PartFile | None = None
        self._is_closed = False
        self._began = began
        writer.give(lambda: self._open(folder, sidecar, line))

    @property
    def is_paused(self) -> bool:
        return bool(self._holds)

    @property
    def is_paused_from_outside(self) -> bool:
        """Not only for what a tool collects: it stays so on the call's next stream."""
        return None in self._holds

    def pause(self, by: object = None) -> None:
        """Silence from now on in both channels, until whoever paused resumes: `by` tells several apart."""
        if by not in self._holds:
            self._holds.append(by)
        self._tracks.pause(self._now())

    def resume(self, by: object = None) -> None:
        if by in self._holds:
            self._holds.remove(by)
        if not self._holds:
            self._tracks.resume(self._now())

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """Paused for as long as this lasts: for what a caller keys in that nobody may keep."""
        by = object()
        self.pause(by)
        try:
            yield
        finally:
            self.resume(by)

    def hear(self, audio: bytes, timestamp_ms: int, now_s: float) -> None:
        """A frame of the caller's. The hot path of a call that is recorded."""
        self._tracks.hear(audio, timestamp_ms, now_s)
        if now_s >= self._next_s:
            self._pass_on(now_s)

    def sent(self, audio: bytes, position: int, now_s: float) -> None:
        """Sound went to the phone, `position` being behind it."""
        self._tracks.sent(audio, position, now_s)
        if now_s >= self._next_s:  # a caller who is muted sends no frames
            self._pass_on(now_s)

    def played(self, position: int, now_s: float, *, by_mark: bool) -> None:
        self._tracks.played(position, now_s, by_mark=by_mark)

    def flushed(self, position: int, now_s: float) -> None:
        self._tracks.flushed(position, now_s)

    def returned(self, position: int, now_s: float) -> None:
        self._tracks.returned(position, now_s)

    def close(self) -> None:
        """The stream is over. What comes after is not heard."""
        if self._is_closed:
            return
        self._is_closed = True
        if (stretch := self._tracks.finish(self._now())) is not None:
            self._write(stretch)
        end, pauses = self._tracks.taken, self._tracks.pauses
        self._writer.give(lambda: self._count(self._file.finish(end, pauses) if self._file else State.LOST))

    def _pass_on(self, now_s: float) -> None:
        self._next_s = now_s + PASS_ON_S
        if not self._is_closed and (stretch := self._tracks.take(now_s)) is not None:
            self._write(stretch)

    def _write(self, stretch: Stretch) -> None:
        if not self._writer.give(lambda: self._append(stretch), 2 * len(stretch.caller)):
            self._writer.give(lambda: self._file.miss(BEHIND) if self._file else None)

    def _open(self, folder: Path, sidecar: Sidecar, line: AudioFormat) -> None:
        """In the writer's thread, as what follows."""
        try:
            self._file = PartFile(folder, sidecar, line)
        except OSError as error:
            log.error("recording of %s is lost: %s", sidecar.call_sid, error)
        else:
            self._began(self._file.sidecar)

    def _append(self, stretch: Stretch) -> None:
        if self._file is not None:
            self._file.write(stretch, time.monotonic())
