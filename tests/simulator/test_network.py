from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.network import DelayLine, Network


def test_without_delay_a_message_is_there_at_once() -> None:
    line: DelayLine[str] = DelayLine(Network(), random.Random(1))
    line.put("a", 3.0)
    assert line.next_due_s == 3.0
    assert line.due(3.0) == [(3.0, "a")]
    assert line.next_due_s is None


@given(st.lists(st.floats(0, 0.05), max_size=30), st.integers())
def test_delay_and_jitter_hold_back_and_keep_the_order(gaps_s: list[float], seed: int) -> None:
    line: DelayLine[int] = DelayLine(Network(delay_ms=30, jitter_ms=270), random.Random(seed))
    now_s, sent_s = 0.0, []
    for index, gap_s in enumerate(gaps_s):
        now_s += gap_s
        sent_s.append(now_s)
        line.put(index, now_s)
    arrived = line.due(now_s + 1)
    assert [index for _, index in arrived] == list(range(len(gaps_s)))
    due_s = [due for due, _ in arrived]
    assert due_s == sorted(due_s)
    assert all(due >= sent + 0.03 - 1e-9 for due, sent in zip(due_s, sent_s, strict=True))
    assert all(
        due <= sent + 0.3 + 1e-9 or due in due_s[:at]
        for at, (due, sent) in enumerate(zip(due_s, sent_s, strict=True))
    )


def test_nothing_arrives_before_its_time() -> None:
    line: DelayLine[str] = DelayLine(Network(delay_ms=100), random.Random(1))
    line.put("a", 1.0)
    assert line.due(1.05) == []


def test_loss_is_the_share_that_was_asked_for_and_the_same_for_the_same_seed() -> None:
    network, rng = Network(loss=0.2), random.Random(7)
    lost = [network.loses(rng) for _ in range(5000)]
    assert 0.17 < sum(lost) / len(lost) < 0.23
    again = random.Random(7)
    assert lost == [network.loses(again) for _ in range(5000)]
    assert not Network().loses(rng) and Network(loss=1).loses(rng)


@pytest.mark.parametrize("wrong", [{"loss": 1.1}, {"loss": -0.1}, {"delay_ms": -1}, {"jitter_ms": -1}])
def test_an_impossible_network_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        Network(**wrong)
