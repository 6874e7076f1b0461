"""The caller's side: utterances, who waits for whom, and keys. Eight samples are one millisecond."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import PCM_8K, PCMU
from pipeline.events.config import SemanticVad, ServerVad, TurnDetection
from pipeline.reports import Transcribed, TranscriptionFailed, TurnJudged
from pipeline.turn.listening import (
    DIGITS_PAUSE_MS,
    JUDGED_MS,
    SCORE_LAG_MS,
    Listening,
    Utterance,
)
from pipeline.turn.semantic_vad import PREFIX_PADDING_MS
from tests.fakes import Ids
from tests.pipeline.feeding import line, silence, speech

RULE = ServerVad(prefix_padding_ms=300, silence_duration_ms=500)


def listening(rule: TurnDetection | None = RULE) -> Listening:
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


def test_an_ended_utterance_carries_its_sound_where_sound_is_kept() -> None:
    for keeps, kept in ((True, line(332)), (False, b"")):
        ear = Listening(PCMU, RULE, Ids(), most_bytes=100_000, keeps_sound=keeps)
        begun(ear)
        assert ear.end_utterance() is not None
        assert [u.audio for u in ear._waiting.values()] == [kept]


def test_sound_by_the_way_is_waited_for_and_is_no_turn() -> None:
    ear = listening()
    assert not ear.has_sound
    ear.expect("mine", 800)
    assert (ear.is_waiting, ear.is_settled, ear.has_sound) == (True, False, True)
    utterance = ear.understood(Transcribed("mine", "Hi.", True))
    assert utterance == Utterance("mine", begins=0, samples=800, is_turn=False)
    assert not ear.is_waiting


def test_a_guess_may_be_told_once_its_utterance_has_ended() -> None:
    ear = listening()
    utterance = begun(ear)
    partial = Transcribed("item_1", "Hello", False)
    assert ear.guess(partial) is None
    ear.end_utterance()
    assert ear.guess(partial) is utterance
    assert utterance.transcript.news() == "Hello"
    assert ear.guess(Transcribed("item_7", "Hello", False)) is None


def test_before_the_first_sound_another_format_may_be_heard_in() -> None:
    ear = listening()
    ear.hear_in(PCM_8K)
    ear.hear(bytes(PCM_8K.bytes_in(1_000)))
    assert ear.buffer.kept_ms == RULE.prefix_padding_ms + SCORE_LAG_MS
    assert (ear.buffer.heard, ear.has_sound) == (8_000, True)


SEMANTIC = SemanticVad()


def spoken_to(ear: Listening, until_ms: int) -> None:
    """Somebody speaks from the first moment until this one."""
    for at_ms in range(20, until_ms + 20, 20):
        ear.hear(line(20))
        ear.judge(speech(at_ms))


def quiet(ear: Listening, ms: int) -> Utterance | None:
    """A pause of this length; the utterance, if it ends one."""
    for _ in range(ms // 20):
        ear.hear(line(20))
        at_ms = ear.buffer.heard // 8
        if ended := ear.end_if_silent() or ear.judge(silence(at_ms)):
            return ended
    return None


def test_the_sense_decides_when_a_semantic_turn_ends() -> None:
    ear = listening(SEMANTIC)
    spoken_to(ear, 1_000)
    ear.guess(Transcribed("item_1", "I would like a", False))
    assert quiet(ear, 1_000) is None
    ear.understood(Transcribed("item_1", "I would like a table.", True))
    assert quiet(ear, 20) is not None


def test_a_pause_is_to_be_judged_once_with_its_newest_sound() -> None:
    ear = listening(SEMANTIC)
    assert ear.unjudged_pause() is None, "nobody speaks"
    spoken_to(ear, JUDGED_MS + 2_000)
    assert quiet(ear, 200) is None
    assert ear.unjudged_pause() == ("item_1", line(JUDGED_MS))
    assert ear.unjudged_pause() is None
    ear.judge_turn(TurnJudged("item_7", 0.9))
    assert quiet(ear, 180) is None
    ear.judge_turn(TurnJudged("item_1", 0.9))
    assert quiet(ear, 20) is not None
    ear.judge_turn(TurnJudged("item_1", 0.9))


def test_where_silence_alone_decides_no_pause_is_judged() -> None:
    ear = listening()
    begun(ear)
    assert ear.unjudged_pause() is None
    ear.judge_turn(TurnJudged("item_1", 0.9))
    ear.guess(Transcribed("item_1", "Done.", False))
    assert ear.current is not None


def test_a_semantic_rule_takes_over_in_the_middle_and_has_padding_of_its_own() -> None:
    ear = listening()
    utterance = begun(ear)
    ear.follow(SEMANTIC)
    assert quiet(ear, 680) is None
    assert quiet(ear, 20) is utterance
    ear.hear(line(5_000))
    assert ear.buffer.kept_ms == PREFIX_PADDING_MS + SCORE_LAG_MS


def test_what_was_heard_before_there_was_a_rule_is_judged_by_nobody() -> None:
    ear = listening(None)
    ear.hear(line(1_000))
    ear.follow(RULE)
    assert ear.unjudged_ms == 0
    ear.hear(line(100))
    ear.follow(SEMANTIC)
    assert ear.unjudged_ms == 100
