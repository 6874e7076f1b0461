"""Sessions of the load, played by hand: what they send, and what they make of what comes."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from simulator.webrtc_mark import Mark
from simulator.webrtc_talk import (
    ASK,
    LOUD_BYTES,
    PROBE,
    PROBE_CREATE,
    SESSION_UPDATE,
    TEXT,
    EchoSession,
    TalkScript,
    TalkSession,
    TalkTally,
)

FRAME_S = 0.02
PHRASE = (b"one", b"two", b"three")
SCRIPT = TalkScript(
    clips=(PHRASE,),
    noise=(b"noise",),
    mark=Mark((b"mark",), 0.0),
    text_share=0.0,
    first_pause_s=0.1,
    pause_s=(0.1, 0.1),
    echo_pause_s=(0.1, 0.1),
    patience_s=2.0,
)
WRITING = replace(SCRIPT, text_share=1.0)


class Played:
    """A session and the clock it is played by."""

    def __init__(self, script: TalkScript = SCRIPT, *, joins: bool = True) -> None:
        self.tally = TalkTally()
        self.session = TalkSession(script, self.tally, random.Random(3))
        self.session.is_measured = True
        self.now = 0.0
        self.told = list[str]()
        self.sent = list[bytes]()
        if joins:
            self.tick()
            self.event("session.updated")

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            packet, messages = self.session.tick(self.now)
            self.sent.append(packet)
            self.told += messages
            self.now += FRAME_S

    def until_sent(self, packet: bytes) -> None:
        for _ in range(500):
            self.tick()
            if self.sent[-1] == packet:
                return
        raise AssertionError(f"{packet!r} was not said")

    def until_told(self, message: str) -> None:
        for _ in range(500):
            self.tick()
            if message in self.told:
                return
        raise AssertionError(f"{message} was not sent")

    def event(self, type: str, **fields: object) -> None:
        self.session.receive(json.dumps({"type": type, **fields}), self.now)

    def hear(self, size_bytes: int) -> None:
        self.session.hear(size_bytes, b"", self.now)


def test_it_configures_its_session_first_and_keeps_sending_sound() -> None:
    one = Played(joins=False)
    one.tick(3)
    assert one.told == [SESSION_UPDATE, PROBE_CREATE]
    assert one.sent == [b"noise"] * 3
    assert not one.session.is_joined
    one.event("session.updated")
    assert one.session.is_joined


def test_a_spoken_turn_is_measured_from_the_end_of_the_phrase_and_from_speech_stopped() -> None:
    one = Played()
    one.until_sent(PHRASE[-1])
    assert one.sent[-3:] == list(PHRASE)
    one.tick(25)
    one.hear(LOUD_BYTES)  # of an answer to nothing: speech has not stopped yet
    one.event("input_audio_buffer.speech_stopped")
    one.tick(2)
    one.hear(LOUD_BYTES - 1)
    one.tick()
    one.hear(LOUD_BYTES)
    assert one.tally.stop_to_sound == pytest.approx([60])
    assert one.tally.voice_to_voice == pytest.approx([580])
    assert one.tally.ask_to_sound == []
    assert (one.tally.received, one.tally.received_loud) == (3, 2)
    assert one.tally.sent_loud == len(PHRASE)
    one.hear(LOUD_BYTES)
    assert len(one.tally.stop_to_sound) == 1, "the answer begins once"


def test_after_an_answer_was_played_it_pauses_and_takes_another_turn() -> None:
    one = Played()
    one.until_sent(PHRASE[-1])
    one.event("input_audio_buffer.speech_stopped")
    one.hear(LOUD_BYTES)
    one.tick(50)
    assert one.sent.count(PHRASE[0]) == 1
    one.event("output_audio_buffer.stopped")
    one.until_sent(PHRASE[-1])
    assert one.sent.count(PHRASE[0]) == 2


def test_a_written_turn_is_measured_from_its_question() -> None:
    one = Played(WRITING)
    one.until_told(ASK)
    assert one.told[-2:] == [TEXT, ASK]
    one.hear(LOUD_BYTES)
    assert one.tally.ask_to_sound == pytest.approx([20])
    assert one.tally.voice_to_voice == []


def test_an_answer_that_never_begins_is_unanswered_and_the_next_turn_is_taken() -> None:
    one = Played(WRITING)
    one.until_told(ASK)
    one.told.clear()
    one.until_told(ASK)
    assert one.tally.unanswered == 1


def test_a_session_that_is_never_configured_is_unanswered_again_and_again() -> None:
    one = Played(joins=False)
    one.tick(210)
    assert one.tally.unanswered == 2
    assert not one.session.is_joined


def test_an_answer_that_never_ends_is_unanswered() -> None:
    one = Played(WRITING)
    one.until_told(ASK)
    one.hear(LOUD_BYTES)
    one.tick(110)
    assert one.tally.unanswered == 1


def test_a_round_trip_on_the_channel_is_measured_once_a_second() -> None:
    one = Played()
    one.until_told(PROBE)
    assert one.session.outstanding(one.now) == pytest.approx([20])
    one.event("conversation.item.retrieved")
    one.event("conversation.item.retrieved")
    assert one.tally.round_trip == pytest.approx([20])
    assert one.session.outstanding(one.now) == []


def test_errors_are_counted_and_the_first_is_told() -> None:
    one = Played()
    one.event("error", error={"code": "invalid_value", "message": "no"})
    one.event("error")
    one.event("response.done", response={"status": "failed"})
    one.event("response.done", response={"status": "completed"})
    assert (one.tally.errors, one.tally.first_error) == (3, "invalid_value: no")


def test_what_is_not_measured_does_not_count() -> None:
    one = Played(WRITING)
    one.session.is_measured = False
    one.until_told(PROBE)
    one.event("conversation.item.retrieved")
    one.until_told(ASK)
    one.hear(LOUD_BYTES)
    one.tick(110)
    before = one.tally.sent
    one.tick(10)
    assert one.tally.sent == before == 1
    assert one.tally.ask_to_sound == one.tally.round_trip == []
    assert one.tally.unanswered == one.tally.received == 0
    spoken = Played()
    spoken.session.is_measured = False
    spoken.until_sent(PHRASE[-1])
    spoken.event("input_audio_buffer.speech_stopped")
    spoken.hear(LOUD_BYTES)
    assert spoken.tally.voice_to_voice == []


def test_an_echo_says_phrase_after_phrase_and_measures_the_channel() -> None:
    tally = TalkTally()
    echo = EchoSession(SCRIPT, tally, random.Random(1))
    echo.is_measured = True
    sent, now = [], 0.0
    for _ in range(120):
        packet, messages = echo.tick(now)
        sent.append(packet)
        if messages:
            assert messages == [PROBE]
            assert echo.outstanding(now + 0.001) == pytest.approx([1])
            echo.receive(messages[0], now + 0.002)
        echo.hear(len(packet), b"", now)
        now += FRAME_S
    assert sent.count(b"three") > 5
    assert tally.sent_loud == sum(sent.count(packet) for packet in PHRASE)
    assert tally.sent == tally.received == 120
    assert tally.round_trip == pytest.approx([2] * len(tally.round_trip))
    assert len(tally.round_trip) >= 2


def test_an_echo_that_is_not_measured_counts_nothing() -> None:
    tally = TalkTally()
    echo = EchoSession(SCRIPT, tally, random.Random(1))
    for nth in range(60):
        _, messages = echo.tick(nth * FRAME_S)
        echo.hear(50, b"", nth * FRAME_S)
        if messages:
            echo.receive(messages[0], nth * FRAME_S)
    assert tally == TalkTally()
