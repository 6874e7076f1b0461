"""A client that marks its sound, against an echo that is played by hand."""

from __future__ import annotations

import random

import pytest

from simulator.webrtc_mark import FRAME_BYTES, OpusCoder, make_mark
from simulator.webrtc_mark_session import MARK_EVERY_S, MarkSession
from simulator.webrtc_talk import PROBE, TalkScript, TalkTally

SCRIPT = TalkScript(clips=((b"c",),), noise=OpusCoder().packets(bytes(FRAME_BYTES * 30)), mark=make_mark())
FRAME_S = 0.02


def session() -> tuple[MarkSession, TalkTally]:
    tally = TalkTally()
    made = MarkSession(SCRIPT, tally, random.Random(1))
    made.is_measured = True
    return made, tally


def test_the_way_there_and_back_is_told_for_each_mark() -> None:
    one, tally = session()
    for nth in range(300):
        packet, _ = one.tick(nth * FRAME_S)
        one.hear(len(packet), packet, nth * FRAME_S + 0.055)
    assert 4 <= len(tally.mouth_to_ear) <= 6
    assert tally.mouth_to_ear == pytest.approx([55] * len(tally.mouth_to_ear), abs=1)
    assert (tally.sent, tally.received, tally.unanswered) == (300, 300, 0)
    assert tally.sent_loud > 0


def test_a_mark_that_never_comes_back_is_unanswered() -> None:
    one, tally = session()
    for nth in range(200):
        one.tick(nth * FRAME_S)
    assert tally.unanswered >= 2
    assert tally.mouth_to_ear == []


def test_nothing_counts_that_is_not_measured() -> None:
    one, tally = session()
    one.is_measured = False
    for nth in range(200):
        packet, messages = one.tick(nth * FRAME_S)
        if nth < 100:
            one.hear(len(packet), packet, nth * FRAME_S)
        if messages:
            one.receive(PROBE, nth * FRAME_S)
    assert tally == TalkTally()


def test_once_a_second_it_asks_for_a_round_trip_on_the_channel() -> None:
    one, tally = session()
    asked = []
    for nth in range(100):
        _, messages = one.tick(nth * FRAME_S)
        asked += messages
        if messages:
            assert one.outstanding(nth * FRAME_S + 0.003) == pytest.approx([3])
            one.receive(messages[0], nth * FRAME_S + 0.004)
    assert asked == [PROBE, PROBE]
    assert tally.round_trip == pytest.approx([4, 4])
    assert one.outstanding(9.0) == []
    assert one.is_joined
    assert MARK_EVERY_S > 0.5, "an echo takes less"
