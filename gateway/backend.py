"""What does the work of the sessions, made from the settings and the agent's file: the providers of a cascade.

The agent's file says what it wants and stands above the settings; keys and places come from the settings alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.settings import Settings
from pipeline.agent import Agent
from pipeline.legs.voice_leg import SpareVoice
from pipeline.provider import Closes, Prepares
from pipeline.providers import registry
from pipeline.providers.registry import Access
from pipeline.responder import Cascade


@dataclass(frozen=True, slots=True)
class Chosen:
    """Providers by name, each in order of preference."""

    stt: tuple[str, ...]
    llm: tuple[str, ...]
    tts: tuple[str, ...]

    def __str__(self) -> str:
        kinds = (("stt", self.stt), ("llm", self.llm), ("tts", self.tts))
        return " · ".join(f"{kind} {' > '.join(names)}" for kind, names in kinds)


def chosen(settings: Settings, agent: Agent) -> Chosen:
    """What this agent is run by."""
    return Chosen(agent.stt or settings.stt, agent.llm or settings.llm, agent.tts or settings.tts)


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


def cascade_of(settings: Settings, agent: Agent) -> Cascade:
    """The providers by their names. Raises `ProviderError` for one that cannot be had."""
    names, access = chosen(settings, agent), access_of(settings)
    transcribers = tuple(registry.transcriber(name, agent, access) for name in names.stt)
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
    )


def _are_remote(names: Chosen) -> bool:
    """Whether the first providers stand elsewhere: a second request to this machine's own would slow the first."""
    chains: dict[registry.Kind, tuple[str, ...]] = {
        "transcriber": names.stt,
        "language_model": names.llm,
        "voice": names.tts,
    }
    return all(chain[0] not in registry.BUILT_IN[kind] for kind, chain in chains.items())


def _providers(cascade: Cascade) -> tuple[object, ...]:
    return (*cascade.transcribers, *cascade.models, *(spare.voice for spare in cascade.voices))


async def prepare(cascade: Cascade) -> None:
    """Load models and open connections now, instead of in the first call; all at once, since each may wait."""
    async with asyncio.TaskGroup() as tasks:
        for provider in _providers(cascade):
            if isinstance(provider, Prepares):
                tasks.create_task(provider.prepare())


async def close(cascade: Cascade) -> None:
    """Close what is kept open."""
    for provider in _providers(cascade):
        if isinstance(provider, Closes):
            await provider.aclose()
