"""Marks in Opus: where they begin, and that they are found again."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.noise import ComfortNoise
from simulator.voices import Voices
from simulator.webrtc_mark import FRAME_BYTES, FRAME_MS, MarkEar, OpusCoder, make_mark, opus_of

STILL = OpusCoder().packets(bytes(FRAME_BYTES * 20))
MARK = make_mark()


def onsets(*packets: bytes) -> list[float]:
    ear = MarkEar()
    heard = [ear.hear(packet, nth * FRAME_MS / 1000) for nth, packet in enumerate(packets)]
    return [onset for onset in heard if onset is not None]


def test_a_mark_is_found_where_it_begins() -> None:
    (onset_s,) = onsets(*STILL, *MARK.packets, *STILL)
    assert onset_s == pytest.approx(len(STILL) * FRAME_MS / 1000 + MARK.onset_s, abs=0.001)
    # Libopus's encoder looks ahead by 312 samples (6.5 ms), so sound begins so much later than it was said.
    assert pytest.approx(0.0065, abs=0.001) == MARK.onset_s


def test_each_mark_of_several_is_found_once() -> None:
    assert len(onsets(*STILL, *MARK.packets, *STILL, *MARK.packets, *STILL)) == 2


def test_a_mark_without_silence_before_it_is_not_one() -> None:
    assert onsets(*MARK.packets) == []


def test_noise_hides_no_mark() -> None:
    noise = opus_of(ComfortNoise(-40.0, np.random.default_rng(1)).under(bytes(16_000)))
    mark = make_mark(noise)
    (onset_s,) = onsets(*noise, *mark.packets)
    assert onset_s == pytest.approx(len(noise) * FRAME_MS / 1000 + mark.onset_s, abs=0.002)


def test_sound_becomes_one_packet_for_each_20_ms_and_the_last_is_filled() -> None:
    clip = Voices().clip("hello")
    packets = opus_of(clip.pcm + bytes(100), lead_pcm=bytes(3_200))
    assert len(packets) == int(clip.duration_ms / FRAME_MS) + 1
    assert all(20 < len(packet) < 200 for packet in packets)
