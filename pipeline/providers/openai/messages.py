"""A prompt as chat messages (https://platform.openai.com/docs/api-reference/chat/create). Pure.

Servers refuse a conversation in which a call for a function is not followed at once by what each function returned.
A spoken conversation does not always go like that: results come late, or the caller speaks first. So results stand
here behind their calls, whatever was said in between, and a call without one is told to be unfinished.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from pipeline.events.items import ContentPart, FunctionCall, FunctionCallOutput, InputImage, Message, words_of
from pipeline.provider import FunctionTool, Prompt

NOT_FINISHED: Final = "This function has not finished yet."
"""Instead of what a function returned, while it has not."""

Json: TypeAlias = dict[str, Any]


def messages_of(prompt: Prompt, *, takes_images: bool) -> list[Json]:
    messages: list[Json] = []
    if prompt.instructions or not prompt.items:  # no server answers to no message at all
        messages.append({"role": "system", "content": prompt.instructions})
    outputs = {item.call_id: item.output for item in prompt.items if isinstance(item, FunctionCallOutput)}
    called: set[str] = set()
    calls: list[FunctionCall] = []
    for item in prompt.items:
        if isinstance(item, FunctionCall):
            calls.append(item)
            called.add(item.call_id)
            continue
        messages += _calling(calls, outputs, messages)
        calls = []
        messages += _saying(item, called, takes_images)
    messages += _calling(calls, outputs, messages)
    return messages


def tools_of(tools: tuple[FunctionTool, ...]) -> list[Json]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def is_object(text: str) -> bool:
    """`text` is a whole JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _calling(calls: list[FunctionCall], outputs: dict[str, str], before: list[Json]) -> Iterator[Json]:
    """Calls that were made at once, and what came of them. Takes back an assistant's message they belong to."""
    if not calls:
        return
    said = before.pop()["content"] if before and _is_plain_answer(before[-1]) else None
    tool_calls = [
        {
            "id": call.call_id,
            "type": "function",
            # Some servers read the arguments again, and fail on what is no JSON.
            "function": {"name": call.name, "arguments": call.arguments if is_object(call.arguments) else "{}"},
        }
        for call in calls
    ]
    yield {"role": "assistant", "content": said, "tool_calls": tool_calls}
    for call in calls:
        yield {"role": "tool", "tool_call_id": call.call_id, "content": outputs.get(call.call_id, NOT_FINISHED)}


def _is_plain_answer(message: Json) -> bool:
    """Some models' templates refuse two messages of the assistant's in a row, and so they become one."""
    return message["role"] == "assistant" and "tool_calls" not in message


def _saying(item: Message | FunctionCallOutput, called: set[str], takes_images: bool) -> Iterator[Json]:
    if isinstance(item, FunctionCallOutput):
        if item.call_id not in called:  # its call is no longer in the conversation
            yield {"role": "user", "content": f"(A function called earlier returned: {item.output})"}
    elif item.role == "user" and item.images and takes_images:
        yield {"role": "user", "content": [part for part in map(_part_of, item.content) if part]}
    elif item.text:
        yield {"role": item.role, "content": item.text}


def _part_of(part: ContentPart) -> Json | None:
    if isinstance(part, InputImage):
        return {"type": "image_url", "image_url": {"url": part.image_url, "detail": part.detail}}
    words = words_of(part)
    return {"type": "text", "text": words} if words else None
