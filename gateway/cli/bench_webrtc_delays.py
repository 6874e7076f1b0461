"""What the gateway's own buffers, filters and codecs delay sound by, either way: by a clock that is only counted.

A tone goes through a `Microphone`, and through a `Loudspeaker`, with packets that come evenly and on time, once for
each millisecond that the peer's clock may be off ours. So the figures are of no machine and no network: what they
do not hold is how unevenly packets come, which the jitter buffer answers by waiting longer, up to 200 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.webrtc.loudspeaker import Loudspeaker
from gateway.webrtc.microphone import Microphone
from gateway.webrtc.payload import FRAME_MS, Codec, Payload
from gateway.webrtc.rtp import HEADER_BYTES, header
from pipeline.audio.formats import PCM_24K
from simulator.sound import pcm_of
from simulator.webrtc_mark import FRAME_BYTES, LOUD, TONE_HZ, TONE_MS, Mark, MarkEar, OpusCoder, make_mark

OPUS: Final = Payload(Codec.OPUS, 111)
FRAME_S: Final = FRAME_MS / 1000
BEFORE_FRAMES: Final = 100
"""Of silence before the tone: two seconds, in which buffers come to rest."""

TICKS: Final = 960


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds, each beyond what coding and decoding cost where it is not said."""

    inbound_mean: float
    """From a packet's coming until the session hears its sound: jitter buffer, our clock's tick, decoding, rate."""
    inbound_least: float
    inbound_most: float
    buffer_mean: float
    """Of that, what packets waited in the jitter buffer for their turn."""
    outbound_mean: float
    """From a voice's giving the sound until it has left: the wait for the next packet, and the encoder's delay."""
    outbound_least: float
    outbound_most: float


def delays() -> Delays:
    """Measure them; takes about a second."""
    mark = make_mark()
    heard = [_inbound(mark, phase_ms / 1000) for phase_ms in range(FRAME_MS)]
    said = [_outbound(phase_ms / 1000) for phase_ms in range(FRAME_MS)]
    inbound, held = [one[0] for one in heard], [one[1] for one in heard]
    return Delays(
        inbound_mean=_ms(sum(inbound) / len(inbound)),
        inbound_least=_ms(min(inbound)),
        inbound_most=_ms(max(inbound)),
        buffer_mean=round(sum(held) / len(held), 1),
        outbound_mean=_ms(sum(said) / len(said)),
        outbound_least=_ms(min(said)),
        outbound_most=_ms(max(said)),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _inbound(mark: Mark, phase_s: float) -> tuple[float, float]:
    """Seconds until the tone is heard, and what the buffer says it waited, with ticks `phase_s` after packets."""
    now_s, heard_s = 0.0, list[float]()

    def hear(pcm: bytes) -> None:
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) >= LOUD)
        if loud.size:
            heard_s.append(now_s + float(loud[0]) / PCM_24K.rate_hz)

    microphone = Microphone(OPUS, hear, lambda: PCM_24K, lambda: now_s)
    for nth, payload in enumerate(_stream(mark)):
        now_s = nth * FRAME_S
        microphone.receive(header(OPUS.number, nth, nth * TICKS, 1, False) + payload)
        now_s += phase_s
        microphone.tick()
    began_s = BEFORE_FRAMES * FRAME_S + mark.onset_s
    return heard_s[0] - began_s, microphone.buffer.delay_ms


def _stream(mark: Mark) -> Iterator[bytes]:
    still = OpusCoder().packets(bytes(FRAME_BYTES * BEFORE_FRAMES))
    yield from still
    yield from mark.packets
    yield from still[:5]


def _outbound(phase_s: float) -> float:
    """Seconds until the tone has left, given `phase_s` after a packet was due."""
    loudspeaker = Loudspeaker(OPUS, 1, lambda: PCM_24K, 0.0, sequence=0, timestamp=0)
    ear, given_s = MarkEar(), BEFORE_FRAMES * FRAME_S + phase_s
    wave = np.sin(2 * np.pi * TONE_HZ * np.arange(PCM_24K.rate_hz * TONE_MS // 1000) / PCM_24K.rate_hz) / 2
    for nth in range(BEFORE_FRAMES + 10):
        # Whoever is paced is woken when the packet is due.
        for packet in loudspeaker.due(nth * FRAME_S):
            left_s = ear.hear(packet[HEADER_BYTES:], nth * FRAME_S)
            if left_s is not None:
                return left_s - given_s
        if nth == BEFORE_FRAMES:
            loudspeaker.push(pcm_of(wave))
    raise AssertionError("the tone has not left")
