"""Items of a conversation, in the Realtime protocol's GA spelling.

A field that has no value is left out of the wire, because strict clients drop an item that carries a null;
the one exception the protocol makes is `transcript` of a user's `input_audio` part, which is always there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class InputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    text: str


class InputAudio(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    transcript: str | None
    """What was said, once it has been transcribed."""


class OutputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    text: str


class OutputAudio(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio"):
    transcript: str
    """What was said; after an interruption, what of it was heard."""


ContentPart: TypeAlias = InputText | InputAudio | OutputText | OutputAudio


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    id: str
    role: Literal["system", "user", "assistant"]
    content: tuple[ContentPart, ...]
    status: ItemStatus = "completed"
    object: Literal["realtime.item"] = "realtime.item"

    @property
    def text(self) -> str:
        """All words of the item, in order, whatever they arrived as."""
        words = (p.text if isinstance(p, InputText | OutputText) else p.transcript for p in self.content)
        return " ".join(w for w in words if w)


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    id: str
    call_id: str
    name: str
    arguments: str
    """A JSON object, as text."""
    status: ItemStatus = "completed"
    object: Literal["realtime.item"] = "realtime.item"


class FunctionCallOutput(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"):
    id: str
    call_id: str
    output: str
    status: ItemStatus = "completed"
    object: Literal["realtime.item"] = "realtime.item"


Item: TypeAlias = Message | FunctionCall | FunctionCallOutput
