"""Options of one source, checked: the keys of its table in the agent's file. Pure.

    [providers.groq]
    wire = "openai"                            # these two make the `Source` and are not options
    base_url = "https://api.groq.com/openai/v1"
    images = true                              # the model takes pictures; OpenAI's do
    max_tokens_field = "max_tokens"            # or max_completion_tokens, as OpenAI has it
    temperature = 0.6                          # 0 to 2, where a session says nothing
    reasoning_effort = "none"                  # as the server spells it
    usage = true                               # ask for the tokens used, which some servers refuse
    body = { top_k = 40 }                      # whatever else the server's chat understands
    transcript_stream = false                  # words of a transcript one after another
    transcript_prompt = "Acme, Zürich"         # words to expect
    voice = "af_heart"                         # the usual one
    voices = ["af_heart", "am_adam"]           # all there are; a client that asks for another gets the usual one
    voice_instructions = "Speak calmly."       # how to speak, for voices that take instructions

One table serves all kinds of provider its server can be, so each kind knows the options of the others.
An option that was not given is `None`, so that what a server takes by itself stays its own to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from pipeline.provider import ProviderError
from pipeline.providers.source import Source

KNOWN: Final = (
    "images",
    "max_tokens_field",
    "temperature",
    "reasoning_effort",
    "usage",
    "body",
    "transcript_stream",
    "transcript_prompt",
    "voice",
    "voices",
    "voice_instructions",
)


class Options:
    """Reads options by name and kind. One that nobody knows is refused at once."""

    def __init__(self, source: Source) -> None:
        source.no_options(*KNOWN)
        self._source = source

    def flag(self, name: str) -> bool | None:
        value = self._source.options.get(name)
        return value if isinstance(value, bool) or value is None else self._refuse(name, "true or false")

    def text(self, name: str) -> str | None:
        value = self._source.options.get(name)
        return value if isinstance(value, str) or value is None else self._refuse(name, "a text")

    def choice(self, name: str, *allowed: str) -> str | None:
        value = self._source.options.get(name)
        return value if value in (*allowed, None) else self._refuse(name, f"one of {', '.join(allowed)}")

    def number(self, name: str, least: float, most: float) -> float | None:
        value = self._source.options.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return value
        return self._refuse(name, f"{least:g} to {most:g}")

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self._source.options.get(name)
        if value is None:
            return None
        is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        return tuple(value) if is_list else self._refuse(name, "a list of texts")

    def table(self, name: str) -> Mapping[str, Any] | None:
        value = self._source.options.get(name)
        return value if isinstance(value, Mapping) or value is None else self._refuse(name, "a table")

    def _refuse(self, name: str, expected: str) -> NoReturn:
        message = f"option {name!r}: expected {expected}, got {self._source.options[name]!r}"
        raise ProviderError(self._source.label, message, retryable=False)
