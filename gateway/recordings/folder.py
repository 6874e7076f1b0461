"""The folder where recordings are made, and kept unless they go on to a bucket. All of this blocks.

Nothing but files of our own naming is read or touched, no link is followed, and no path comes from outside: names
are put together from a call's id and a number. The folder is ours alone (0700), its files too (0600).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from gateway.recordings import wav
from gateway.recordings.place import Span
from gateway.recordings.sidecar import (
    NotOurs,
    Sidecar,
    State,
    is_call_sid,
    part_of,
    read_sidecar,
    write_sidecar,
)

log = logging.getLogger(__name__)

LEFT_BEHIND: Final = "the worker died"
_MOST_SIDECAR_BYTES: Final = 65_536
DAY_S: Final = 86_400.0


class Folder:
    """See the module's docstring."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder if need be. Raises `OSError` if it is not ours alone or cannot be had."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self.path.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise PermissionError(
                f"{self.path} is open to others, and recordings are nobody else's; make it ours alone "
                "(chmod 700) or name a folder that is not there yet"
            )

    def parts(self, call_sid: str | None = None) -> list[Sidecar]:
        """What there is of one call, or of all, in the order of the parts."""
        if call_sid is not None and not is_call_sid(call_sid):
            return []
        found = [sidecar for name in self._sidecars() if (sidecar := self._read_note(name, call_sid))]
        return sorted(found, key=lambda one: (one.call_sid, one.part))

    def read(self, sidecar: Sidecar, first: int, most: int) -> Span:
        """Up to `most` bytes of a part's sound from byte `first`. Raises `OSError`."""
        with self._opened(sidecar.name) as handle:
            return Span(os.pread(handle, most, first), os.fstat(handle).st_size)

    def recover(self) -> list[Sidecar]:
        """Close the parts whose worker is gone; gives those. What is being recorded is left alone."""
        closed: list[Sidecar] = []
        for sidecar in self.parts():
            if sidecar.state is State.RECORDING:
                with contextlib.suppress(OSError), self.locked(sidecar) as is_ours:
                    if is_ours:
                        closed.append(self._close(sidecar))
        return closed

    @contextmanager
    def locked(self, sidecar: Sidecar) -> Iterator[bool]:
        """Holds the part's sound; False if somebody else does. Raises `OSError` if it is not there."""
        with self._opened(sidecar.name, os.O_RDWR) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def drop(self, sidecar: Sidecar) -> None:
        """Both files are gone after this, the sound first: a sidecar alone is found again and dropped again."""
        for name in (sidecar.name, sidecar.note_name):
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()

    def sweep(self, keep_days: int, now_s: float) -> int:
        """Drop the parts that began more than `keep_days` ago (Unix seconds); how many."""
        told = self.parts()
        dropped = 0
        for sidecar in told:
            if sidecar.began_at_s + keep_days * DAY_S <= now_s and sidecar.state is not State.RECORDING:
                self.drop(sidecar)
                dropped += 1
        named = {name for one in told for name in (one.name, one.note_name)}
        return dropped + self._sweep_orphans(named, now_s - keep_days * DAY_S)

    def waiting_bytes(self) -> int:
        """How much sound there is in the folder."""
        total = 0
        with os.scandir(self.path) as entries:
            for entry in entries:
                if part_of(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
        return total

    def _sweep_orphans(self, named: Collection[str], touched_before_s: float) -> int:
        """Drop sound without a sidecar, and sidecars that say nothing: their worker died between the two. They are
        as old as they look; how many sounds."""
        with os.scandir(self.path) as entries:
            found = [one.name for one in entries if part_of(one.name) and one.name not in named]
        dropped = 0
        for name in found:
            with contextlib.suppress(OSError), self._opened(name, os.O_RDWR) as handle:
                state = os.fstat(handle)
                if not stat.S_ISREG(state.st_mode) or state.st_mtime > touched_before_s:
                    continue
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever records into it holds it
                (self.path / name).unlink()
                dropped += name.endswith(".wav")
        return dropped

    def _close(self, sidecar: Sidecar) -> Sidecar:
        """Header and sidecar of a part that was left behind: all whole samples count."""
        encoding = sidecar.law
        with self._opened(sidecar.name, os.O_RDWR) as handle:
            sound = max(0, os.fstat(handle).st_size - wav.header_bytes(encoding))
            samples = sound // wav.frame_bytes(encoding)
            os.pwrite(handle, wav.header(encoding, sidecar.rate_hz, samples), 0)
        closed = msgspec.structs.replace(
            sidecar,
            state=State.PARTIAL,
            duration_ms=samples * 1000 // sidecar.rate_hz,
            reasons=(*sidecar.reasons, LEFT_BEHIND),
        )
        note = self._open(sidecar.note_name, os.O_RDWR)
        try:
            os.pwrite(note, write_sidecar(closed), 0)
        finally:
            os.close(note)
        log.warning("recording of %s is partial: %s", sidecar.call_sid, LEFT_BEHIND)
        return closed

    def _sidecars(self) -> list[str]:
        with os.scandir(self.path) as entries:
            return [one.name for one in entries if (part := part_of(one.name)) and part[2] == "json"]

    def _read_note(self, name: str, call_sid: str | None) -> Sidecar | None:
        """None for a sidecar of another call, or one that cannot be read or does not say what its name says."""
        part = part_of(name)
        if part is None or call_sid not in (None, part[0]):
            return None
        try:
            handle = self._open(name)
            try:
                sidecar = read_sidecar(os.pread(handle, _MOST_SIDECAR_BYTES, 0))
            finally:
                os.close(handle)
        except (OSError, NotOurs) as error:
            log.debug("%s %s", name, error)
            return None
        return sidecar if (sidecar.call_sid, sidecar.part) == part[:2] else None

    @contextmanager
    def _opened(self, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
        handle = self._open(name, flags)
        try:
            yield handle
        finally:
            os.close(handle)

    def _open(self, name: str, flags: int = os.O_RDONLY) -> int:
        if part_of(name) is None:
            raise FileNotFoundError(f"{name!r} is no recording's name")
        return os.open(self.path / name, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
