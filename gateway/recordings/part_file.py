"""The two files of one part while it is recorded. All of this blocks; one thread of the process does it.

The sound's header is brought up to date every few seconds, so that a file whose worker died is a file that every
player can read. Whoever writes holds a lock on the sound, which the system frees when the process is gone: that is
how another tells a part that is being recorded from one that was left behind. A write that fails is tried again
with the next sound, and what is missing between them is silence, so that the time stays true.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from gateway.recordings import wav
from gateway.recordings.sidecar import MOST_PAUSES, MOST_REASONS, PausedFor, Sidecar, State, name_of, write_sidecar
from gateway.recordings.two_tracks import Pause, Stretch
from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat, Encoding

log = logging.getLogger(__name__)

CHECKPOINT_S: Final = 3.0
"""How old the header of a file may be that is being written: what a dead worker's part may seem too short by."""

PARTS_TRIED: Final = 50
"""Numbers after the stream's own, where that is taken: a gateway begun anew counts streams from 1 again."""

_PADDING_SAMPLES: Final = 80_000
"""Ten seconds of silence at a time, however long a gap is."""


class PartFile:
    """See the module's docstring. `line` is the format of what is written, `sidecar.encoding` that of the file."""

    def __init__(self, folder: Path, sidecar: Sidecar, line: AudioFormat) -> None:
        """Raises `OSError` if the files cannot be made."""
        self._line = line
        self._encoding = sidecar.law
        self._written = 0
        """Samples that are in the file."""
        self._checked_at_s = 0.0
        self._reasons: list[str] = []
        self._sound, self.sidecar = _create(folder, sidecar)
        self._folder = folder
        try:
            self._note = _open_new(folder / self.sidecar.note_name)
            os.pwrite(self._note, write_sidecar(self.sidecar), 0)
            self._write_header()
        except OSError:
            self._discard()
            raise

    def write(self, stretch: Stretch, now_s: float) -> None:
        """Add sound; `now_s` is any steady clock's. What cannot be written makes the part partial."""
        try:
            self._pad(stretch.first)
            self._append(self._stereo(stretch.caller, stretch.agent))
            if now_s >= self._checked_at_s + CHECKPOINT_S:
                self._checked_at_s = now_s
                self._write_header()
        except OSError as error:
            self.miss(_reason(error))

    def miss(self, reason: str) -> None:
        """Something is missing from now on, or from here; said once in the log for each reason."""
        if reason not in self._reasons and len(self._reasons) < MOST_REASONS:
            self._reasons.append(reason)
            log.error("recording of %s is partial: %s", self.sidecar.call_sid, reason)

    def finish(self, end: int, pauses: list[Pause]) -> State:
        """The stream has ended at sample `end`: what became of the part. Closes both files."""
        try:
            with contextlib.suppress(OSError):
                self._pad(end)
            if self._written < end and not self._reasons:
                self.miss("the end could not be written")
            self._settle(pauses)
            if not os.fstat(self._sound).st_nlink:
                log.error("recording of %s is lost: its file was taken away", self.sidecar.call_sid)
                return State.LOST
            return self.sidecar.state
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close both files as they are, as happens to them when their worker dies."""
        os.close(self._note)
        os.close(self._sound)

    def _settle(self, pauses: list[Pause]) -> None:
        """Header and sidecar say what is there. Neither needs room on the disk that it has not got yet."""
        per_ms = self._line.rate_hz // 1000
        self.sidecar = msgspec.structs.replace(
            self.sidecar,
            state=State.PARTIAL if self._reasons else State.WHOLE,
            duration_ms=self._written // per_ms,
            reasons=tuple(self._reasons),
            pauses=tuple(
                PausedFor(from_ms=one.first // per_ms, to_ms=(one.last or one.first) // per_ms)
                for one in pauses[:MOST_PAUSES]
            ),
            pause_count=len(pauses),
        )
        try:
            self._write_header()
            os.ftruncate(self._sound, self._size())
            os.pwrite(self._note, write_sidecar(self.sidecar), 0)
        except OSError as error:
            # What says so is unwritable itself; whoever finds the part left behind will say it.
            self.miss(f"it could not be closed: {_reason(error)}")
            self.sidecar = msgspec.structs.replace(self.sidecar, state=State.PARTIAL)

    def _pad(self, until: int) -> None:
        silence = self._line.silence
        while (missing := until - self._written) > 0:
            some = silence * min(missing, _PADDING_SAMPLES)
            self._append(self._stereo(some, some))

    def _stereo(self, caller: bytes, agent: bytes) -> bytes:
        if self._encoding is Encoding.PCM16:
            caller, agent = g711.decode(caller, self._line.encoding), g711.decode(agent, self._line.encoding)
        return wav.interleaved(caller, agent, self._encoding.bytes_per_sample)

    def _append(self, sound: bytes) -> None:
        """All of it, or as many whole samples as there is room for and then `OSError`."""
        at, frame = self._size(), wav.frame_bytes(self._encoding)
        if at + len(sound) > wav.LONGEST_BYTES:
            raise OSError(errno.EFBIG, "the file is as long as a WAVE file can be")
        done = 0
        try:
            while done < len(sound):
                done += os.pwrite(self._sound, memoryview(sound)[done:], at + done)
        finally:
            self._written += done // frame

    def _size(self) -> int:
        return wav.header_bytes(self._encoding) + self._written * wav.frame_bytes(self._encoding)

    def _write_header(self) -> None:
        os.pwrite(self._sound, wav.header(self._encoding, self._line.rate_hz, self._written), 0)

    def _discard(self) -> None:
        """Nothing is left of a part that could not even be begun."""
        os.close(self._sound)
        if hasattr(self, "_note"):
            os.close(self._note)
        for name in (self.sidecar.name, self.sidecar.note_name):
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()


def _create(folder: Path, sidecar: Sidecar) -> tuple[int, Sidecar]:
    """The sound's file, locked, and the sidecar with the number it got."""
    for part in range(sidecar.generation, sidecar.generation + PARTS_TRIED):
        with contextlib.suppress(FileExistsError):
            sound = _open_new(folder / name_of(sidecar.call_sid, part))
            fcntl.flock(sound, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return sound, msgspec.structs.replace(sidecar, part=part)
    raise FileExistsError(f"{PARTS_TRIED} parts of {sidecar.call_sid} are there already; clear {folder}")


def _open_new(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _reason(error: OSError) -> str:
    """In the system's words, without a path."""
    return os.strerror(error.errno) if error.errno else str(error)
