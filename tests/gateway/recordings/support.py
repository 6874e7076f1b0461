"""What tests of recordings need: parts, a folder of our own, and sound that can be told apart."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from gateway.recordings import wav
from gateway.recordings.folder import Folder
from gateway.recordings.part_file import PartFile
from gateway.recordings.sidecar import Sidecar, State
from gateway.recordings.two_tracks import Stretch
from pipeline.audio.formats import PCMU

CALL = "CA" + "7" * 32
OTHER = "CA" + "8" * 32
STREAM = "MZ" + "c" * 32


def sidecar(part: int = 1, **changes: object) -> Sidecar:
    plain = Sidecar(
        call_sid=CALL,
        part=part,
        generation=part,
        stream_sid=STREAM,
        state=State.RECORDING,
        encoding="ulaw",
        rate_hz=8_000,
        began_at="2026-11-20T10:00:00.000+00:00",
        offset_ms=0,
    )
    return msgspec.structs.replace(plain, **changes)


def sound(samples: int, first: int = 0) -> bytes:
    """Never silence, and no two neighbours alike."""
    return bytes((first + index) % 250 for index in range(samples))


def stretch(first: int, samples: int) -> Stretch:
    return Stretch(first, sound(samples, first), sound(samples, first + 100))


def new_folder(path: Path) -> Folder:
    folder = Folder(path / "recordings")
    folder.prepare()
    return folder


def finished(folder: Folder, samples: int = 800, **changes: object) -> Sidecar:
    """A part that is done."""
    file = PartFile(folder.path, sidecar(**changes), PCMU)  # type: ignore[arg-type] # fields of a sidecar
    file.write(stretch(0, samples), 0.0)
    file.finish(samples, [])
    return file.sidecar


def left_behind(folder: Folder, samples: int = 800, **changes: object) -> Sidecar:
    """A part whose worker died in the middle of a sample."""
    file = PartFile(folder.path, sidecar(**changes), PCMU)  # type: ignore[arg-type] # fields of a sidecar
    file.write(stretch(0, samples), 0.0)
    file.abandon()
    with open(folder.path / file.sidecar.name, "ab") as sound_file:
        sound_file.write(b"\x00")
    return file.sidecar


def channels(path: Path) -> tuple[bytes, bytes]:
    """Caller and agent of a G.711 file, as its header has it."""
    data = path.read_bytes()
    start = wav.HEAD_BYTES
    size = int.from_bytes(data[start - 4 : start], "little")
    assert size == len(data) - start
    return data[start::2], data[start + 1 :: 2]


def mode_of(path: Path) -> int:
    return os.stat(path).st_mode & 0o777
