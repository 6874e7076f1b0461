"""What counts as silence, and as whose."""

from __future__ import annotations

from simulator.call_result import Utterance
from tests.chaos.silence import Waited, percentile, waited


def test_the_longest_silence_is_before_or_between_sounds() -> None:
    heard = [Utterance(1_500, 2_000), Utterance(4_000, 6_000)]
    assert waited(1_000, 9_000, heard, is_answered=True) == Waited(2_000, 2_500, 2)


def test_silence_after_the_answer_is_nobodys_fault() -> None:
    heard = [Utterance(1_500, 2_000)]
    assert waited(1_000, 9_000, heard, is_answered=True).longest_ms == 500
    assert waited(1_000, 9_000, heard, is_answered=False).longest_ms == 7_000


def test_who_hears_nothing_has_waited_to_the_end() -> None:
    assert waited(1_000, 9_000, [], is_answered=False) == Waited(8_000, 0, 0)


def test_sounds_of_other_turns_do_not_count() -> None:
    heard = [Utterance(0, 1_000), Utterance(500, 1_200), Utterance(8_800, 9_500), Utterance(9_000, 9_900)]
    assert waited(1_000, 9_000, heard, is_answered=True) == Waited(7_600, 400, 2)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.0, 0.2, 0.5, 0.95, 1.0)] == [1, 1, 3, 5, 5]
    assert percentile([], 0.5) == 0.0
