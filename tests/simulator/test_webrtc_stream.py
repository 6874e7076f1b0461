"""How a stream's packets are judged by their own numbers and times."""

from __future__ import annotations

import pytest

from simulator.webrtc_stream import Stream, StreamFigures

TICKS = 960


def stream_of(*packets: tuple[int, int, float]) -> StreamFigures:
    stream = Stream()
    for sequence, timestamp, at_s in packets:
        stream.take(sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, at_s)
    return stream.figures()


def test_packets_that_come_at_their_pace_are_not_late() -> None:
    figures = stream_of(*((nth, nth * TICKS, 5 + nth * 0.02) for nth in range(4)))
    assert figures.lateness == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert figures.gaps == pytest.approx([20, 20, 20])
    assert (figures.received, figures.lost) == (4, 0)


def test_a_late_packet_is_late_by_what_the_earliest_was_early() -> None:
    figures = stream_of((1, 0, 0.030), (2, TICKS, 0.020), (3, 2 * TICKS, 0.075))
    assert figures.lateness == pytest.approx([30, 0, 35])


def test_numbers_that_did_not_come_are_lost() -> None:
    assert stream_of((1, 0, 0.0), (2, TICKS, 0.02), (5, 4 * TICKS, 0.08)).lost == 2


def test_numbers_and_timestamps_begin_again_at_their_ends() -> None:
    figures = stream_of(*((0xFFFE + nth, 0xFFFF_FFFF - TICKS + nth * TICKS, nth * 0.02) for nth in range(5)))
    assert (figures.received, figures.lost) == (5, 0)
    assert figures.lateness == pytest.approx([0] * 5, abs=1e-6)


def test_a_packet_that_comes_again_or_too_late_is_passed_over() -> None:
    assert stream_of((7, 0, 0.0), (7, 0, 0.01), (6, 0, 0.02)).received == 1


def test_of_no_packets_there_are_no_figures() -> None:
    assert stream_of() == StreamFigures()


def test_what_came_before_measuring_counts_no_more() -> None:
    stream = Stream()
    stream.take(1, 0, 0.0)
    stream.measure()
    stream.take(9, 0, 9.0)
    assert stream.figures().received == 1
    assert stream.figures().lost == 0
