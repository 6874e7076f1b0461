"""What is made of packets that came, lost, doubled and out of order."""

from __future__ import annotations

import random
from dataclasses import dataclass

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.sound import Codec
from simulator.webrtc_packets import Packets, in_a_row

TONES = [np.full(160, level, dtype="<i2").tobytes() for level in (1_000, 2_000, 3_000, 4_000)]
CODED = [Codec.PCMU.encode(tone) for tone in TONES]
HEARD = [Codec.PCMU.decode(law) for law in CODED]
SILENCE = bytes(320)


@dataclass
class Rtp:
    """As aiortc gives it."""

    sequence_number: int
    timestamp: int
    payload: bytes
    payload_type: int = 0
    marker: int = 0
    ssrc: int = 1


def coded(number: int, origin: int = 0) -> Rtp:
    return Rtp(number, (origin + 160 * number) % (1 << 32), CODED[number])


def taken(*packets: Rtp) -> Packets:
    log = Packets()
    for at_s, packet in enumerate(packets):
        log.take(packet, float(at_s))
    return log


def test_packets_are_noted_as_they_came() -> None:
    (packet,) = taken(Rtp(7, 8, b"x", 111, 1, 9)).all
    assert (packet.at_s, packet.sequence, packet.timestamp, packet.payload) == (0.0, 7, 8, b"x")
    assert (packet.payload_type, packet.is_marked, packet.ssrc) == (111, True, 9)


def test_nothing_came() -> None:
    assert Packets().sound().pcm == b""


@pytest.mark.parametrize("origin", [0, (1 << 32) - 200], ids=["from zero", "round the clock"])
def test_order_is_restored_and_doubles_are_left_out(origin: int) -> None:
    log = taken(*(coded(number, origin) for number in (1, 0, 3, 3, 2, 0)))
    assert log.sound().pcm == b"".join(HEARD)


def test_what_never_came_is_silence() -> None:
    assert taken(coded(0), coded(3)).sound().pcm == HEARD[0] + 2 * SILENCE + HEARD[3]


def test_sound_may_begin_at_an_instant() -> None:
    assert taken(coded(0), coded(1), coded(2)).sound(since_s=1.0).pcm == HEARD[1] + HEARD[2]


def test_a_law() -> None:
    law = Codec.PCMA.encode(TONES[0])
    assert taken(Rtp(0, 0, law, payload_type=8)).sound().pcm == Codec.PCMA.decode(law)


def test_opus_is_decoded_and_brought_to_8_khz() -> None:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "stereo", 48_000
    encoder.open()
    times = np.arange(48_000) / 48_000
    wave = (8_000 * np.sin(2 * np.pi * 440 * times)).astype("<i2")
    packets = []
    for number in range(50):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(np.repeat(wave[960 * number : 960 * (number + 1)], 2).tobytes())
        frame.sample_rate, frame.pts = 48_000, 960 * number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    log = taken(*(Rtp(number, 960 * number, payload, 96) for number, payload in enumerate(packets) if number != 20))
    pcm = np.frombuffer(log.sound().pcm, dtype="<i2").astype(float)
    assert len(pcm) == 160 * len(packets)
    spectrum = np.abs(np.fft.rfft(pcm[4_000:7_200]))
    assert np.argmax(spectrum) * 8_000 / 3_200 == pytest.approx(440, abs=5)
    assert np.abs(pcm[3_200 + 40 : 3_360 - 40]).max() < 100, "the packet that never came is silence"


def test_a_jump_of_the_senders_clock_is_no_silence() -> None:
    assert in_a_row([(0, SILENCE), (8_000 * 60, SILENCE)], 8_000) == 2 * SILENCE


@given(st.integers(0, (1 << 32) - 1), st.sets(st.integers(0, 30), min_size=1), st.randoms(use_true_random=False))
def test_any_packets_in_any_order_make_sound_of_the_right_length(
    origin: int, numbers: set[int], rng: random.Random
) -> None:
    packets = [Rtp(number, (origin + 160 * number) % (1 << 32), CODED[0]) for number in numbers]
    rng.shuffle(packets)
    assert len(taken(*packets).sound().pcm) == 320 * (max(numbers) - min(numbers) + 1)
