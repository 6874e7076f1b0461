"""What does the work of the sessions, made from the settings and the agent's file: the providers of a cascade, or
a remote Realtime service.

The agent's file says what it wants and stands above the settings; keys and places come from the settings alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import Settings
from pipeline.agent import Agent
from pipeline.legs.voice_leg import SpareVoice
from pipeline.phrasebook import Phrasebook
from pipeline.prices import PriceFileError, Prices, read_prices
from pipeline.provider import Closes, Prepares, ProviderError, Transcriber, skills_of_transcriber
from pipeline.providers import registry
from pipeline.providers.registry import Access
from pipeline.responder import Cascade
from pipeline.upstream.remote import RemoteRealtime
from pipeline.worker import Remote


@dataclass(frozen=True, slots=True)
class Chosen:
    """Providers by name, each in order of preference."""

    stt: tuple[str, ...]
    llm: tuple[str, ...]
    tts: tuple[str, ...]
    realtime: str = ""
    """If set, a remote service does all three."""

    def __str__(self) -> str:
        if self.realtime:
            return f"realtime {self.realtime}"
        kinds = (("stt", self.stt), ("llm", self.llm), ("tts", self.tts))
        return " · ".join(f"{kind} {' > '.join(names)}" for kind, names in kinds)


def chosen(settings: Settings, agent: Agent) -> Chosen:
    """What this agent is run by."""
    return Chosen(
        agent.stt or settings.stt,
        agent.llm or settings.llm,
        agent.tts or settings.tts,
        agent.realtime or settings.realtime,
    )


def access_of(settings: Settings) -> Access:
    """Keys and places of providers, by name."""
    keys = {
        "openai": settings.openai_api_key,
        "deepgram": settings.deepgram_api_key,
        "cartesia": settings.cartesia_api_key,
        "elevenlabs": settings.elevenlabs_api_key,
        "inworld": settings.inworld_api_key,
        **dict(settings.provider_keys),
    }
    places = {
        "openai": settings.openai_base_url,
        "deepgram": settings.deepgram_base_url,
        "cartesia": settings.cartesia_base_url,
        "elevenlabs": settings.elevenlabs_base_url,
        "inworld": settings.inworld_base_url,
    }
    return Access(
        keys={name: key for name, key in keys.items() if key},
        base_urls={name: url for name, url in places.items() if url},
    )


def backend_of(settings: Settings, agent: Agent) -> Cascade | RemoteRealtime:
    """What this agent is run by. Raises `ProviderError` for what cannot be had, and as `prices_of`."""
    names = chosen(settings, agent)
    if not names.realtime:
        return cascade_of(settings, agent)
    _, source = registry.source_of(names.realtime, agent, access_of(settings))
    return RemoteRealtime(source, prices=prices_of(settings))


def prices_of(settings: Settings) -> Prices:
    """What the operator says the providers cost. Raises `SettingsError` with all that is wrong with the file."""
    if not settings.prices:
        return Prices()
    try:
        return read_prices(Path(settings.prices).read_text(encoding="utf-8"))
    except PriceFileError as error:
        faults = error.faults
    except (OSError, ValueError) as error:
        faults = [f"cannot be read ({error}); name a UTF-8 file this user can read"]
    raise SettingsError([f"SWITCHBOARD_PRICES: {settings.prices}: {fault}" for fault in faults])


def cascade_of(settings: Settings, agent: Agent) -> Cascade:
    """The providers by their names. Raises `ProviderError` for one that cannot be had, and as `prices_of`."""
    names, access = chosen(settings, agent), access_of(settings)
    transcribers = tuple(_hearing(name, agent, access) for name in names.stt)
    models = tuple(registry.language_model(name, agent, access) for name in names.llm)
    voices = tuple(registry.voice(name, agent, access) for name in names.tts)
    return Cascade(
        transcriber=transcribers[0],
        model=models[0],
        voice=voices[0],
        voice_name=agent.voice,
        spare_transcribers=transcribers[1:],
        spare_models=models[1:],
        # The agent's voice is a name of the first provider's; the others speak with the one of their own options.
        spare_voices=tuple(SpareVoice(voice, None) for voice in voices[1:]),
        hedges=settings.hedging and _are_remote(names),
        prices=prices_of(settings),
    )


def _hearing(name: str, agent: Agent, access: Access) -> Transcriber:
    """A transcriber that hears the agent's language. Raises `ProviderError`."""
    transcriber = registry.transcriber(name, agent, access)
    languages = skills_of_transcriber(transcriber).languages
    if languages and agent.language and not agent.language.lower().startswith(tuple(map(str.lower, languages))):
        message = f"hears {', '.join(languages)}, and the agent's language is {agent.language}"
        raise ProviderError(name, message, retryable=False)
    return transcriber


def _are_remote(names: Chosen) -> bool:
    """Whether the first providers stand elsewhere: a second request to this machine's own would slow the first."""
    chains: dict[registry.Kind, tuple[str, ...]] = {
        "transcriber": names.stt,
        "language_model": names.llm,
        "voice": names.tts,
    }
    return all(chain[0] not in registry.BUILT_IN[kind] for kind, chain in chains.items())


def _providers(backend: Cascade | Remote) -> tuple[object, ...]:
    if not isinstance(backend, Cascade):
        return ()
    cascade = backend
    return (*cascade.transcribers, *cascade.models, *(spare.voice for spare in cascade.voices))


@asynccontextmanager
async def working(backend: Cascade | Remote) -> AsyncGenerator[None, None]:
    """Load models and open connections now, instead of in the first call, all at once; close them at the end."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for provider in _providers(backend):
                if isinstance(provider, Prepares):
                    tasks.create_task(provider.prepare())
        yield
    finally:
        for provider in _providers(backend):
            if isinstance(provider, Closes):
                await provider.aclose()


async def speak_beforehand(phrasebook: Phrasebook, backend: Cascade | Remote) -> None:
    """Have the phrases spoken by whichever voice can; a remote service has none that speaks apart."""
    if not isinstance(backend, Cascade):
        return
    for spare in backend.voices:
        if await phrasebook.speak(spare.voice, spare.name):
            return
