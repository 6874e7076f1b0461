"""What providers have used, added up: by whom, for how much, and shown small."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.costs import Tally, Used, shown, whole_cost_usd

COUNTS = st.integers(min_value=0, max_value=10**9)
SECONDS = st.integers(min_value=0, max_value=10**6).map(lambda eighths: eighths / 8)
"""Binary fractions: their sums are exact in any order."""

USED = st.builds(
    Used,
    provider=st.sampled_from(["a", "b", "c/d"]),
    kind=st.sampled_from(["stt", "llm", "tts"]),
    requests=COUNTS,
    answered=COUNTS,
    first_s=SECONDS,
    input_tokens=COUNTS,
    cached_tokens=COUNTS,
    output_tokens=COUNTS,
    input_audio_tokens=COUNTS,
    cached_audio_tokens=COUNTS,
    output_audio_tokens=COUNTS,
    wasted_tokens=COUNTS,
    characters=COUNTS,
    audio_s=SECONDS,
    is_estimated=st.booleans(),
    cost_usd=st.none() | SECONDS,
)
NUMBERS = [
    each.name
    for each in dataclasses.fields(Used)
    if each.name not in ("provider", "kind", "is_estimated", "cost_usd")
]


@given(st.lists(USED))
def test_a_tally_holds_no_more_and_no_less_than_was_added(used: list[Used]) -> None:
    tally = Tally(used)
    assert {(each.provider, each.kind) for each in tally.used} == {(each.provider, each.kind) for each in used}
    assert len(tally.used) == len({(each.provider, each.kind) for each in used})
    for name in NUMBERS:
        assert sum(getattr(each, name) for each in tally.used) == sum(getattr(each, name) for each in used)
    assert whole_cost_usd(tally.used) == whole_cost_usd(used)
    assert any(each.is_estimated for each in tally.used) == any(each.is_estimated for each in used)


@given(st.lists(st.lists(USED)))
def test_the_tallies_of_turns_make_the_tally_of_the_call(turns: list[list[Used]]) -> None:
    call = Tally()
    for turn in turns:
        call.add(*Tally(turn).used)
    assert call.used == Tally(each for turn in turns for each in turn).used


def test_what_is_taken_from_a_tally_is_not_in_it_any_more() -> None:
    tally = Tally([Used(provider="a", kind="llm", requests=1)])
    assert tally.take() == (Used(provider="a", kind="llm", requests=1),)
    assert tally.take() == ()


def test_one_unknown_price_leaves_the_whole_unknown() -> None:
    priced, unpriced = Used(provider="a", kind="llm", cost_usd=0.5), Used(provider="b", kind="tts")
    assert whole_cost_usd([priced, priced]) == 1.0
    assert whole_cost_usd([priced, unpriced]) is None
    assert whole_cost_usd([]) is None
    assert (priced + Used(provider="a", kind="llm")).cost_usd is None


def test_what_one_provider_used_is_not_added_to_anothers() -> None:
    with pytest.raises(AssertionError):
        Used(provider="a", kind="llm") + Used(provider="b", kind="llm")


def test_wasted_tokens_are_among_all_tokens() -> None:
    lost = Used(provider="a", kind="llm", input_tokens=30, output_tokens=4).wasted()
    assert (lost.tokens, lost.wasted_tokens) == (34, 34)


def test_what_is_nothing_is_not_shown_but_an_unknown_cost_is() -> None:
    heard = Used(provider="a", kind="stt", requests=1, audio_s=1.23456)
    thought = Used(
        provider="b",
        kind="llm",
        requests=2,
        answered=2,
        first_s=0.5,
        input_tokens=7,
        wasted_tokens=3,
        is_estimated=True,
        cost_usd=1e-9,
    )
    assert shown([heard, thought]) == {
        "providers": [
            {"provider": "a", "kind": "stt", "requests": 1, "audio_s": 1.235, "cost_usd": None},
            {
                "provider": "b",
                "kind": "llm",
                "requests": 2,
                "input_tokens": 7,
                "wasted_tokens": 3,
                "first_ms": 250.0,
                "is_estimated": True,
                "cost_usd": 1e-9,
            },
        ],
        "cost_usd": None,
    }
    assert shown([thought])["cost_usd"] == 1e-9
    assert shown([]) == {"providers": [], "cost_usd": None}
