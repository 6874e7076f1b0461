"""What was said and heard, as sound and as files.

`call.wav`: stereo, 8 kHz, 16 bit, the caller left, the agent right as truly heard. Both sides stand on the
stream's own clock, not on the wall's, so they cannot drift against each other. `call.jsonl`: every happening, one
JSON object a line, in the order they happened; of media messages the size and time, not the payload.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from simulator.call_result import CallResult, Happening
from simulator.playback import Underrun
from simulator.sound import RATE_HZ, SAMPLES_PER_MS, Samples, samples_of


@dataclass(frozen=True, slots=True)
class StreamSound:
    """One stream's sound, and where on the call's sound clock it begins."""

    opened_ms: int
    spoken: bytes
    """PCM16: all the caller said, what the network lost included."""
    heard: bytes
    """PCM16: what came out of the caller's loudspeaker."""
    underruns: tuple[Underrun, ...]
    """On the stream's clock."""
    received_bytes: int
    heard_bytes: int


def join_sounds(streams: Sequence[StreamSound]) -> tuple[Samples, Samples]:
    """Caller and agent over the whole call, equally long, silent where no stream was open."""
    placed = [(one.opened_ms * SAMPLES_PER_MS, samples_of(one.spoken), samples_of(one.heard)) for one in streams]
    length = max((at + max(spoken.size, heard.size) for at, spoken, heard in placed), default=0)
    caller, agent = np.zeros(length, np.int16), np.zeros(length, np.int16)
    for at, spoken, heard in placed:
        caller[at : at + spoken.size] = spoken
        agent[at : at + heard.size] = heard
    return caller, agent


def join_underruns(streams: Sequence[StreamSound]) -> tuple[Underrun, ...]:
    """All streams' underruns on the call's sound clock."""
    return tuple(
        replace(underrun, at_ms=underrun.at_ms + one.opened_ms) for one in streams for underrun in one.underruns
    )


def write_recording(result: CallResult, folder: Path) -> tuple[Path, Path]:
    """Write both files into `folder`, which is made if need be. Raises `OSError` as the system tells it."""
    folder.mkdir(parents=True, exist_ok=True)
    sound_path, events_path = folder / "call.wav", folder / "call.jsonl"
    with wave.open(str(sound_path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.stack([result.caller_sound, result.agent_sound], axis=1).astype("<i2").tobytes())
    events_path.write_bytes(b"".join(event_line(one) for one in result.happenings))
    return sound_path, events_path


def event_line(happening: Happening) -> bytes:
    """One happening as a line of call.jsonl."""
    line = {
        "at_s": round(happening.at_s, 6),
        "at_ms": round(happening.at_ms, 3),
        "name": happening.name,
        **happening.detail,
    }
    return msgspec.json.encode(line) + b"\n"
