"""Asking a language model for a word or two beside the conversation.

The caller of this bounds the time. What it costs is in nobody's answer; what it says joins no conversation.
"""

from __future__ import annotations

from contextlib import aclosing

from pipeline.events.items import InputText, Item, Message
from pipeline.provider import LanguageModel, Prompt, TextDelta

MOST_CHARS = 400
"""A model that was asked for a phrase and writes on is cut off."""


async def ask(model: LanguageModel, prompt: Prompt) -> str:
    """What it answers, without blanks around it. Raises `ProviderError`."""
    words = ""
    async with aclosing(model.respond(prompt)) as outputs:
        async for output in outputs:
            if isinstance(output, TextDelta):
                words += output.text
            if len(words) > MOST_CHARS:
                break
    return words[:MOST_CHARS].strip()


def tail_of(items: tuple[Item, ...], count: int) -> tuple[Item, ...]:
    """The last messages that have words: calls of functions are of no use to who says "mm-hm"."""
    messages = [item for item in items if isinstance(item, Message) and item.text]
    return tuple(messages[len(messages) - min(count, len(messages)) :])


def spoken(words: str) -> Message:
    """What the caller is saying, as a message of theirs."""
    return Message(id="now", role="user", content=(InputText(text=words),))
