"""Who does the work: chosen by the agent before the settings, with keys and places from the settings alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backend import access_of, backend_of, cascade_of, chosen, prices_of, speak_beforehand, working
from gateway.errors import SettingsError
from pipeline.agent import Agent
from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.legs.voice_leg import SpareVoice
from pipeline.phrasebook import Phrasebook
from pipeline.prices import Prices, Rates
from pipeline.provider import ProviderError, Speech
from pipeline.responder import Cascade
from pipeline.upstream.remote import RemoteRealtime
from tests.fakes import FakeModel, FakeTranscriber, FakeVoice, failure
from tests.gateway.signed import SETTINGS

pytestmark = pytest.mark.anyio

STUBS = replace(SETTINGS, stt=("stub",), llm=("stub",), tts=("stub",))
KEYED = replace(
    STUBS,
    openai_api_key="key-o",
    deepgram_api_key="key-d",
    cartesia_api_key="key-c",
    provider_keys=(("groq", "key-g"),),
    openai_base_url="http://127.0.0.1:1/v1",
)


def test_the_agents_file_stands_above_the_settings() -> None:
    agent = Agent("a", llm=("openai/gpt-x", "stub"))
    assert str(chosen(STUBS, agent)) == "stt stub · llm openai/gpt-x > stub · tts stub"
    assert str(chosen(STUBS, replace(agent, realtime="openai/gpt-realtime"))) == "realtime openai/gpt-realtime"
    assert chosen(replace(STUBS, realtime="openai/r"), agent).realtime == "openai/r"


def test_keys_and_places_are_those_of_the_settings() -> None:
    access = access_of(KEYED)
    assert access.keys == {"openai": "key-o", "deepgram": "key-d", "cartesia": "key-c", "groq": "key-g"}
    assert access.base_urls == {"openai": "http://127.0.0.1:1/v1"}
    assert "key-o" not in repr(access)


def test_what_comes_after_the_first_is_there_to_fall_back_on() -> None:
    agent = Agent(
        "a", voice="anna", stt=("deepgram/nova-3", "stub"), llm=("openai", "stub"), tts=("cartesia", "stub")
    )
    cascade = cascade_of(KEYED, agent)
    assert [one.name for one in cascade.transcribers] == ["deepgram/nova-3", "stub"]
    assert [one.name for one in cascade.models] == ["openai", "stub"]
    assert [(one.voice.name, one.name) for one in cascade.voices] == [("cartesia", "anna"), ("stub", None)]
    assert cascade.hedges


def test_providers_of_this_machine_are_not_asked_twice() -> None:
    assert not cascade_of(STUBS, Agent("a")).hedges
    agent = Agent("a", stt=("deepgram",), llm=("openai",), tts=("cartesia",))
    assert not cascade_of(replace(KEYED, hedging=False), agent).hedges


def test_a_missing_key_is_told_before_the_first_call() -> None:
    with pytest.raises(ProviderError, match="DEEPGRAM_API_KEY"):
        cascade_of(STUBS, Agent("a", stt=("deepgram",)))


def test_a_remote_service_may_do_it_all() -> None:
    remote = backend_of(KEYED, Agent("a", realtime="openai/gpt-realtime"))
    assert isinstance(remote, RemoteRealtime)
    assert remote.hears_sound
    assert isinstance(backend_of(STUBS, Agent("a")), Cascade)


class Slow:
    """A voice that must be prepared and closed."""

    name = "slow"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self) -> None:
        self.life: list[str] = []

    async def prepare(self) -> None:
        self.life.append("prepared")

    async def aclose(self) -> None:
        self.life.append("closed")

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        async for clause in clauses:
            yield Speech(b"\x20" * 800, clause)


async def test_every_provider_is_prepared_and_closed_spares_too() -> None:
    first, spare = Slow(), Slow()
    cascade = Cascade(FakeTranscriber(), FakeModel(), first, spare_voices=(SpareVoice(spare),))
    async with working(cascade):
        assert (first.life, spare.life) == (["prepared"], ["prepared"])
    assert (first.life, spare.life) == (["prepared", "closed"], ["prepared", "closed"])


async def test_phrases_are_spoken_by_whichever_voice_can() -> None:
    broken, spare = FakeVoice({0: failure()}), Slow()
    cascade = Cascade(FakeTranscriber(), FakeModel(), broken, spare_voices=(SpareVoice(spare),))
    book = Phrasebook(("One moment.",))
    await speak_beforehand(book, cascade)
    assert book.phrases(PCMU)[0].sound == b"\x20" * 800


async def test_a_remote_service_is_neither_prepared_nor_speaks_beforehand() -> None:
    remote, book = backend_of(KEYED, Agent("a", realtime="openai/gpt-realtime")), Phrasebook(("One moment.",))
    async with working(remote):
        await speak_beforehand(book, remote)
    assert book.phrases(PCMU)[0].text == "One moment, please.", "the recording"


def test_prices_are_read_for_whatever_does_the_work(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('["openai/gpt-realtime"]\ninput = 4\n[stub]\ncharacters = 0\n')
    priced = replace(KEYED, prices=str(path))
    assert prices_of(STUBS) == Prices()
    assert cascade_of(replace(STUBS, prices=str(path)), Agent("a")).prices == Prices(
        {"openai/gpt-realtime": Rates(input=4), "stub": Rates(characters=0)}
    )
    assert isinstance(backend_of(priced, Agent("a", realtime="openai/gpt-realtime")), RemoteRealtime)


def test_all_that_is_wrong_with_the_prices_is_told_before_the_first_call(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("[a]\nimput = 1\n[b]\noutput = -1\n")
    with pytest.raises(SettingsError) as caught:
        cascade_of(replace(STUBS, prices=str(path)), Agent("a"))
    first, second = caught.value.faults
    assert first.startswith(f"SWITCHBOARD_PRICES: {path}: a.imput: unknown key")
    assert "b.output: expected a number" in second
    with pytest.raises(SettingsError, match="cannot be read"):
        prices_of(replace(STUBS, prices=str(tmp_path / "nowhere.toml")))


def test_a_recogniser_of_another_language_stops_the_start() -> None:
    agent = Agent("a", language="de-DE", stt=("deepgram/flux-general-en",))
    with pytest.raises(ProviderError, match="hears en, and the agent's language is de-DE"):
        cascade_of(KEYED, agent)
    cascade_of(KEYED, replace(agent, language="en-GB"))
