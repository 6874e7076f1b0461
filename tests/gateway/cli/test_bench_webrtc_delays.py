"""Delays by a counted clock: the same wherever they are measured."""

from __future__ import annotations

import pytest

from gateway.cli.bench_webrtc_delays import delays
from gateway.webrtc.payload import FRAME_MS


def test_both_ways_take_what_their_buffers_filters_and_coders_take() -> None:
    found = delays()
    # A frame is held back, and our ticks fall anywhere between two packets.
    assert FRAME_MS <= found.inbound_least <= found.inbound_mean <= found.inbound_most <= 2 * FRAME_MS
    assert found.inbound_most - found.inbound_least == pytest.approx(FRAME_MS - 1, abs=0.1)
    assert found.buffer_mean == pytest.approx(found.inbound_mean, abs=1.5)
    # Libopus's encoder looks ahead by 6.5 ms; what is given waits for the next packet.
    assert 6.5 <= found.outbound_least <= found.outbound_mean <= found.outbound_most <= 6.5 + FRAME_MS + 1.5
    assert found == delays()
