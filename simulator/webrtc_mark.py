"""A mark in the sound, to be found again: how long sound takes from a mouth, through a server, to an ear.

The mark is a tone that begins at once, in Opus. Where it begins is told by a decoder, for the sound that is sent as
for the sound that comes: what coding itself costs at either end stands in both and falls out, and what is left is
the way between: network, the server's buffers, its own decoding and coding. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from av import AudioFrame, CodecContext, Packet
from av.audio.codeccontext import AudioCodecContext

from simulator.sound import RATE_HZ as TELEPHONE_HZ
from simulator.sound import pcm_of
from simulator.webrtc_rates import at_rate

OPUS_HZ: Final = 48_000
FRAME_MS: Final = 20
FRAME_BYTES: Final = 2 * OPUS_HZ * FRAME_MS // 1000
BIT_RATE: Final = 32_000
"""Bits a second; browsers send so much for speech."""

TONE_HZ: Final = 1_000
TONE_MS: Final = 200
LOUD: Final = 6_000
"""Of 32,768. The tone comes to 16,000 within a wave; noise under it, and the ringing before it, stay far below."""

QUIET_FRAMES: Final = 5
"""Without anything as loud, before a mark is taken for the next one."""

_LEAD_FRAMES: Final = 10
"""Coded before a sound, so that the encoder is not new when it begins."""


class OpusCoder:
    """PCM16 mono at 48 kHz to packets of 20 ms."""

    def __init__(self) -> None:
        self._codec = _codec("w")
        self._codec.bit_rate = BIT_RATE
        self._codec.time_base = Fraction(1, OPUS_HZ)
        self._codec.options = {"application": "voip", "frame_duration": str(FRAME_MS)}

    def packets(self, pcm: bytes) -> tuple[bytes, ...]:
        """Of whole frames; what is left at the end is filled with silence."""
        made: list[bytes] = []
        for at in range(0, len(pcm), FRAME_BYTES):
            frame = AudioFrame(format="s16", layout="mono", samples=FRAME_BYTES // 2)
            frame.planes[0].update(pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\x00"))
            frame.sample_rate = OPUS_HZ
            made += [bytes(packet) for packet in self._codec.encode(frame)]
        return tuple(made)


def opus_of(telephone_pcm: bytes, lead_pcm: bytes = b"") -> tuple[bytes, ...]:
    """Sound at 8 kHz as packets of 20 ms; `lead_pcm`, of whole frames, is heard by the encoder before it."""
    coder = OpusCoder()
    coder.packets(at_rate(lead_pcm, TELEPHONE_HZ, OPUS_HZ))
    return coder.packets(at_rate(telephone_pcm, TELEPHONE_HZ, OPUS_HZ))


@dataclass(frozen=True, slots=True)
class Mark:
    """The packets of a tone, and where in them it begins."""

    packets: tuple[bytes, ...]
    onset_s: float
    """After the beginning of the first packet, as a decoder has it."""


def make_mark(noise: Sequence[bytes] = ()) -> Mark:
    """`noise` is what is sent before it, in packets: the decoder that finds the beginning hears it first."""
    coder = OpusCoder()
    coder.packets(bytes(FRAME_BYTES * _LEAD_FRAMES))
    wave = np.sin(2 * np.pi * TONE_HZ * np.arange(OPUS_HZ * TONE_MS // 1000) / OPUS_HZ) / 2
    packets = coder.packets(pcm_of(wave))
    ear = MarkEar()
    for packet in (*noise[-_LEAD_FRAMES:], *[b""] * (QUIET_FRAMES - len(noise[-_LEAD_FRAMES:]))):
        ear.hear(packet, 0.0)
    onsets = [ear.hear(packet, nth * FRAME_MS / 1000) for nth, packet in enumerate(packets)]
    (onset_s,) = [onset for onset in onsets if onset is not None]
    return Mark(packets, onset_s)


class MarkEar:
    """Decodes a stream and tells where marks begin. One for each stream; each packet once, in order."""

    def __init__(self) -> None:
        self._codec = _codec("r")
        self._quiet_frames = 0

    def hear(self, payload: bytes, at_s: float) -> float | None:
        """When the mark began that begins in this packet, whose sound is heard from `at_s`; None if none does."""
        pcm = self._decoded(payload)
        loud = np.flatnonzero(np.abs(pcm) >= LOUD)
        if not loud.size:
            self._quiet_frames += 1
            return None
        was_quiet, self._quiet_frames = self._quiet_frames >= QUIET_FRAMES, 0
        return at_s + float(loud[0]) / OPUS_HZ if was_quiet else None

    def _decoded(self, payload: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        if not payload:
            return np.zeros(0, np.int32)
        frames = self._codec.decode(Packet(payload))
        return np.concatenate([frame.to_ndarray().reshape(-1).astype(np.int32) for frame in frames])


def _codec(mode: str) -> AudioCodecContext:
    codec = CodecContext.create("libopus", "w" if mode == "w" else "r")
    codec.format = "s16"
    codec.layout = "mono"
    codec.sample_rate = OPUS_HZ
    return codec
