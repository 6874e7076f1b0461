"""One call of the load generator on a clock the test sets: what it says, what it measures, and when."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.load_call import FRAME_S, QUIET_S, LoadCall, Script, Tally

STREAM = "MZ" + "c" * 32
CLIP = ("speech1", "speech2", "speech3")
NOISE = ("noise1", "noise2")
LEAD_S = 0.3
PAUSE_S = 0.5
PATIENCE_S = 4.0
BARGE_IN_AFTER_S = 1.0
BEGAN_S = 50.0


class Scene:
    """A call between a caller and a gateway that the test plays."""

    def __init__(self, *, barge_in_share: float = 0.0, measured: bool = True) -> None:
        script = Script(
            clips=(CLIP,),
            phrases=("stop please",),
            noise=NOISE,
            lead_s=LEAD_S,
            barge_in_share=barge_in_share,
            pause_s=(PAUSE_S, PAUSE_S),
            barge_in_after_s=(BARGE_IN_AFTER_S, BARGE_IN_AFTER_S),
            patience_s=PATIENCE_S,
        )
        self.tally = Tally()
        self.call = LoadCall(STREAM, script, self.tally, random.Random(1))
        self.call.is_measured = measured
        self.now = BEGAN_S
        self.said: list[dict[str, Any]] = []

    def tick(self) -> list[dict[str, Any]]:
        """The next 20 ms."""
        self.now += FRAME_S
        messages = [json.loads(message) for message in self.call.tick(self.now)]
        self.said += messages
        return messages

    def run(self, seconds: float) -> list[str]:
        """So long; the payloads that were spoken."""
        ticks = [self.tick() for _ in range(round(seconds / FRAME_S))]
        return [messages[0]["media"]["payload"] for messages in ticks]

    def until_spoken(self) -> None:
        """Up to the end of the caller's next sentence."""
        for _ in range(1_000):
            if self.tick()[0]["media"]["payload"] == CLIP[-1]:
                return
        raise AssertionError("the caller never spoke")

    def hear(self, seconds: float, mark: str | None = None) -> None:
        """The gateway sends so much sound, now."""
        payload = b64encode(bytes(round(seconds * 8_000))).decode()
        self.receive({"event": "media", "media": {"payload": payload}})
        if mark is not None:
            self.receive({"event": "mark", "mark": {"name": mark}})

    def clear(self) -> None:
        self.receive({"event": "clear"})

    def receive(self, message: dict[str, Any]) -> None:
        self.call.receive(json.dumps({"streamSid": STREAM} | message).encode(), self.now)

    def greet(self) -> None:
        """The agent says something for a second, and is done."""
        self.hear(1.0)
        self.run(1.0)


def test_it_sends_what_twilio_sends_a_frame_every_20_ms() -> None:
    scene = Scene()
    scene.run(0.06)
    assert [(m["event"], m["streamSid"], m["sequenceNumber"]) for m in scene.said] == [
        ("media", STREAM, str(number)) for number in (2, 3, 4)
    ]
    media = [m["media"] for m in scene.said]
    assert [m["timestamp"] for m in media] == ["0", "20", "40"]
    assert [m["chunk"] for m in media] == ["1", "2", "3"]
    assert {m["track"] for m in media} == {"inbound"}


def test_it_waits_for_the_agent_to_finish_then_pauses_speaks_and_waits_again() -> None:
    scene = Scene()
    assert set(scene.run(5.0)) == set(NOISE), "an agent that has not spoken yet is waited for"
    scene.hear(1.0)
    said = scene.run(1.0 + QUIET_S + PAUSE_S + 0.2)
    begins = said.index(CLIP[0])
    assert tuple(said[begins : begins + 3]) == CLIP
    assert begins * FRAME_S == pytest.approx(1.0 + QUIET_S + PAUSE_S, abs=3 * FRAME_S)
    assert set(said[:begins] + said[begins + 3 :]) == set(NOISE)
    assert set(scene.run(PATIENCE_S / 2)) == set(NOISE)


def test_voice_to_voice_is_from_its_last_sound_to_the_first_of_the_answer() -> None:
    scene = Scene()
    scene.greet()
    scene.until_spoken()
    ended = scene.now
    scene.run(0.7)
    scene.hear(0.5)
    assert scene.tally.voice_to_voice == [pytest.approx((scene.now - ended) * 1000)]
    scene.run(0.3)
    scene.hear(0.5)
    assert len(scene.tally.voice_to_voice) == 1, "an answer has one beginning"


def test_who_gets_no_answer_says_it_again_and_it_is_counted() -> None:
    scene = Scene()
    scene.greet()
    scene.until_spoken()
    scene.run(PATIENCE_S + 2 * FRAME_S)
    assert scene.tally.unanswered == 1
    scene.until_spoken()
    scene.hear(0.5)
    assert len(scene.tally.voice_to_voice) == 1


def test_a_caller_who_cuts_in_measures_how_soon_it_is_quiet() -> None:
    scene = Scene(barge_in_share=1.0)
    scene.greet()
    scene.until_spoken()
    scene.hear(4.0, mark="g0:32000")
    before = scene.now
    while scene.tick()[0]["media"]["payload"] != CLIP[0]:
        assert scene.now < before + BARGE_IN_AFTER_S + 2 * FRAME_S
    cut_in = scene.now - FRAME_S
    scene.tick()
    scene.clear()
    assert scene.tally.barge_in_to_clear == [pytest.approx((scene.now - cut_in) * 1000)]
    assert scene.tick()[1:] == [
        {"event": "mark", "streamSid": STREAM, "sequenceNumber": "0", "mark": {"name": "g0:32000"}}
    ]
    scene.clear()
    assert len(scene.tally.barge_in_to_clear) == 1, "once cut in, once quiet"
    assert scene.tally.clears_by_phrase == {"stop please": scene.tally.barge_in_to_clear}
    assert scene.tally.unstopped == 0


def test_an_agent_that_talks_on_through_a_whole_sentence_is_counted_and_forgotten() -> None:
    scene = Scene(barge_in_share=1.0)
    scene.greet()
    scene.until_spoken()
    scene.hear(4.0)
    scene.until_spoken()
    assert (scene.tally.unstopped, scene.tally.barge_in_to_clear) == (1, [])
    scene.clear()
    assert scene.tally.barge_in_to_clear == []


def test_marks_come_back_when_their_sound_has_been_played_and_in_order() -> None:
    scene = Scene()
    scene.receive({"event": "mark", "mark": {"name": "nothing before it"}})
    scene.hear(0.10, mark="a")
    scene.hear(0.10, mark="b")
    came = {}
    for _ in range(20):
        for message in scene.tick()[1:]:
            came[message["mark"]["name"]] = scene.now - BEGAN_S
    assert list(came) == ["nothing before it", "a", "b"]
    assert came["nothing before it"] == pytest.approx(FRAME_S)
    assert 0.10 <= came["a"] + 1e-9 <= 0.10 + FRAME_S + 1e-6
    assert 0.20 <= came["b"] + 1e-9 <= 0.20 + FRAME_S + 1e-6


def test_a_message_is_late_against_the_moment_its_end_fits_into_the_lead() -> None:
    scene = Scene()
    for length_s in (0.1, 0.1, 0.1):
        scene.hear(length_s)
    assert scene.tally.lateness == pytest.approx([0, 0, 0], abs=1e-6)
    scene.run(0.14)
    scene.hear(0.1)  # due after 100 ms
    assert scene.tally.lateness[3] == pytest.approx(40, abs=1e-3)
    scene.hear(0.1)  # due after 200 ms: early
    assert scene.tally.lateness[4] == pytest.approx(-60, abs=1e-3)
    assert scene.tally.underruns == 0


def test_sound_that_comes_after_the_phone_ran_dry_is_an_underrun_unless_it_is_an_utterance_of_its_own() -> None:
    scene = Scene()
    scene.hear(0.1)
    scene.run(0.2)
    scene.hear(0.1)
    assert scene.tally.underruns == 1
    scene.run(0.1 + QUIET_S + 2 * FRAME_S)
    scene.hear(0.1)
    assert scene.tally.underruns == 1
    assert scene.tally.lateness[-1] == pytest.approx(0)


def test_before_it_is_measured_nothing_counts_but_what_came_in() -> None:
    scene = Scene(barge_in_share=1.0, measured=False)
    scene.greet()
    scene.until_spoken()
    scene.run(PATIENCE_S + 2 * FRAME_S)
    scene.until_spoken()
    scene.hear(0.1)
    scene.run(0.2)
    scene.hear(4.0)
    scene.until_spoken()
    for _ in range(2):
        scene.hear(4.0)
        scene.run(BARGE_IN_AFTER_S)
        scene.clear()
    measured = scene.tally
    assert measured.messages_in > 0
    assert measured.seconds_in == pytest.approx(1.0 + 0.1 + 4.0 + 8.0)
    counted = (measured.voice_to_voice, measured.barge_in_to_clear, measured.lateness)
    assert counted == ([], [], [])
    assert (measured.underruns, measured.unanswered, measured.unstopped) == (0, 0, 0)


@given(st.integers(1, 2_000))
def test_how_long_a_payload_lasts_is_told_by_its_length(size: int) -> None:
    scene = Scene()
    scene.receive({"event": "media", "media": {"payload": b64encode(bytes(size)).decode()}})
    assert scene.tally.seconds_in == pytest.approx(size / 8_000)


@pytest.mark.parametrize("event", ["weather", "stop"])
def test_what_it_does_not_know_is_counted_and_ignored(event: str) -> None:
    scene = Scene()
    scene.receive({"event": event})
    assert (scene.tally.messages_in, scene.tally.seconds_in) == (1, 0.0)


@given(st.data())
def test_whatever_the_gateway_does_a_call_speaks_every_frame(data: st.DataObject) -> None:
    scene = Scene(barge_in_share=0.5)
    doings: list[Callable[[], None]] = [
        lambda: scene.hear(0.1, "a"),
        lambda: scene.hear(2.0),
        scene.clear,
        lambda: scene.receive({"event": "mark", "mark": {"name": "b"}}),
        lambda: None,
    ]
    for _ in range(data.draw(st.integers(1, 20))):
        data.draw(st.sampled_from(doings))()
        assert len(scene.run(data.draw(st.sampled_from([0.02, 0.3, 2.0])))) > 0
    frames = [message for message in scene.said if message["event"] == "media"]
    assert [int(frame["media"]["timestamp"]) for frame in frames] == [20 * at for at in range(len(frames))]
    assert all(value >= 0 for value in scene.tally.voice_to_voice + scene.tally.barge_in_to_clear)
