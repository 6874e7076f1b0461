"""What a bill makes of requests that came early, twice, in vain."""

from __future__ import annotations

from dataclasses import asdict

from simulator.standins.turn_ledger import BESIDE_S, Asked, Bill, TurnLedger, bill_from


def asked(text: str, at_s: float, *, made: int = 10, is_done: bool = True, cut_s: float | None = None) -> Asked:
    return Asked(text, at_s, 100, made, is_done and cut_s is None, cut_s)


def bill(*requests: Asked, ends: list[tuple[str, float]]) -> Bill:
    ledger = TurnLedger(asked=list(requests))
    for text, at_s in ends:
        ledger.ended(text, at_s)
    return ledger.bill()


NOTHING = Bill(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_a_request_after_the_end_of_the_turn_is_an_answer_and_no_guess() -> None:
    assert bill(asked("t1 hello", 1.1), ends=[("t1 hello", 1.0)]) == Bill(
        input_tokens=100,
        output_tokens=10,
        wasted_input_tokens=0,
        wasted_output_tokens=0,
        requests=1,
        guesses=0,
        kept=0,
        abandoned=0,
        second_requests=0,
        second_transcripts=0,
        split_turns=0,
    )


def test_a_guess_at_the_right_words_is_kept() -> None:
    one = bill(asked("t1 hello", 0.8), ends=[("t1 hello", 1.0)])
    assert (one.guesses, one.kept, one.abandoned, one.wasted_input_tokens) == (1, 1, 0, 0)


def test_guesses_at_other_words_are_wasted_whether_they_were_cut_off_or_not() -> None:
    one = bill(
        asked("t1 hel", 0.4, made=0, cut_s=0.5),
        asked("t1 hell", 0.6, made=3),
        asked("t1 hello", 0.8),
        ends=[("t1 hello", 1.0)],
    )
    assert (one.guesses, one.kept, one.abandoned) == (3, 1, 2)
    assert (one.wasted_input_tokens, one.wasted_output_tokens) == (200, 3)


def test_a_second_request_beside_a_slow_one_is_told_from_one_in_its_place() -> None:
    beside = bill(asked("t1 hello", 1.1, made=0, cut_s=2.5), asked("t1 hello", 2.1), ends=[("t1 hello", 1.0)])
    assert (beside.second_requests, beside.wasted_input_tokens) == (1, 100)
    instead = bill(
        asked("t1 hello", 0.8, made=0, cut_s=1.15 + BESIDE_S / 2), asked("t1 hello", 1.15), ends=[("t1 hello", 1.0)]
    )
    assert (instead.second_requests, instead.kept, instead.abandoned) == (0, 0, 1)


def test_a_guess_whose_second_request_answered_was_kept_all_the_same() -> None:
    one = bill(asked("t1 hello", 0.8, made=0, cut_s=2.2), asked("t1 hello", 1.8), ends=[("t1 hello", 1.0)])
    assert (one.guesses, one.kept, one.abandoned, one.second_requests) == (1, 1, 0, 1)


def test_a_turn_that_was_cut_in_two_is_answered_by_its_last_part() -> None:
    one = bill(
        asked("t1 hel", 1.1, made=2, cut_s=1.4),
        asked("t1 hello", 2.1),
        ends=[("t1 hel", 1.0), ("t1 hello", 2.0)],
    )
    assert (one.split_turns, one.second_transcripts, one.guesses) == (1, 0, 0)
    assert (one.wasted_input_tokens, one.wasted_output_tokens) == (100, 2)


def test_one_end_told_twice_was_told_to_two_transcribers() -> None:
    one = bill(asked("t1 hello", 1.1), ends=[("t1 hello", 1.0), ("t1 hello", 1.9)])
    assert (one.second_transcripts, one.split_turns) == (1, 0)


def test_what_was_never_finished_was_of_no_use() -> None:
    one = bill(asked("t1 hello", 0.8, made=4, is_done=False), asked("t2 bye", 5.0), ends=[("t1 hello", 1.0)])
    assert (one.wasted_output_tokens, one.guesses, one.kept) == (14, 2, 0)


def test_an_end_without_words_is_no_turns() -> None:
    assert bill(ends=[("", 1.0)]) == NOTHING


def test_a_bill_can_be_sent() -> None:
    one = bill(asked("t1 hello", 1.1), ends=[("t1 hello", 1.0)])
    assert bill_from(asdict(one)) == one
