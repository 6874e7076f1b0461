"""One session of the Realtime load on a clock the test sets: what it says, what it measures, and when."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.realtime_session import (
    BYTES_PER_S,
    FRAME_S,
    PROBE_EVERY_FRAMES,
    EchoSession,
    RealtimeScript,
    RealtimeSession,
    RealtimeTally,
)

CLIP = (b'{"type":"input_audio_buffer.append","audio":"c1"}', b'{"type":"input_audio_buffer.append","audio":"c2"}')
NOISE = (b'{"type":"input_audio_buffer.append","audio":"n1"}', b'{"type":"input_audio_buffer.append","audio":"n2"}')
DELTA = b'{"delta":"xxxx"}'
PAUSE_S = 0.5
PATIENCE_S = 4.0
BEGAN_S = 50.0


def script(text_share: float) -> RealtimeScript:
    return RealtimeScript(
        clips=(CLIP,),
        noise=NOISE,
        delta=DELTA,
        text_share=text_share,
        first_pause_s=0.0,
        pause_s=(PAUSE_S, PAUSE_S),
        patience_s=PATIENCE_S,
    )


class Scene:
    """A session and a server that the test plays."""

    def __init__(self, *, text_share: float, measured: bool = True, joined: bool = True) -> None:
        self.tally = RealtimeTally()
        self.session = RealtimeSession(script(text_share), self.tally, random.Random(1))
        self.session.is_measured = measured
        self.now = BEGAN_S
        self.opening = self.tick()
        if joined:
            self.receive("session.updated")

    def tick(self) -> list[dict[str, Any]]:
        self.now += FRAME_S
        return [json.loads(message) for message in self.session.tick(self.now)]

    def run(self, seconds: float) -> list[dict[str, Any]]:
        return [message for _ in range(round(seconds / FRAME_S)) for message in self.tick()]

    def until(self, what: str, value: str) -> None:
        """Up to the tick in which it says so."""
        for _ in range(1_000):
            if any(message.get(what) == value for message in self.tick()):
                return
        raise AssertionError(f"{value} was never said")

    def receive(self, type: str, **fields: object) -> None:
        event = {"event_id": "event_1", "type": type, "item": {"id": "item_1"}} | fields
        self.session.receive(json.dumps(event).encode(), self.now)

    def hear(self, seconds: float) -> None:
        self.receive("response.output_audio.delta", delta=b64encode(bytes(round(seconds * BYTES_PER_S))).decode())

    def finish(self, status: str = "completed") -> None:
        self.receive("response.done", response={"id": "resp_1", "status": status, "output": []})


def test_it_configures_itself_before_it_sends_any_sound() -> None:
    scene = Scene(text_share=1.0, joined=False)
    assert [message["type"] for message in scene.opening] == ["session.update", "conversation.item.create"]
    audio = scene.opening[0]["session"]["audio"]
    assert audio["input"]["format"] == audio["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert audio["input"]["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 500}
    assert (scene.run(1.0), scene.session.is_joined) == ([], False)
    scene.receive("session.created")
    assert scene.tick() == []
    scene.receive("session.updated")
    assert scene.tick()[-1]["type"] == "input_audio_buffer.append"


def test_a_server_that_never_configures_it_has_left_it_without_an_answer() -> None:
    scene = Scene(text_share=1.0, joined=False)
    scene.run(PATIENCE_S * 2 + 0.2)
    assert (scene.tally.unanswered, scene.session.is_joined) == (2, False)


def test_a_frame_of_sound_goes_out_every_20_ms_whatever_else_is_said() -> None:
    scene = Scene(text_share=0.5)
    for _ in range(500):
        types = [message["type"] for message in scene.tick()]
        assert types.count("input_audio_buffer.append") == 1


def test_a_question_in_writing_is_measured_from_asking_to_the_first_delta() -> None:
    scene = Scene(text_share=1.0)
    scene.until("type", "response.create")
    scene.run(0.1)
    scene.hear(0.2)
    assert scene.tally.delta == [pytest.approx(100.0)]
    scene.now += 0.003
    scene.hear(0.2)
    assert scene.tally.further_delta == [pytest.approx(3.0)]
    assert scene.tally.lateness == [pytest.approx(3.0 - 200.0)], (
        "its sound is needed when the first has been played"
    )
    assert len(scene.tally.delta_bytes) == 2
    assert scene.tally.delta_bytes[0] > 0.2 * BYTES_PER_S
    assert (scene.tally.stop_to_delta, scene.tally.voice_to_voice) == ([], [])


def test_a_phrase_is_measured_from_its_last_sound_and_from_the_servers_noticing() -> None:
    scene = Scene(text_share=0.0)
    scene.until("audio", "c2")
    ended = scene.now
    scene.run(0.5)
    scene.receive("input_audio_buffer.speech_stopped")
    stopped = scene.now
    scene.now += 0.007
    scene.hear(0.2)
    assert scene.tally.stop_to_delta == [pytest.approx((scene.now - stopped) * 1000)]
    assert scene.tally.voice_to_voice == [pytest.approx((scene.now - ended) * 1000)]
    assert scene.tally.delta == []


def test_sound_that_was_not_asked_for_begins_no_answer() -> None:
    scene = Scene(text_share=0.0)
    scene.hear(0.2)
    scene.until("audio", "c2")
    scene.hear(0.2)
    assert (scene.tally.voice_to_voice, scene.tally.delta_bytes) == ([], [])


def test_it_listens_to_the_end_before_its_next_turn() -> None:
    scene = Scene(text_share=1.0)
    scene.until("type", "response.create")
    scene.hear(1.0)
    said = scene.run(1.5)
    scene.finish()
    said += scene.run(PAUSE_S - 0.1)
    assert "response.create" not in {message["type"] for message in said}, "the answer was not whole yet"
    scene.until("type", "response.create")
    scene.hear(1.0)
    scene.finish()
    assert "response.create" not in {message["type"] for message in scene.run(1.0 + PAUSE_S - 0.1)}, (
        "it plays still"
    )
    scene.until("type", "response.create")


@pytest.mark.parametrize("text_share", [0.0, 1.0])
def test_a_turn_without_an_answer_is_counted_and_the_next_one_taken(text_share: float) -> None:
    scene = Scene(text_share=text_share)
    what = ("type", "response.create") if text_share else ("audio", "c2")
    scene.until(*what)
    scene.run(PATIENCE_S - 0.1)
    assert scene.tally.unanswered == 0
    scene.run(0.2)
    assert scene.tally.unanswered == 1
    scene.until(*what)


def test_an_answer_that_never_ends_is_counted_too() -> None:
    scene = Scene(text_share=1.0)
    scene.until("type", "response.create")
    scene.hear(0.2)
    scene.run(PATIENCE_S + 0.1)
    assert scene.tally.unanswered == 1


def test_once_a_second_a_way_there_and_back_is_measured() -> None:
    scene = Scene(text_share=1.0)
    scene.until("type", "conversation.item.retrieve")
    scene.now += 0.004
    assert scene.session.outstanding(scene.now) == [pytest.approx(4.0)]
    scene.receive("conversation.item.retrieved")
    assert scene.tally.round_trip == [pytest.approx(4.0)]
    assert scene.session.outstanding(scene.now) == []
    scene.receive("conversation.item.retrieved")
    assert len(scene.tally.round_trip) == 1, "one question, one answer"
    said = scene.run(PROBE_EVERY_FRAMES * FRAME_S * 3)
    assert len([one for one in said if one["type"] == "conversation.item.retrieve"]) == 1, "it waits for the answer"


def test_before_it_is_measured_nothing_is_noted_but_errors() -> None:
    scene = Scene(text_share=1.0, measured=False)
    scene.until("type", "response.create")
    scene.hear(0.2)
    scene.hear(0.2)
    scene.receive("conversation.item.retrieved")
    scene.finish()
    scene.until("type", "response.create")
    scene.run(PATIENCE_S + 0.1)
    assert scene.tally == RealtimeTally()
    scene = Scene(text_share=0.0, measured=False)
    scene.until("audio", "c2")
    scene.receive("input_audio_buffer.speech_stopped")
    scene.hear(0.2)
    assert scene.tally == RealtimeTally()


def test_errors_are_counted_and_the_first_is_kept() -> None:
    scene = Scene(text_share=1.0)
    scene.finish("failed")
    scene.receive("error", error={"type": "invalid_request_error", "code": "invalid_value", "message": "no"})
    scene.receive("error")
    assert (scene.tally.errors, scene.tally.first_error) == (3, "response.done: failed")
    scene = Scene(text_share=1.0)
    scene.receive("error", error={"type": "invalid_request_error", "code": "invalid_value", "message": "no"})
    assert scene.tally.first_error == "invalid_value: no"


@given(st.integers(1, 5_000))
def test_the_length_of_a_sound_is_told_from_its_base64(samples: int) -> None:
    scene = Scene(text_share=1.0)
    scene.until("type", "response.create")
    scene.hear(samples / 24_000)
    first = scene.now
    scene.hear(0.2)
    assert scene.tally.lateness == [pytest.approx((scene.now - first - samples / 24_000) * 1000)]


def echo_session(*, measured: bool = True) -> tuple[EchoSession, RealtimeTally]:
    tally = RealtimeTally()
    session = EchoSession(script(0.0), tally, random.Random(1))
    session.is_measured = measured
    return session, tally


def test_an_echo_is_measured_for_each_frame_and_once_a_second_for_one_of_a_deltas_size() -> None:
    session, tally = echo_session()
    assert session.is_joined
    now = BEGAN_S
    for _ in range(PROBE_EVERY_FRAMES):
        messages = session.tick(now)
        assert messages[0] in NOISE
        assert messages[1:] in ([], [DELTA])
        for message in messages:
            now += 0.002
            session.receive(message, now)
    assert (len(tally.round_trip), len(tally.delta)) == (PROBE_EVERY_FRAMES, 1)
    assert tally.round_trip == [pytest.approx(2.0)] * PROBE_EVERY_FRAMES
    assert tally.delta == [pytest.approx(4.0)]
    assert tally.delta_bytes == [len(DELTA)]


def test_an_echo_that_has_not_come_counts_with_the_time_it_has_taken_so_far() -> None:
    session, tally = echo_session(measured=False)
    for _ in range(PROBE_EVERY_FRAMES):
        messages = session.tick(BEGAN_S)
    assert len(session.outstanding(BEGAN_S + 0.5)) == PROBE_EVERY_FRAMES, "frames of sound only"
    session.receive(messages[0], BEGAN_S + 0.5)
    assert session.outstanding(BEGAN_S + 0.5) == [pytest.approx(500.0)] * (PROBE_EVERY_FRAMES - 1)
    assert tally == RealtimeTally()
