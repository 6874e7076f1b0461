"""What a provider is made with, and what it says of itself."""

from __future__ import annotations

import pytest

from pipeline.agent import Agent
from pipeline.provider import ProviderError
from pipeline.providers.source import Source

AGENT = Agent("a")


def test_a_source_is_called_by_its_name_and_model() -> None:
    assert Source(name="deepgram", agent=AGENT, model="nova-3").label == "deepgram/nova-3"
    assert Source(name="deepgram", agent=AGENT).label == "deepgram"


def test_what_is_printed_of_a_source_holds_no_key() -> None:
    source = Source(name="deepgram", agent=AGENT, api_key="s3cret")
    assert "s3cret" not in repr(source)
    assert source.key("DEEPGRAM_API_KEY") == "s3cret"


def test_a_missing_key_is_told_with_the_setting_that_would_hold_it() -> None:
    with pytest.raises(ProviderError, match=r"deepgram/nova-3: has no API key; set DEEPGRAM_API_KEY") as failure:
        Source(name="deepgram", agent=AGENT, model="nova-3").key("DEEPGRAM_API_KEY")
    assert not failure.value.retryable


@pytest.mark.parametrize("options", [{}, {"volume": 1.0}, {"volume": 1.0, "voice": "x"}])
def test_known_options_pass_whatever_they_hold(options: dict[str, object]) -> None:
    Source(name="cartesia", agent=AGENT, options=options).no_options("volume", "voice")


@pytest.mark.parametrize(
    ("known", "hint"), [((), "it has none"), (("volume",), "known are volume"), (("b", "a"), "known are a, b")]
)
def test_an_unknown_option_is_told_with_those_there_are(known: tuple[str, ...], hint: str) -> None:
    source = Source(name="cartesia", agent=AGENT, options={"pitch": 2})
    with pytest.raises(ProviderError, match=f"cartesia: has no option 'pitch'; {hint}") as failure:
        source.no_options(*known)
    assert not failure.value.retryable
    assert failure.value.provider == "cartesia"


def test_a_source_without_more_runs_one_decoder_and_has_no_options() -> None:
    source = Source(name="pocketsphinx", agent=AGENT)
    assert (source.decoders, dict(source.options), source.base_url, source.model) == (1, {}, "", "")
