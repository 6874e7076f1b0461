"""Providers by name. A provider's module, and with it its library, is loaded when it is first asked for.

To add a provider: one file beside this one, one line in the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, TypeVar, cast

from pipeline.agent import Agent
from pipeline.checked_table import nearest
from pipeline.provider import LanguageModel, ProviderError, Transcriber, Voice

Factory = TypeVar("Factory")

_LOCAL: Final = "pip install 'switchboard-voice[local]'"

_MISSING: Final = {"pocketsphinx": _LOCAL, "espeakng_loader": _LOCAL}
"""What to do if a library is not installed."""


def _pocketsphinx(agent: Agent, decoders: int) -> Transcriber:
    module = _load("pocketsphinx", "pipeline.providers.pocketsphinx")
    return cast(Transcriber, module.PocketsphinxTranscriber(agent.phrases, decoders=decoders))


def _stub_transcriber(agent: Agent, decoders: int) -> Transcriber:
    return cast(Transcriber, _load("stub", "pipeline.providers.stub").StubTranscriber())


def _scripted(agent: Agent) -> LanguageModel:
    if agent.dialogue is None:
        raise ProviderError("scripted", f"agent {agent.name!r} has no [dialogue] to speak by", retryable=False)
    return cast(LanguageModel, _load("scripted", "pipeline.providers.scripted").ScriptedModel(agent.dialogue))


def _stub_model(agent: Agent) -> LanguageModel:
    return cast(LanguageModel, _load("stub", "pipeline.providers.stub").StubModel())


def _espeak() -> Voice:
    return cast(Voice, _load("espeak", "pipeline.providers.espeak").EspeakVoice())


def _stub_voice() -> Voice:
    return cast(Voice, _load("stub", "pipeline.providers.stub").StubVoice())


TRANSCRIBERS: Final[Mapping[str, Callable[[Agent, int], Transcriber]]] = {
    "pocketsphinx": _pocketsphinx,
    "stub": _stub_transcriber,
}
LANGUAGE_MODELS: Final[Mapping[str, Callable[[Agent], LanguageModel]]] = {
    "scripted": _scripted,
    "stub": _stub_model,
}
VOICES: Final[Mapping[str, Callable[[], Voice]]] = {"espeak": _espeak, "stub": _stub_voice}


def transcriber(name: str, agent: Agent, *, decoders: int = 1) -> Transcriber:
    """A new one for `agent`, shared by all its calls; `decoders` utterances at once where that costs memory.

    Raises `ProviderError` for an unknown name or a library that is not installed, as do the other two.
    """
    return _known("speech-to-text", TRANSCRIBERS, name)(agent, decoders)


def language_model(name: str, agent: Agent) -> LanguageModel:
    return _known("language model", LANGUAGE_MODELS, name)(agent)


def voice(name: str) -> Voice:
    return _known("text-to-speech", VOICES, name)()


def _known(kind: str, table: Mapping[str, Factory], name: str) -> Factory:
    if name not in table:
        raise ProviderError(name, f"no such {kind} provider{nearest(name, table)}", retryable=False)
    return table[name]


def _load(provider: str, module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in _MISSING:
            raise
        message = f"needs the package {error.name}; {_MISSING[error.name]}"
        raise ProviderError(provider, message, retryable=False) from error
