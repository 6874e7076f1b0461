"""The parts of a call's recording as one file: each at its place in the call's time, silence between them.

A part is placed by its sidecar's `offset_ms`. Where a newer stream began before the one before it was over, the
newer one counts from there on. Knows no file and no bucket: it is given a way to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from gateway.recordings import wav
from gateway.recordings.sidecar import NotOurs, Sidecar
from pipeline.audio.formats import AudioFormat

AT_ONCE_BYTES: Final = 262_144

Read: TypeAlias = Callable[[Sidecar, int, int], bytes]
"""Up to so many bytes of a part's sound file, from this byte on; fewer at its end only. Blocks."""


def joined(parts: Sequence[Sidecar], read: Read) -> Iterator[bytes]:
    """One WAVE file, in pieces; it begins with the first part.

    Raises `NotOurs` if there are no parts, or they are not written alike.
    """
    parts = sorted(parts, key=lambda one: (one.offset_ms, one.part))
    if not parts:
        raise NotOurs("a recording without parts cannot be joined")
    if len({(one.encoding, one.rate_hz) for one in parts}) > 1:
        raise NotOurs("the parts of this call are not written alike (SWITCHBOARD_RECORDINGS_FORMAT); fetch each")
    line = AudioFormat(parts[0].law, parts[0].rate_hz)
    per_ms = line.rate_hz // 1000
    starts = [(one.offset_ms - parts[0].offset_ms) * per_ms for one in parts]
    ends = [
        min((start + part.duration_ms * per_ms, *starts[index + 1 :]))
        for index, (start, part) in enumerate(zip(starts, parts, strict=True))
    ]
    yield wav.header(line.encoding, line.rate_hz, ends[-1])
    at = 0
    for part, start, end in zip(parts, starts, ends, strict=True):
        yield from _silence(line, start - at)
        yield from _sound(line, part, end - start, read)
        at = max(at, end)


def _sound(line: AudioFormat, part: Sidecar, samples: int, read: Read) -> Iterator[bytes]:
    frame, header = wav.frame_bytes(line.encoding), wav.header_bytes(line.encoding)
    done, size = 0, samples * frame
    while done < size:
        piece = read(part, header + done, min(AT_ONCE_BYTES, size - done))
        if not piece:  # shorter than its sidecar says
            yield from _silence(line, (size - done) // frame)
            return
        done += len(piece)
        yield piece


def _silence(line: AudioFormat, samples: int) -> Iterator[bytes]:
    size = samples * wav.frame_bytes(line.encoding)
    block = line.silence * (AT_ONCE_BYTES // len(line.silence))
    for at in range(0, size, AT_ONCE_BYTES):
        yield block[: min(AT_ONCE_BYTES, size - at)]
