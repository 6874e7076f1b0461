"""Reports of calls that are made up: when streams began and ended, and what sounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.cli.prove_report import Report, Run, report_of, runs_of
from gateway.cli.prove_witness import ANSWER_WORDS, GREETING_WORDS, PAUSE_MS, WORD_MS
from simulator.call_result import CallResult, Complaint, EndReason, Happening, Turn
from simulator.playback import Underrun
from simulator.sound import SAMPLES_PER_MS, Samples

ZERO_S = 100.0


def happening(name: str, at_ms: float, **detail: Any) -> Happening:
    return Happening(ZERO_S + at_ms / 1000, at_ms, name, detail)


def stream(start_ms: float, end_ms: float, *, by: str = "gateway", code: int | None = 1006) -> list[Happening]:
    return [happening("start", start_ms), happening("stream.ended", end_ms, by=by, close_code=code)]


def words(*starts_ms: int, cut_ms: int | None = None, length_ms: int = 20_000) -> Samples:
    """Words that begin at these times; the last one is cut after so long."""
    sound = np.zeros(length_ms * SAMPLES_PER_MS, np.int16)
    for start_ms in starts_ms:
        is_cut = cut_ms is not None and start_ms == starts_ms[-1]
        end_ms = start_ms + (cut_ms if is_cut and cut_ms is not None else WORD_MS)
        sound[start_ms * SAMPLES_PER_MS : end_ms * SAMPLES_PER_MS] = 4_000
    return sound


def sentence(start_ms: int, count: int) -> tuple[int, ...]:
    return tuple(start_ms + at * (WORD_MS + PAUSE_MS) for at in range(count))


def made(happenings: list[Happening], sound: Samples, *, knows_words: bool = True, **changes: Any) -> Report:
    values: dict[str, Any] = {
        "call_sid": "CA1",
        "stream_sids": (),
        "happenings": tuple(happenings),
        "turns": (),
        "interruptions": (),
        "cuts": (),
        "agent_utterances": (),
        "complaints": (),
        "underruns": (),
        "spoken_verbs": (),
        "end_reason": EndReason.CALLER_HUNG_UP,
        "duration_s": 1.0,
        "received_bytes": 0,
        "heard_bytes": 0,
        "caller_sound": sound,
        "agent_sound": sound,
    }
    return report_of(3, CallResult(**{**values, **changes}), knows_words=knows_words)


def test_a_call_whose_caller_hung_up_has_no_break() -> None:
    report = made(stream(0, 5_000, by="caller", code=None), words(*sentence(0, 3)))
    assert (report.breaks, report.is_lost, report.words, report.began_s) == ((), False, 3, ZERO_S)


def test_a_break_in_the_middle_of_speech_is_a_hole_from_the_last_sound_to_the_next() -> None:
    before = (*sentence(0, 2), 1_000)
    happenings = [*stream(0, 1_120), *stream(1_200, 9_000, by="caller", code=None)]
    report = made(happenings, words(*before, cut_ms=100) + words(1_300, 1_500))
    (broken,) = report.breaks
    assert (broken.was_speaking, broken.is_in_word, broken.hole_ms) == (True, True, 200)
    assert broken.gap_ms == pytest.approx(80)
    assert broken.silence_ms == 200
    assert broken.spoke_until_s == pytest.approx(ZERO_S + 1.1)
    assert broken.spoke_again_s == pytest.approx(ZERO_S + 1.3)


def test_a_break_after_a_whole_word_is_in_no_word() -> None:
    happenings = [*stream(0, 380), *stream(400, 9_000, by="caller", code=None)]
    (broken,) = made(happenings, words(0, 200, 700)).breaks
    assert (broken.was_speaking, broken.is_in_word, broken.hole_ms) == (True, False, 340)


def test_while_the_agent_was_silent_a_break_is_as_long_as_no_stream_was_there() -> None:
    happenings = [*stream(0, 4_000), *stream(4_090, 9_000, by="caller", code=None)]
    (broken,) = made(happenings, words(*sentence(0, GREETING_WORDS), 6_000)).breaks
    assert (broken.was_speaking, broken.is_in_word, broken.hole_ms) == (False, False, None)
    assert broken.silence_ms == pytest.approx(90)


@pytest.mark.parametrize(
    ("stopped_ms", "count"), [(None, GREETING_WORDS), (500, ANSWER_WORDS)], ids=["greeting", "answer"]
)
def test_an_agent_who_had_just_said_all_was_not_cut_off(stopped_ms: int | None, count: int) -> None:
    start_ms = 0 if stopped_ms is None else 1_000
    spoken = sentence(start_ms, count)
    end_ms = spoken[-1] + WORD_MS + 20
    caller = [] if stopped_ms is None else [happening("caller.stops", stopped_ms, media_ms=stopped_ms, text="")]
    happenings = [*caller, *stream(0, end_ms), *stream(end_ms + 50, 19_000, by="caller", code=None)]
    (broken,) = made(happenings, words(*spoken, 15_000)).breaks
    assert broken.was_speaking is False
    assert broken.silence_ms == pytest.approx(50)


def test_a_hole_ends_where_the_caller_takes_it_for_the_end() -> None:
    happenings = [
        *stream(0, 380),
        *stream(400, 9_000, by="caller", code=None),
        happening("caller.speaks", 1_100, media_ms=1_100, text=""),
        happening("caller.stops", 1_900, media_ms=1_900, text=""),
    ]
    (broken,) = made(happenings, words(0, 200, 3_000)).breaks
    assert (broken.was_speaking, broken.hole_ms) == (True, 740)


def test_of_a_stranger_it_is_only_known_whether_it_was_heard_just_now() -> None:
    happenings = [*stream(0, 4_000), *stream(4_090, 9_000, by="caller", code=None)]
    (near,) = made(happenings, words(3_800, 6_000), knows_words=False).breaks
    (far,) = made(happenings, words(3_000, 6_000), knows_words=False).breaks
    assert (near.was_speaking, far.was_speaking) == (True, False)


def test_a_caller_whom_nobody_calls_back_is_lost() -> None:
    report = made(stream(0, 380), words(0, 200), end_reason=EndReason.APPLICATION_ERROR)
    (broken,) = report.breaks
    assert (broken.gap_ms, broken.hole_ms, broken.silence_ms) == (None, None, None)
    assert report.is_lost


def test_a_caller_who_hears_nobody_after_a_break_is_lost_even_if_the_line_is_up() -> None:
    happenings = [
        *stream(0, 380),
        *stream(400, 9_000, by="caller", code=None),
        happening("caller.impatient", 8_000, waited_ms=7_000),
    ]
    assert made(happenings, words(0, 200)).is_lost
    assert not made(happenings, words(0, 200, 3_000)).is_lost


def test_an_end_that_the_gateway_meant_is_no_break() -> None:
    assert made(stream(0, 380, code=1000), words(0, 200), end_reason=EndReason.HANGUP_VERB).breaks == ()


def test_what_else_was_wrong_is_told() -> None:
    report = made(
        [happening("webhook", -50, url="", status=200, took_ms=12.5), *stream(0, 900, by="caller", code=None)],
        words(0),
        turns=(Turn("hello", 0, 100, None), Turn("yes", 200, 300, 400)),
        underruns=(Underrun(1, 30), Underrun(2, 70)),
        complaints=(Complaint(31920, "no", 1.0),),
        spoken_verbs=("Sorry.",),
    )
    assert (report.turns, report.unanswered, report.longest_underrun_ms) == (2, 1, 70)
    assert (report.complaints, report.spoken_verbs) == (("31920: no",), ("Sorry.",))
    assert (report.first_answer_ms, report.number) == (12.5, 3)


def test_a_call_without_a_stream_has_a_report_too() -> None:
    report = made([], np.zeros(0, np.int16))
    assert (report.began_s, report.ended_s, report.words, report.first_answer_ms) == (0.0, 0.0, 0, None)


def test_runs_are_where_it_is_audible() -> None:
    assert runs_of(words(100, 300, length_ms=1_000)) == [Run(100, 260), Run(300, 460)]
    assert runs_of(words(840, length_ms=1_000)) == [Run(840, 1_000)]
