"""Inworld's router to language models, which speaks as OpenAI's chat completions do
(https://docs.inworld.ai/router/openai-compatibility).

A model is called `vendor/model`; a name without a vendor is a router of one's own workspace, `auto` leaves the
choice to Inworld. Importing this needs the `openai` package.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pipeline.provider import LanguageModel
from pipeline.providers.inworld.connection import OPTIONS, SPEECH_OPTIONS, authorization, http_address
from pipeline.providers.openai.chat import ChatModel
from pipeline.providers.source import Source

PATH: Final = "/v1"

OWN: Final = "inworld/"

AUTO: Final = "auto"

DEFAULT_MODEL: Final = "google-ai-studio/gemini-2.5-flash"
"""Quick, and what Inworld's own Realtime sessions think with unless told otherwise (Realtime reference,
section G.1)."""


def router(source: Source) -> LanguageModel:
    """Raises `ProviderError` without a key, for an option it does not know, or a base URL that is none."""
    source.no_options(*OPTIONS)
    model = source.model or DEFAULT_MODEL
    options = {name: value for name, value in source.options.items() if name not in SPEECH_OPTIONS}
    return ChatModel(
        replace(
            source,
            model=model if "/" in model or model == AUTO else OWN + model,
            api_key=authorization(source).partition(" ")[2],  # the SDK says Bearer, which the router takes for both
            base_url=http_address(source) + PATH,
            options=options,
        )
    )
