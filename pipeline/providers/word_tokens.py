"""Usage and limits of models that have no tokens: a word is one.

What stands between white space is a word. The models beside this file send their answers through `metered`, so
that they keep to `Prompt.max_output_tokens` and say what they used as a real one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from pipeline.events.items import FunctionCall, FunctionCallOutput, Item, Message
from pipeline.provider import CutOff, ModelOutput, Prompt, TextDelta, TokensUsed, ToolRequest


def metered(prompt: Prompt, answer: Iterable[TextDelta | ToolRequest]) -> Iterator[ModelOutput]:
    """`answer` as far as the prompt's limit allows, `CutOff` if that is not all of it, and what was used.

    An output that does not fit whole is left out, a request for a tool as well as a piece of text.
    """
    used = 0
    for output in answer:
        words = _words_of_output(output)
        if prompt.max_output_tokens is not None and used + words > prompt.max_output_tokens:
            yield CutOff("max_output_tokens")
            break
        used += words
        yield output
    yield TokensUsed(words_of_prompt(prompt), used)


def words_of_prompt(prompt: Prompt) -> int:
    """Words of the instructions, of the items, and of the tools' names and descriptions."""
    texts = [prompt.instructions, *map(_text_of, prompt.items)]
    texts += [f"{tool.name} {tool.description}" for tool in prompt.tools]
    return sum(len(text.split()) for text in texts)


def _words_of_output(output: TextDelta | ToolRequest) -> int:
    match output:
        case TextDelta(text=text):
            return len(text.split())
        case ToolRequest(name=name, arguments=arguments):
            return len(f"{name} {arguments}".split())
        case _:
            assert_never(output)


def _text_of(item: Item) -> str:
    match item:
        case Message():
            return item.text
        case FunctionCall(name=name, arguments=arguments):
            return f"{name} {arguments}"
        case FunctionCallOutput(output=output):
            return output
        case _:
            assert_never(item)
