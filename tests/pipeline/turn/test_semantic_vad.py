"""Where turns end by what was said. One sample is one millisecond here."""

from __future__ import annotations

from statistics import median
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.config import SemanticVad
from pipeline.reports import SpeechScored
from pipeline.turn.end_of_turn import DEADLINE_S
from pipeline.turn.semantic_vad import (
    COMPLETE,
    INCOMPLETE,
    JUDGEMENT_MS,
    PAUSE_MS,
    TAIL_MS,
    WAITS,
    WAITS_MS,
    Leaning,
    SemanticTurns,
    SpeechBegan,
    SpeechEnded,
    Wait,
)
from pipeline.turn.unfinished import Ending
from tests.pipeline.turn.pauses import RATE_HZ, TURNS, Outcome, speak

Eagerness = Literal["low", "medium", "high", "auto"]
EAGERNESS: tuple[Eagerness, ...] = ("low", "medium", "high", "auto")

TEXT_OF = {
    Ending.FINISHED: "my name is bob",
    Ending.UNKNOWN: "",
    Ending.OPEN: "two",
    Ending.DICTATING: "five five five",
    Ending.UNFINISHED: "my name is",
}
PROBABILITY_OF = {Leaning.NONE: 0.5, Leaning.COMPLETE: COMPLETE, Leaning.INCOMPLETE: INCOMPLETE}


def spoken(eagerness: Eagerness = "auto", text: str = "") -> SemanticTurns:
    """Somebody who spoke from 0 to 1000, which is understood as `text`."""
    turns = SemanticTurns(SemanticVad(eagerness=eagerness), RATE_HZ)
    turns.judge(SpeechScored(1_000, 0.9, 1_000))
    turns.words(text)
    return turns


def listen(turns: SemanticTurns, heard: int) -> None:
    """Silence up to `heard`, the scores keeping up with it."""
    assert turns.judge(SpeechScored(heard, 0.0, 0)) is None


def wait_of(turns: SemanticTurns, after: int = 1_000) -> int:
    """How long a silence the utterance ends with."""
    for heard in range(after + 1, after + 10_000):
        boundary = turns.judge(SpeechScored(heard, 0.0, 0))
        if boundary is not None:
            assert boundary == SpeechEnded(voice_end=after)
            return heard - after
    raise AssertionError("the utterance does not end")


def test_a_turn_begins_where_the_first_window_of_speech_begins() -> None:
    turns = SemanticTurns(SemanticVad(), RATE_HZ)
    assert turns.judge(SpeechScored(32, 0.49, 0)) is None
    assert not turns.is_speaking
    assert turns.judge(SpeechScored(64, 0.5, 64)) == SpeechBegan(start=32)
    assert turns.is_speaking


@pytest.mark.parametrize(
    ("eagerness", "longest_ms"), [("low", 8_000), ("medium", 4_000), ("high", 2_000), ("auto", 4_000)]
)
def test_an_unfinished_clause_is_waited_for_as_long_as_the_eagerness_allows(
    eagerness: Eagerness, longest_ms: int
) -> None:
    assert wait_of(spoken(eagerness, "my name is")) == longest_ms


@pytest.mark.parametrize("eagerness", EAGERNESS)
@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("leaning", Leaning)
def test_text_and_model_together_choose_the_wait(eagerness: Eagerness, ending: Ending, leaning: Leaning) -> None:
    turns = spoken(eagerness, TEXT_OF[ending])
    listen(turns, 1_000 + PAUSE_MS - 1)
    assert turns.wants_judgement(1_000 + PAUSE_MS)
    turns.judged(PROBABILITY_OF[leaning])
    assert wait_of(turns) == WAITS_MS[eagerness][WAITS[ending][leaning]]


@pytest.mark.parametrize("eagerness", EAGERNESS)
def test_a_longer_wait_is_never_shorter_and_the_model_never_works_against_what_it_thinks(
    eagerness: Eagerness,
) -> None:
    waits = [WAITS_MS[eagerness][wait] for wait in Wait]
    assert waits == sorted(waits)
    for by_leaning in WAITS.values():
        complete, none, incomplete = (
            WAITS_MS[eagerness][by_leaning[leaning]]
            for leaning in (Leaning.COMPLETE, Leaning.NONE, Leaning.INCOMPLETE)
        )
        assert complete <= none <= incomplete


def test_a_turn_without_words_ends_after_a_middle_wait() -> None:
    turns = SemanticTurns(SemanticVad(), RATE_HZ)
    turns.judge(SpeechScored(1_000, 0.9, 1_000))
    assert wait_of(turns) == WAITS_MS["auto"][Wait.MIDDLE]


def test_words_that_come_late_end_the_turn_with_the_next_frame() -> None:
    turns = spoken(text="my name is")
    listen(turns, 2_000)
    assert not turns.is_over(2_020)
    turns.words("my name is bob")
    assert turns.is_over(2_020)
    assert turns.end() == SpeechEnded(voice_end=1_000)
    assert turns.end() is None


@pytest.mark.parametrize(("more_ms", "wait"), [(TAIL_MS, Wait.SOON), (TAIL_MS + 1, Wait.MIDDLE)])
def test_a_sentence_after_which_the_voice_went_on_is_not_known_to_be_finished(more_ms: int, wait: Wait) -> None:
    turns = spoken(text="my name is bob")
    turns.judge(SpeechScored(1_000 + more_ms, 0.9, 1_000 + more_ms))
    assert wait_of(turns, after=1_000 + more_ms) == WAITS_MS["auto"][wait]


def test_a_clause_that_was_unfinished_stays_so_while_the_voice_goes_on() -> None:
    turns = spoken(text="my name is")
    turns.judge(SpeechScored(1_500, 0.9, 1_500))
    assert wait_of(turns, after=1_500) == WAITS_MS["auto"][Wait.BACKSTOP]


def test_words_while_nobody_speaks_mean_nothing_to_the_next_utterance() -> None:
    turns = SemanticTurns(SemanticVad(), RATE_HZ)
    turns.words("my name is")
    turns.judge(SpeechScored(1_000, 0.9, 1_000))
    assert wait_of(turns) == WAITS_MS["auto"][Wait.MIDDLE]


def test_words_of_one_utterance_mean_nothing_to_the_next() -> None:
    turns = spoken(text="my name is")
    turns.reset()
    turns.judge(SpeechScored(2_000, 0.9, 2_000))
    assert wait_of(turns, after=2_000) == WAITS_MS["auto"][Wait.MIDDLE]


def test_a_judgement_is_wanted_once_for_each_pause() -> None:
    turns = spoken(text="my name is")
    listen(turns, 1_190)
    assert not turns.wants_judgement(1_000 + PAUSE_MS - 1)
    assert turns.wants_judgement(1_000 + PAUSE_MS)
    assert not turns.wants_judgement(1_000 + PAUSE_MS + 20)
    turns.judge(SpeechScored(2_000, 0.9, 2_000))
    listen(turns, 2_190)
    assert turns.wants_judgement(2_200)


def test_no_judgement_is_wanted_in_rest_nor_of_sound_that_is_not_scored_yet() -> None:
    assert not SemanticTurns(SemanticVad(), RATE_HZ).wants_judgement(10)
    assert not spoken().wants_judgement(1_000 + PAUSE_MS)


def test_a_judgement_that_may_still_be_on_its_way_keeps_the_next_pause_from_asking() -> None:
    """So that the answer about one pause is never taken for an answer about the next."""
    turns = spoken(text="my name is")
    listen(turns, 1_200)
    assert turns.wants_judgement(1_200)
    turns.judge(SpeechScored(1_220, 0.9, 1_220))
    listen(turns, 1_490)
    assert not turns.wants_judgement(1_200 + JUDGEMENT_MS - 1)
    assert turns.wants_judgement(1_200 + JUDGEMENT_MS)
    assert JUDGEMENT_MS > DEADLINE_S * 1_000


def test_a_judgement_of_a_pause_that_is_over_is_ignored() -> None:
    turns = spoken(text="my name is")
    listen(turns, 1_200)
    assert turns.wants_judgement(1_200)
    turns.judge(SpeechScored(1_300, 0.9, 1_300))
    turns.judged(1.0)
    assert wait_of(turns, after=1_300) == WAITS_MS["auto"][Wait.BACKSTOP]


def test_a_judgement_holds_no_longer_than_its_pause() -> None:
    turns = spoken(text="my name is")
    listen(turns, 1_200)
    assert turns.wants_judgement(1_200)
    turns.judged(1.0)
    turns.judge(SpeechScored(1_300, 0.9, 1_300))
    assert wait_of(turns, after=1_300) == WAITS_MS["auto"][Wait.BACKSTOP]


def test_a_judgement_nobody_asked_for_is_ignored() -> None:
    turns = spoken(text="my name is")
    turns.judged(1.0)
    turns.reset()
    turns.judged(1.0)
    turns.judge(SpeechScored(2_000, 0.9, 2_000))
    turns.words("my name is")
    assert wait_of(turns, after=2_000) == WAITS_MS["auto"][Wait.BACKSTOP]


def test_a_rule_may_take_over_while_somebody_speaks() -> None:
    turns = SemanticTurns(SemanticVad(), RATE_HZ, spoken_until=1_000)
    assert turns.is_speaking
    turns.words("my name is bob")
    assert wait_of(turns) == WAITS_MS["auto"][Wait.SOON]


def test_sound_that_is_not_scored_yet_is_no_silence() -> None:
    turns = spoken(text="my name is bob")
    assert not turns.is_over(1_400)
    listen(turns, 1_390)
    assert not turns.is_over(1_399)
    assert turns.is_over(1_400)


# The corpus of pauses


def outcome_of(eagerness: Eagerness, words_lag_ms: int | None) -> Outcome:
    outcome = Outcome()
    for turn in TURNS:
        speak(turn, SemanticTurns(SemanticVad(eagerness=eagerness), RATE_HZ), words_lag_ms, outcome)
    return outcome


@pytest.mark.parametrize("eagerness", ["medium", "auto"])
@pytest.mark.parametrize("words_lag_ms", [0, 150, 250, 350])
def test_callers_are_seldom_cut_in_on_and_soon_answered(eagerness: Eagerness, words_lag_ms: int) -> None:
    outcome = outcome_of(eagerness, words_lag_ms)
    assert outcome.pauses >= 50
    assert len(outcome.cut_ins) <= 0.02 * outcome.pauses, outcome.cut_ins
    assert median(outcome.waits_ms) <= 400


@pytest.mark.parametrize("words_lag_ms", [0, 250, 350])
@pytest.mark.parametrize(
    "turn",
    [
        "five |900| five |900| five |900| one |900| two |900| three |900| four |900| five |900| six |900| seven",
        "my number is |900| five five five |900| one two three |900| four five six seven",
        "it's 555 |900| 123 |900| 4567",
        "sure it's five five |900| five one |900| two three |900| four five |900| six seven",
    ],
)
def test_a_ten_digit_number_with_pauses_of_900_ms_is_never_cut(turn: str, words_lag_ms: int) -> None:
    for eagerness in ("low", "medium", "auto", "high"):
        outcome = Outcome()
        speak(turn, SemanticTurns(SemanticVad(eagerness=eagerness), RATE_HZ), words_lag_ms, outcome)
        assert outcome.cut_ins == []
        assert outcome.waits_ms[0] <= max(WAITS_MS[eagerness][Wait.SOON], words_lag_ms) + 20


@pytest.mark.parametrize("sentence", ["do you have anything", "four people", "i'd like to book a room", "yes"])
def test_a_pause_behind_a_whole_sentence_is_taken_for_its_end_unless_the_model_hears_otherwise(
    sentence: str,
) -> None:
    """What text rules cannot know: "do you have anything … cheaper"."""
    assert wait_of(spoken(text=sentence)) == WAITS_MS["auto"][Wait.SOON]
    turns = spoken(text=sentence)
    listen(turns, 1_200)
    assert turns.wants_judgement(1_200)
    turns.judged(0.0)
    assert wait_of(turns) == WAITS_MS["auto"][Wait.MIDDLE]


def test_an_eager_rule_answers_sooner_and_a_patient_one_cuts_in_less() -> None:
    high, medium, low = (outcome_of(eagerness, 250) for eagerness in ("high", "medium", "low"))
    assert median(high.waits_ms) < median(medium.waits_ms) < median(low.waits_ms)
    assert len(high.cut_ins) >= len(medium.cut_ins) >= len(low.cut_ins)


# Whatever comes, in whatever order

steps = st.lists(
    st.one_of(
        st.tuples(st.just("score"), st.sampled_from([0.0, 0.3, 0.4, 0.5, 1.0])),
        st.tuples(st.just("words"), st.sampled_from([*TEXT_OF.values(), "hold on", "um"])),
        st.tuples(st.just("judged"), st.floats(0, 1)),
        st.tuples(st.just("ask"), st.just(0.0)),
        st.tuples(st.just("reset"), st.just(0.0)),
        st.tuples(st.just("silence"), st.sampled_from([0.1, 0.4, 1.0, 5.0])),
    ),
    max_size=80,
)


@given(steps, st.sampled_from(EAGERNESS))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_an_utterance_ends_once_not_before_the_first_floor_nor_after_the_last(
    steps: list[tuple[str, float | str]], eagerness: Eagerness
) -> None:
    turns = SemanticTurns(SemanticVad(eagerness=eagerness), RATE_HZ)
    shortest_ms, longest_ms = WAITS_MS[eagerness][Wait.SHORTEST], WAITS_MS[eagerness][Wait.BACKSTOP]
    now, loud_until, is_begun = 0, 0, False
    last_voice = 0

    def score(probability: float) -> None:
        nonlocal now, loud_until, is_begun, last_voice
        now += 32
        loud_until = now if probability >= 0.35 else loud_until
        boundary = turns.judge(SpeechScored(now, probability, loud_until))
        match boundary:
            case SpeechBegan(start=start):
                assert not is_begun and start == now - 32
                is_begun = True
            case SpeechEnded(voice_end=voice_end):
                assert is_begun and voice_end == last_voice
                assert shortest_ms <= now - voice_end
                is_begun = False
        if is_begun and probability >= 0.35:
            last_voice = now
        assert turns.is_speaking == is_begun
        assert not is_begun or now - last_voice < longest_ms, "the backstop was passed"

    for kind, value in steps:
        match kind, value:
            case "score", float():
                score(value)
            case "silence", float():
                for _ in range(int(value * 1_000) // 32):
                    score(0.0)
            case "words", str():
                turns.words(value)
            case "judged", float():
                turns.judged(value)
            case "ask", _:
                turns.wants_judgement(now)
            case "reset", _:
                turns.reset()
                is_begun = False
                assert not turns.is_speaking and turns.end() is None and not turns.is_over(now)
        assert not turns.is_over(now) or now - last_voice >= shortest_ms
