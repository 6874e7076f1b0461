"""Providers by name. A provider's module, and with it its library, is loaded when it is first asked for.

`deepgram/nova-3` is the provider and its model; `groq/llama-3.3-70b` a server of one's own, which
`[providers.groq]` in the agent's file describes by the wire it speaks and the place where it stands.

To add a provider: one file beside this one, with a function for each kind it can be, and one line in the tables
below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias, cast

from pipeline.agent import Agent
from pipeline.checked_table import nearest
from pipeline.provider import LanguageModel, ProviderError, Transcriber, Voice
from pipeline.providers.source import Source

Kind: TypeAlias = Literal["transcriber", "language_model", "voice"]
"""What a provider can be, and how its module calls the function that makes it."""

_SPOKEN: Final[Mapping[Kind, str]] = {
    "transcriber": "speech-to-text",
    "language_model": "language model",
    "voice": "text-to-speech",
}

BUILT_IN: Final[Mapping[Kind, tuple[str, ...]]] = {
    "transcriber": ("pocketsphinx", "stub"),
    "language_model": ("scripted", "stub"),
    "voice": ("espeak", "stub"),
}
"""Those that need no account and no network."""

REMOTE: Final[Mapping[Kind, tuple[str, ...]]] = {
    "transcriber": ("openai", "deepgram", "inworld"),
    "language_model": ("openai", "inworld"),
    "voice": ("openai", "cartesia", "elevenlabs", "inworld"),
}
"""Those that are asked over a network, each by its own wire."""

_EXTRAS: Final = {
    "pocketsphinx": "local",
    "espeakng_loader": "local",
    "openai": "openai",
    "httpx2": "openai",
    "deepgram": "deepgram",
    "cartesia": "cartesia",
}
"""Which extra of this package brings a library that is not installed."""


@dataclass(frozen=True, slots=True)
class Access:
    """What is known of providers besides the agent's file: keys and places, by the provider's name."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_urls: Mapping[str, str] = field(default_factory=dict)


NOWHERE: Final = Access()


def names(kind: Kind, agent: Agent | None = None) -> tuple[str, ...]:
    """All providers of a kind; with an agent, those its file adds as well."""
    own = tuple(agent.providers) if agent is not None else ()
    return tuple(dict.fromkeys((*BUILT_IN[kind], *REMOTE[kind], *own)))


def transcriber(name: str, agent: Agent, access: Access = NOWHERE, *, decoders: int = 1) -> Transcriber:
    """A new one for `agent`, shared by all its calls; `decoders` utterances at once where that costs memory.

    Raises `ProviderError` for an unknown name, a library that is not installed, a missing key or a bad option, as
    do the other two.
    """
    return cast(Transcriber, _make("transcriber", name, agent, access, decoders))


def language_model(name: str, agent: Agent, access: Access = NOWHERE) -> LanguageModel:
    return cast(LanguageModel, _make("language_model", name, agent, access))


def voice(name: str, agent: Agent, access: Access = NOWHERE) -> Voice:
    return cast(Voice, _make("voice", name, agent, access))


def source_of(name: str, agent: Agent, access: Access = NOWHERE, *, decoders: int = 1) -> tuple[str, Source]:
    """The wire that a provider of this name speaks, and what it is made with. Raises `ProviderError`."""
    provider, _, model = name.partition("/")
    options = dict(agent.providers.get(provider, {}))
    wire, base_url = options.pop("wire", provider), options.pop("base_url", "")
    if not isinstance(wire, str) or not isinstance(base_url, str):
        raise ProviderError(provider, "`wire` and `base_url` are texts", retryable=False)
    source = Source(
        name=provider,
        agent=agent,
        model=model,
        api_key=access.keys.get(provider, ""),
        base_url=base_url or access.base_urls.get(provider, ""),
        decoders=decoders,
        options=options,
    )
    return wire, source


def _make(kind: Kind, name: str, agent: Agent, access: Access, decoders: int = 1) -> object:
    wire, source = source_of(name, agent, access, decoders=decoders)
    if wire not in (*BUILT_IN[kind], *REMOTE[kind]):
        hint = nearest(wire, names(kind, agent))
        raise ProviderError(source.name, f"no such {_SPOKEN[kind]} provider{hint}", retryable=False)
    module = _load(source.name, f"pipeline.providers.{wire}")
    make: Callable[[Source], object] = getattr(module, kind)
    return make(source)


def _load(provider: str, module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        message = f"needs the package {missing}; pip install 'switchboard-voice[{_EXTRAS[missing]}]'"
        raise ProviderError(provider, message, retryable=False) from error
