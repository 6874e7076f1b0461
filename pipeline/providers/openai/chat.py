"""A language model behind `POST /chat/completions`, streamed
(https://platform.openai.com/docs/api-reference/chat/create).

Without a model it is `DEFAULT_MODEL`. Options are in `options.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, cast

from pipeline.provider import ModelOutput, Prompt, TextDelta
from pipeline.providers.openai.answer import Answer
from pipeline.providers.openai.client import Client
from pipeline.providers.openai.event_stream import events_of
from pipeline.providers.openai.messages import messages_of, tools_of
from pipeline.providers.openai.options import Options
from pipeline.providers.source import Source

DEFAULT_MODEL: Final = "gpt-6-luna"
"""OpenAI's small and quick one, and its replacement for gpt-4o-mini and gpt-4.1-mini, which end in January 2027
(https://platform.openai.com/docs/deprecations)."""

_THINKS_FIRST: Final = "gpt-6"
"""Models of this family think before they speak unless told not to: the caller would hear silence, and functions
are refused in chat completions (https://platform.openai.com/docs/models)."""


class ChatModel:
    """The `LanguageModel` of this file."""

    def __init__(self, source: Source) -> None:
        options = Options(source)
        self._client = Client(source)
        self._model = source.model or DEFAULT_MODEL
        is_openai = self._client.is_openai
        images = options.flag("images")
        self.name = source.label
        self.takes_images = is_openai if images is None else images
        limit = options.choice("max_tokens_field", "max_completion_tokens", "max_tokens")
        # The older name is the only one that many compatible servers know; OpenAI's newer models refuse it.
        self._limit = limit or ("max_completion_tokens" if is_openai else "max_tokens")
        self._temperature = options.number("temperature", 0, 2)
        quick = "none" if is_openai and self._model.startswith(_THINKS_FIRST) else None
        self._effort = options.text("reasoning_effort") or quick
        self._wants_usage = options.flag("usage") is not False
        # Reached for now, because the SDK loads the module behind it when it is first reached for. Its own stream
        # is not used: it reads endless lines into memory and believes what it reads.
        self._create = self._client.sdk.chat.completions.with_streaming_response.create
        self._body = dict(options.table("body") or {})

    async def prepare(self) -> None:
        """See `Prepares`."""
        await self._client.prepare()

    async def aclose(self) -> None:
        """See `Closes`."""
        await self._client.aclose()

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """See `LanguageModel`. Functions are asked for when the answer is complete, never before."""
        answer = Answer(self.name)
        with self._client.errors():
            async with self._create(
                model=self._model,
                messages=cast(
                    Any, messages_of(prompt, takes_images=self.takes_images)
                ),  # plain JSON, not the SDK's
                stream=True,
                extra_body=self._asked_for(prompt),
            ) as response:
                async with aclosing(events_of(self._client, response)) as events:
                    async for data in events:
                        for words in answer.take(data):
                            yield TextDelta(words)
        for output in answer.outcome():
            yield output

    def _asked_for(self, prompt: Prompt) -> dict[str, Any]:
        """Everything else of the request; the options' `body` has the last word."""
        temperature = self._temperature if prompt.temperature is None else prompt.temperature
        asked = {
            "tools": tools_of(prompt.tools) or None,
            "tool_choice": prompt.tool_choice if prompt.tools else None,
            self._limit: prompt.max_output_tokens,
            "temperature": temperature,
            "reasoning_effort": self._effort,
            "stream_options": {"include_usage": True} if self._wants_usage else None,
        }
        return {name: value for name, value in asked.items() if value is not None} | self._body
