"""What a session's events tell of its pace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.events import input_audio as heard
from pipeline.events.event import ServerEvent
from pipeline.events.items import FunctionCall, Item
from pipeline.observations import CutShort, Interrupted, Observation, TurnTimed
from pipeline.reports import Flushed
from pipeline.stopwatch import Stage
from pipeline.turn_watch import TurnWatch
from tests.pipeline.expected import (
    EVENT,
    created,
    ended,
    misunderstood,
    sound,
    spoken,
    started,
    stopped,
    truncated,
    understood,
)
from tests.pipeline.feeding import feed, greeted, line, session, turn, voice


class Watch:
    """A watch over a session, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.observed: list[Observation] = []
        self.session = greeted()
        self.watch = TurnWatch(self.session, self.observed.append, lambda: self.now_s)

    def see(self, *events: ServerEvent, after_s: float = 0.0) -> None:
        self.now_s += after_s
        for event in events:
            self.watch.see(event)

    def lap(self, stage: Stage, after_s: float) -> None:
        self.now_s += after_s
        self.watch.lap(stage)

    @property
    def turns(self) -> list[TurnTimed]:
        return [o for o in self.observed if isinstance(o, TurnTimed)]


SOUND = sound("resp_2", "item_2", voice(20))


def test_the_stages_of_a_turn_add_up_to_the_first_sound() -> None:
    at = Watch()
    at.see(started("item_1", 0), stopped("item_1", 1_100))
    at.see(*understood("item_1", "Hi.", 1.1), after_s=0.5)
    at.see(created("resp_2"), after_s=0.0)
    at.lap("llm", 0.25)
    at.see(SOUND, after_s=0.125)
    at.see(SOUND, after_s=9.0)
    silence_s = at.session.s_since_voice
    assert at.observed == [TurnTimed("item_1", "resp_2", silence_s, 1_100, {"stt": 0.5, "llm": 0.25, "tts": 0.125})]


def test_without_transcripts_the_words_are_known_when_the_answer_begins() -> None:
    at = Watch()
    at.see(stopped("item_1", 1_100))
    at.see(created("resp_2"), after_s=0.5)
    at.lap("llm", 0.25)
    at.see(created("resp_3"), after_s=1.0)
    at.see(SOUND, after_s=0.125)
    assert at.turns[0].seconds == {"stt": 0.5, "llm": 0.25, "tts": 1.125}


def test_an_answer_that_asks_for_a_function_books_its_thinking_too() -> None:
    at = Watch()
    call: Item = FunctionCall(id="item_2", call_id="call_1", name="look", arguments="{}")
    at.see(stopped("item_1", 1_100), *understood("item_1", "Hi.", 1.1), created("resp_2"))
    at.see(ended("resp_2", call), after_s=0.5)
    at.lap("tool", 2.0)
    at.see(ended("resp_3"), after_s=1.0)
    at.see(SOUND, after_s=0.25)
    assert at.turns[0].seconds == {"stt": 0.0, "llm": 0.5, "tool": 2.0, "tts": 1.25}


@pytest.mark.parametrize("lap", [lambda at: at.lap("llm", 1.0), lambda at: at.see(created("resp_2"), SOUND)])
def test_an_answer_without_a_turn_is_not_timed(lap: Callable[[Watch], None]) -> None:
    at = Watch()
    lap(at)
    at.see(misunderstood("item_1", "gone"))
    assert at.observed == []


def test_whoever_speaks_again_has_a_turn_of_its_own() -> None:
    at = Watch()
    at.see(stopped("item_1", 1_100), started("item_2", 2_000), SOUND)
    assert at.observed == []


def test_a_flush_makes_the_next_word_an_interruption_once() -> None:
    at = Watch()
    at.watch.flushed()
    at.see(started("item_2", 0), started("item_3", 0))
    assert at.observed == [Interrupted("item_2", at.session.s_since_voice)]


def test_what_a_key_has_interrupted_the_next_word_has_not() -> None:
    at = Watch()
    at.watch.flushed()
    at.see(heard.DtmfEventReceived(event_id=EVENT, event="1", received_at=0), started("item_2", 0))
    assert at.observed == []


def test_a_cut_tells_what_was_heard() -> None:
    at = Watch()
    at.session.conversation.replace(spoken("item_1", "Good morning", "incomplete"))
    at.see(truncated("item_1", 600))
    assert at.observed == [CutShort("item_1", 600, "Good morning")]


def test_the_clock_of_the_caller_is_the_callers_sound() -> None:
    talk = session()
    observed: list[Observation] = []
    watch = TurnWatch(talk, observed.append, lambda: 0.0)
    for event in feed(talk, *turn(0)[0], *turn(0)[1], Flushed(0), line(20)):
        if isinstance(event, heard.SpeechStopped):
            watch.see(event)
    watch.see(SOUND)
    (timed,) = observed
    assert isinstance(timed, TurnTimed)
    assert timed.silence_s == pytest.approx(0.52)
    assert (timed.audio_end_ms, timed.seconds) == (1_100, {"tts": 0.0})
