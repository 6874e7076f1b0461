"""What is told of one part of a recording, in the JSON file beside it. Pure.

A call has one part for each of its media streams. Neither the sidecar nor a file's name holds a phone number.
"""

from __future__ import annotations

import enum
import re
from datetime import datetime
from typing import Final

import msgspec

from gateway.errors import GatewayError
from pipeline.audio.formats import Encoding

SIDECAR_BYTES: Final = 4096
"""A sidecar takes so much of the disk from the beginning, so that it can say at the end that the disk is full."""

MOST_REASONS: Final = 8
MOST_PAUSES: Final = 50
"""As many as have room beside everything else; of more, the later are counted and not listed."""

_CALL_SID: Final = re.compile(r"CA[0-9a-f]{32}")
_NAME: Final = re.compile(r"(CA[0-9a-f]{32})\.([1-9][0-9]{0,5})\.(wav|json)")


class State(enum.StrEnum):
    """Where a part stands, and in the end what became of it; few enough to be a metric's label."""

    RECORDING = "recording"
    WHOLE = "whole"
    PARTIAL = "partial"
    """Something is missing, or the end is; `reasons` says why."""
    LOST = "lost"
    """There is no file. No sidecar says this, because there is none."""


class NotOurs(GatewayError):
    """A file or a name that is no recording's."""


class PausedFor(msgspec.Struct, frozen=True, kw_only=True):
    """Both channels are silent here because somebody wanted them so. Milliseconds since the part began."""

    from_ms: int
    to_ms: int


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """One part."""

    call_sid: str
    part: int
    generation: int
    """The number of the media stream in its call; the part's number is the same unless that was taken."""
    stream_sid: str
    state: State
    encoding: str
    """`ulaw`, `alaw` or `pcm16`."""
    rate_hz: int
    channels: tuple[str, str] = ("caller", "agent")
    began_at: str
    """UTC, ISO 8601: sample 0."""
    offset_ms: int
    """From the beginning of the call to sample 0."""
    duration_ms: int = 0
    reasons: tuple[str, ...] = ()
    pauses: tuple[PausedFor, ...] = ()
    pause_count: int = 0

    @property
    def name(self) -> str:
        """Of its sound file."""
        return name_of(self.call_sid, self.part)

    @property
    def note_name(self) -> str:
        """Of its own file."""
        return name_of(self.call_sid, self.part, "json")

    @property
    def law(self) -> Encoding:
        return Encoding(self.encoding)

    @property
    def began_at_s(self) -> float:
        """Unix seconds."""
        return datetime.fromisoformat(self.began_at).timestamp()


def write_sidecar(sidecar: Sidecar) -> bytes:
    """As a file: JSON, filled up with blanks to `SIDECAR_BYTES` unless it is longer."""
    return msgspec.json.format(msgspec.json.encode(sidecar), indent=1).ljust(SIDECAR_BYTES - 1) + b"\n"


def read_sidecar(data: bytes) -> Sidecar:
    """Raises `NotOurs`."""
    try:
        sidecar = msgspec.json.decode(data, type=Sidecar)
        _ = sidecar.law, sidecar.began_at_s
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotOurs(f"is no sidecar of a recording: {error}") from error
    if not _CALL_SID.fullmatch(sidecar.call_sid) or not 1 <= sidecar.part <= 999_999:
        raise NotOurs("is no sidecar of a recording: it names no call and part")
    return sidecar


def name_of(call_sid: str, part: int, kind: str = "wav") -> str:
    """The name of a part's sound (`wav`) or sidecar (`json`). Raises `NotOurs` for what is no call's id."""
    name = f"{call_sid}.{part}.{kind}"
    if not _NAME.fullmatch(name):
        raise NotOurs(
            f"{call_sid[:40]!r} and {part} name no recording: expected CA, 32 hex digits, and a part from 1"
        )
    return name


def part_of(name: str) -> tuple[str, int, str] | None:
    """CallSid, part and kind by a file's name; None if it is none of ours."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2]), match[3]) if match else None


def is_call_sid(text: str) -> bool:
    return _CALL_SID.fullmatch(text) is not None
