"""A caller of the benchmark of turns, on a clock that the test moves."""

from __future__ import annotations

import json
import random
from base64 import b64encode

import pytest

from simulator.load_call import QUIET_S
from simulator.sound import Codec
from simulator.standins.tone import hum, hum_ulaw
from simulator.turn_call import ANSWER_HZ, FILLER_HZ, PATIENCE_S, PAUSE_S, TurnCall, is_filler
from simulator.turn_plan import Spoken

FRAME_S = 0.02
NOISE = (b64encode(b"\xff" * 160).decode(),)
SAID = tuple(b64encode(bytes([number]) * 160).decode() for number in (1, 2, 3))


def law(ms: int, hz: int = ANSWER_HZ) -> bytes:
    return Codec.PCMU.encode(hum(1, 8_000, word_ms=ms, hum_hz=hz))


class Phone:
    """A call, and its clock."""

    def __init__(self, turns: int = 1) -> None:
        spoken = [Spoken(number, f"turn {number}", SAID, has_pause=False) for number in range(turns)]
        self.call = TurnCall("MZ1", spoken, NOISE, random.Random(1))
        self.now = 100.0
        self.sent: list[dict[str, object]] = []

    def pass_time(self, seconds: float) -> list[str]:
        """The payloads sent meanwhile."""
        payloads = []
        for _ in range(round(seconds / FRAME_S)):
            self.now += FRAME_S
            for message in map(json.loads, self.call.tick(self.now)):
                self.sent.append(message)
                if message["event"] == "media":
                    payloads.append(message["media"]["payload"])
        return payloads

    def play(self, sound: bytes) -> None:
        self._receive(event="media", media={"payload": b64encode(sound).decode()})

    def mark(self, name: str) -> None:
        self._receive(event="mark", mark={"name": name})

    def clear(self) -> None:
        self._receive(event="clear")

    def speak(self) -> None:
        """Greeted, the caller says its next turn, to the end."""
        self.play(law(200))
        while self.pass_time(FRAME_S) != [SAID[-1]]:
            assert self.now < 200

    def _receive(self, **message: object) -> None:
        self.call.receive(json.dumps(message).encode(), self.now)


def test_nobody_speaks_before_the_agent_has_spoken_and_fallen_silent() -> None:
    phone = Phone()
    assert set(phone.pass_time(2.0)) == set(NOISE)
    phone.play(law(1_000))
    quiet = phone.pass_time(1.0 + QUIET_S + PAUSE_S[0] - FRAME_S)
    assert set(quiet) == set(NOISE)
    assert [payload for payload in phone.pass_time(2.0) if payload in SAID] == list(SAID)


def test_the_answer_is_timed_from_the_last_sound_of_the_caller() -> None:
    phone = Phone()
    phone.speak()
    phone.pass_time(0.7)
    phone.play(law(200))
    (waited,) = phone.call.waited
    assert (waited.number, waited.fillers) == (0, 0)
    assert waited.answer_s == waited.first_sound_s == pytest.approx(0.7)
    assert not phone.call.is_done, "the answer is listened to"
    phone.pass_time(1.0)
    assert phone.call.is_done


def test_fillers_are_heard_and_counted_and_are_no_answer() -> None:
    phone = Phone()
    phone.speak()
    phone.pass_time(1.0)
    for _ in range(3):
        phone.play(law(200, FILLER_HZ))
    phone.pass_time(2.0)
    phone.play(law(400, FILLER_HZ))
    phone.play(law(200))  # behind the filler
    (waited,) = phone.call.waited
    assert waited.fillers == 2
    assert waited.first_sound_s == pytest.approx(1.0)
    assert waited.answer_s == pytest.approx(3.4)


def test_an_answer_that_never_comes_is_given_up_and_the_next_turn_said() -> None:
    phone = Phone(turns=2)
    phone.speak()
    payloads = phone.pass_time(PATIENCE_S + QUIET_S + PAUSE_S[1] + 0.2)
    (waited,) = phone.call.waited
    assert (waited.first_sound_s, waited.answer_s) == (None, None)
    assert [payload for payload in payloads if payload in SAID] == list(SAID)


def test_marks_are_told_when_what_stands_before_them_has_been_played() -> None:
    phone = Phone()
    phone.play(law(100))
    phone.mark("first")
    phone.pass_time(0.08)
    assert all(message["event"] == "media" for message in phone.sent)
    phone.pass_time(0.04)
    assert [message["mark"] for message in phone.sent if message["event"] == "mark"] == [{"name": "first"}]


def test_a_clear_ends_what_plays_and_tells_its_marks() -> None:
    phone = Phone()
    phone.play(law(5_000))
    phone.mark("first")
    phone.pass_time(0.1)
    phone.clear()
    phone.pass_time(FRAME_S)
    assert [message["mark"] for message in phone.sent if message["event"] == "mark"] == [{"name": "first"}]
    assert [payload for payload in phone.pass_time(2.0) if payload in SAID] == list(SAID)


@pytest.mark.parametrize("length_ms", [20, 60, 100])
def test_an_answer_and_a_filler_differ_in_pitch(length_ms: int) -> None:
    assert not is_filler(law(length_ms))
    assert is_filler(law(length_ms, FILLER_HZ))
    assert not is_filler(hum_ulaw(1))
