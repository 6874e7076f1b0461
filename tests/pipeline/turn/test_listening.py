"""The caller's side: utterances, who waits for whom, and keys. Eight samples are one millisecond."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import PCMU
from pipeline.events.config import ServerVad
from pipeline.reports import Transcribed, TranscriptionFailed
from pipeline.turn.listening import DIGITS_PAUSE_MS, SCORE_LAG_MS, Listening, Utterance
from tests.fakes import Ids
from tests.pipeline.feeding import line, silence, speech

RULE = ServerVad(prefix_padding_ms=300, silence_duration_ms=500)


def listening(rule: ServerVad | None = RULE) -> Listening:
    return Listening(PCMU, rule, Ids(), most_bytes=100_000, keeps_sound=True)


def begun(ear: Listening, at_ms: int = 1_000) -> Utterance:
    ear.hear(line(at_ms))
    assert ear.judge(silence(at_ms)) is None
    ear.hear(line(32))
    utterance = ear.judge(speech(at_ms + 32))
    assert utterance is not None
    return utterance


def test_while_nobody_speaks_only_as_much_is_kept_as_an_utterance_may_reach_back() -> None:
    ear = listening()
    for _ in range(100):
        ear.hear(line(20))
    assert ear.buffer.kept_ms == RULE.prefix_padding_ms + SCORE_LAG_MS
    by_hand = listening(None)
    for _ in range(100):
        by_hand.hear(line(20))
    assert by_hand.buffer.kept_ms == 2_000, "a client that commits by hand means all of it"


def test_an_utterance_begins_with_its_padding_and_keeps_all_its_sound() -> None:
    ear = listening()
    utterance = begun(ear)
    assert utterance == Utterance("item_1", begins=700 * 8)
    assert ear.current is utterance and not ear.is_settled
    ear.hear(line(5_000))
    assert ear.buffer.start <= utterance.begins


def test_the_padding_ends_where_the_sound_begins() -> None:
    assert begun(listening(), at_ms=100).begins == 0


def test_an_utterance_ends_after_its_silence_and_then_waits_for_its_words() -> None:
    ear = listening()
    utterance = begun(ear)
    ear.hear(line(500))
    assert ear.judge(silence(1_532)) is utterance
    assert (ear.current, ear.is_settled, ear.buffer.kept_ms) == (None, False, 0)
    assert utterance.samples == (1_532 - 700) * 8
    assert ear.voice_edge == 1_032 * 8
    words = Transcribed("item_1", "Hello.", True)
    assert ear.understood(words) is utterance
    assert ear.is_settled
    assert ear.understood(words) is None


@pytest.mark.parametrize("verdict", [Transcribed("item_1", "Hi.", True), TranscriptionFailed("item_1", "gone")])
def test_a_verdict_that_comes_early_is_kept(verdict: Transcribed | TranscriptionFailed) -> None:
    ear = listening()
    utterance = begun(ear)
    assert ear.understood(verdict) is None
    assert utterance.verdict == verdict
    assert ear.end_utterance() is utterance
    assert ear.understood(verdict) is utterance


def test_the_verdict_of_another_utterance_is_nobodys() -> None:
    ear = listening()
    utterance = begun(ear)
    assert ear.understood(Transcribed("item_7", "Hi.", True)) is None
    assert utterance.verdict is None


def test_without_a_rule_scores_mean_nothing_and_all_that_is_kept_is_taken() -> None:
    ear = listening(None)
    ear.hear(line(500))
    assert ear.judge(speech(400)) is None
    utterance = ear.take_all()
    assert utterance == Utterance("item_1", begins=0)
    assert ear.take_all() is utterance
    assert ear.end_utterance() is utterance
    assert utterance.samples == 500 * 8
    assert ear.end_utterance() is None


def test_a_dropped_utterance_is_waited_for_by_nobody() -> None:
    ear = listening()
    utterance = begun(ear)
    assert ear.drop() is utterance
    assert (ear.is_settled, ear.buffer.kept_ms) == (True, 0)
    assert ear.drop() is None


def test_another_rule_goes_on_with_the_utterance_under_way() -> None:
    ear = listening()
    utterance = begun(ear)
    ear.follow(ServerVad(silence_duration_ms=100))
    ear.hear(line(100))
    assert ear.judge(silence(1_132)) is utterance


def test_a_rule_that_comes_between_utterances_waits_for_the_next() -> None:
    ear = listening(None)
    ear.follow(RULE)
    assert begun(ear).item_id == "item_1"


def test_keys_are_one_entry_until_a_pause() -> None:
    ear = listening()
    ear.press("1")
    ear.hear(line(DIGITS_PAUSE_MS - 1))
    ear.press("2")
    ear.hear(line(DIGITS_PAUSE_MS - 1))
    assert ear.take_digits() == ""
    assert not ear.is_settled
    ear.hear(line(1))
    assert ear.take_digits() == "12"
    assert (ear.take_digits(), ear.is_settled) == ("", True)


def test_a_hash_ends_an_entry_at_once() -> None:
    ear = listening()
    ear.press("4")
    ear.press("#")
    assert ear.take_digits() == "4#"
    assert ear.take_digits() == ""


def test_a_frame_ends_the_utterance_without_waiting_for_the_next_score() -> None:
    ear = listening()
    assert ear.end_if_silent() is None, "nobody has spoken"
    utterance = begun(ear)
    ear.hear(line(480))
    assert ear.judge(silence(1_512)) is None
    assert ear.end_if_silent() is None
    ear.hear(line(20))
    assert ear.end_if_silent() is utterance
    assert (ear.current, ear.voice_edge) == (None, 1_032 * 8)
    assert listening(None).end_if_silent() is None
