"""Prices: what the operator wrote is what is charged, and what nobody wrote is unknown."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.costs import Used
from pipeline.prices import MOST_USD, PriceFileError, Prices, Rates, read_prices

TEXT = """
["openai/gpt-6-luna"]
input = 0.4
output = 1.6
cached = 0.1
["deepgram/flux"]
audio_minute = 0.0077
["cartesia/sonic-3.5"]
characters = 38.0
[espeak]
characters = 0
"""
PRICES = read_prices(TEXT)


def thought(**counts: int) -> Used:
    return dataclasses.replace(Used(provider="openai/gpt-6-luna", kind="llm"), **counts)  # type: ignore[arg-type]  # its counts


def cost_usd(used: Used) -> float | None:
    return PRICES.priced(used).cost_usd


def test_a_file_is_read_as_it_is_written() -> None:
    assert PRICES.rates["openai/gpt-6-luna"] == Rates(input=0.4, output=1.6, cached=0.1)
    assert PRICES.rates["espeak"] == Rates(characters=0)
    assert read_prices("").rates == {}


def test_tokens_are_charged_by_what_they_are() -> None:
    used = thought(input_tokens=1_000_000, cached_tokens=250_000, output_tokens=500_000)
    assert cost_usd(used) == pytest.approx(0.75 * 0.4 + 0.25 * 0.1 + 0.5 * 1.6)


def test_sound_is_charged_by_the_minute_and_speech_by_the_character() -> None:
    assert cost_usd(Used(provider="deepgram/flux", kind="stt", audio_s=30)) == pytest.approx(0.00385)
    spoken = Used(provider="cartesia/sonic-3.5", kind="tts", characters=1_000, audio_s=60)
    assert cost_usd(spoken) == pytest.approx(0.038)


def test_tokens_of_sound_have_prices_of_their_own() -> None:
    rates = Rates(input=1, cached=0.5, output=2, input_audio=10, cached_audio=4, output_audio=20)
    used = Used(
        provider="far",
        kind="realtime",
        input_tokens=10_000_000,
        cached_tokens=3_000_000,
        input_audio_tokens=6_000_000,
        cached_audio_tokens=2_000_000,
        output_tokens=5_000_000,
        output_audio_tokens=4_000_000,
    )
    assert rates.cost_usd(used) == pytest.approx(3 * 1 + 1 * 0.5 + 4 * 10 + 2 * 4 + 1 * 2 + 4 * 20)
    without_audio = Rates(input=1, output=2)
    assert without_audio.cost_usd(used) is None


def test_without_a_price_for_the_cache_it_costs_what_the_rest_costs() -> None:
    assert Rates(input=2).cost_usd(thought(input_tokens=1_000_000, cached_tokens=400_000)) == pytest.approx(2)
    heard = thought(input_tokens=10, input_audio_tokens=10, cached_tokens=4, cached_audio_tokens=4)
    assert Rates(input_audio=1_000_000).cost_usd(heard) == pytest.approx(10)


def test_without_a_price_a_cost_is_unknown_and_never_nothing() -> None:
    assert cost_usd(Used(provider="elsewhere", kind="llm", input_tokens=1)) is None
    assert cost_usd(Used(provider="deepgram/flux", kind="tts", characters=5)) is None, "charged by the minute only"
    assert Rates(input=1).cost_usd(thought(input_tokens=1, output_tokens=1)) is None


def test_free_is_a_price_and_so_is_what_was_not_used() -> None:
    assert cost_usd(Used(provider="espeak", kind="tts", characters=5, audio_s=1)) == 0.0
    assert cost_usd(thought(requests=1)) == 0.0


RATE = st.none() | st.integers(0, 1_000).map(float)
COUNT = st.integers(0, 10**6)


@given(st.builds(Rates, input=RATE, output=RATE, characters=RATE, audio_minute=RATE), COUNT, COUNT, COUNT)
def test_a_known_cost_is_the_sum_of_its_parts(rates: Rates, came: int, went: int, characters: int) -> None:
    whole = rates.cost_usd(thought(input_tokens=came, output_tokens=went, characters=characters))
    parts = [rates.cost_usd(thought(input_tokens=came)), rates.cost_usd(thought(output_tokens=went))]
    if rates.characters is not None:
        parts.append(rates.cost_usd(thought(characters=characters)))
    if whole is not None and rates.input is not None and rates.output is not None:
        assert whole == pytest.approx(sum(part for part in parts if part is not None))
    if whole is not None and whole > 0:
        assert any(part for part in parts)


def test_all_faults_of_a_file_are_told_together() -> None:
    text = """
    loose = 3
    [a]
    imput = 1
    [b]
    input = "dear"
    output = nan
    [c]
    audio_minute = -1
    """
    with pytest.raises(PriceFileError) as caught:
        read_prices(text)
    assert caught.value.faults == [
        "loose: expected a table, got 3",
        "a.imput: unknown key; did you mean 'input'?",
        f"b.input: expected a number from 0 to {MOST_USD}, got 'dear'",
        f"b.output: expected a number from 0 to {MOST_USD}, got nan",
        f"c.audio_minute: expected a number from 0 to {MOST_USD}, got -1",
    ]


def test_a_table_without_a_price_is_a_slip() -> None:
    with pytest.raises(PriceFileError, match="a/b: expected at least one price"):
        read_prices('["a/b"]')


def test_what_is_no_toml_says_so() -> None:
    with pytest.raises(PriceFileError, match="is not TOML"):
        read_prices("[a")


def test_no_prices_price_nothing() -> None:
    used = thought(input_tokens=3)
    assert Prices().priced(used) == used
