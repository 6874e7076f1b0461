"""A language model without intelligence: a dialogue written down beforehand, for demonstrations and tests.

It compares the caller's last words with patterns, in the order of the file, and answers with the first topic that
fits. It keeps nothing between two answers: all it goes by is the conversation, so it can take one over anywhere.
What a dialogue file holds is told in `dialogue.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

from pipeline.events.items import FunctionCall, FunctionCallOutput, Item, Message
from pipeline.provider import ModelOutput, Prompt, ProviderError, TextDelta, ToolRequest
from pipeline.providers.dialogue import Dialogue, FollowUp, Topic, fill
from pipeline.providers.source import Source
from pipeline.providers.spoken_numbers import normalise
from pipeline.providers.word_tokens import metered

NAME: Final = "scripted"

_WORD_AND_SPACE_BEFORE: Final = re.compile(r"\s*\S+")


class ScriptedModel:
    """The `LanguageModel` of this file. `instructions`, `temperature` and `tool_choice` mean nothing to it.

    It calls a tool where its dialogue says so and nowhere else, required or not. A word is a token.
    """

    name = NAME
    takes_images = False

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        """See `LanguageModel`; a word at a time. Raises `ProviderError` if it needs a tool that is not offered."""
        for output in metered(prompt, self._answer(prompt)):
            yield output

    def _answer(self, prompt: Prompt) -> Iterator[TextDelta | ToolRequest]:
        last = _last_said(prompt.items)
        if isinstance(last, FunctionCallOutput):
            yield from _words(self._follow_up(prompt.items, last))
        elif last is None:
            yield from _words(self._dialogue.opening)
        else:
            yield from self._reply(prompt, last)

    def _reply(self, prompt: Prompt, last: Message) -> Iterator[TextDelta | ToolRequest]:
        said = normalise(last.text)
        for topic in self._dialogue.topics:
            if (slots := topic.match(said)) is not None:
                yield from _words(fill(topic.say, slots))
                if topic.tool:
                    yield _request(topic, slots, prompt, last)
                return
        turns = sum(isinstance(item, Message) and item.role == "user" for item in prompt.items)
        fallback = self._dialogue.fallback
        yield from _words(fallback[(turns - 1) % len(fallback)])

    def _follow_up(self, items: tuple[Item, ...], output: FunctionCallOutput) -> str:
        call = next((i for i in items if isinstance(i, FunctionCall) and i.call_id == output.call_id), None)
        if call is None:
            return self._dialogue.fallback[0]
        result = _object(output.output)
        follow_up = next((f for f in self._dialogue.results if _fits(f, call.name, result)), None)
        if follow_up is None:
            return ""
        slots = {f"result.{k}": str(v) for k, v in result.items()}
        slots |= {f"arguments.{k}": str(v) for k, v in _object(call.arguments).items()}
        return fill(follow_up.say, slots)


def _last_said(items: tuple[Item, ...]) -> Message | FunctionCallOutput | None:
    """What is to be answered: the last words of the caller or the last result of a tool, whichever came later."""
    for item in reversed(items):
        if isinstance(item, FunctionCallOutput) or (isinstance(item, Message) and item.role == "user"):
            return item
    return None


def _words(text: str) -> Iterator[TextDelta]:
    return (TextDelta(word) for word in _WORD_AND_SPACE_BEFORE.findall(text))


def _request(topic: Topic, slots: Mapping[str, str], prompt: Prompt, last: Message) -> ToolRequest:
    if all(tool.name != topic.tool for tool in prompt.tools):
        message = f"topic {topic.name!r} calls the tool {topic.tool!r}, which this session does not offer"
        raise ProviderError(NAME, message, retryable=False)
    arguments = {name: fill(value, slots) for name, value in topic.arguments.items()}
    # One request per message at most, so the message's own id makes this one unique in the conversation.
    return ToolRequest(f"call_{last.id}", topic.tool, json.dumps(arguments))


def _fits(follow_up: FollowUp, tool: str, result: Mapping[str, Any]) -> bool:
    return follow_up.tool == tool and all(result.get(k) == v for k, v in follow_up.when.items())


def _object(text: str) -> dict[str, Any]:
    """The JSON object in `text`, or an empty one: a tool may have answered in plain words."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def language_model(source: Source) -> ScriptedModel:
    """For the registry. Raises `ProviderError` for an agent without a dialogue."""
    agent = source.agent
    if agent.dialogue is None:
        raise ProviderError(NAME, f"agent {agent.name!r} has no [dialogue] to speak by", retryable=False)
    return ScriptedModel(agent.dialogue)
