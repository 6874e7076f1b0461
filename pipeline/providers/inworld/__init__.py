"""Inworld: speech to text and text to speech, each over a WebSocket, and a router to many language models.

The key is the one Inworld issues, in base64 already. The router speaks as OpenAI does and needs the `openai`
package; the other two need nothing that is not here.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from pipeline.provider import LanguageModel, Transcriber, Voice
from pipeline.providers.inworld.stt import InworldTranscriber
from pipeline.providers.inworld.tts import InworldVoice
from pipeline.providers.source import Source

__all__ = ["language_model", "transcriber", "voice"]


def transcriber(source: Source) -> Transcriber:
    """Raises `ProviderError` without a key, for an option it does not know, or a base URL that is none, as do the
    other two."""
    return InworldTranscriber(source)


def language_model(source: Source) -> LanguageModel:
    # Loaded when asked for: whoever only speaks and listens need not have the library of the router.
    return cast(LanguageModel, import_module("pipeline.providers.inworld.router").router(source))


def voice(source: Source) -> Voice:
    return InworldVoice(source)
