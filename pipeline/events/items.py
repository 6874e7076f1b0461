"""Items of a conversation, in the Realtime protocol's GA spelling.

A field that has no value is left out of the wire, because strict clients drop an item that carries a null;
the exceptions the protocol makes are `transcript` of a user's `input_audio` part and `output` of an `mcp_call`,
which are always there. Sound is only in what a client creates, and in what it retrieves.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from pipeline.mcp.tool import FailureKind

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class InputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    text: str


class InputAudio(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    transcript: str | None
    """What was said, once it has been transcribed."""
    audio: bytes | UnsetType = UNSET


class InputImage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    image_url: str
    """A data URI, PNG or JPEG."""
    detail: Literal["auto", "low", "high"] = "auto"


class OutputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    text: str


class OutputAudio(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio"):
    transcript: str | UnsetType = UNSET
    """What was said; after an interruption, what of it was heard."""
    audio: bytes | UnsetType = UNSET


ContentPart: TypeAlias = InputText | InputAudio | InputImage | OutputText | OutputAudio


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    id: str
    role: Literal["system", "user", "assistant"]
    content: tuple[ContentPart, ...]
    status: ItemStatus = "completed"
    object: Literal["realtime.item"] = "realtime.item"

    @property
    def text(self) -> str:
        """All words of the item, in order, whatever they arrived as."""
        return " ".join(words for part in self.content if (words := words_of(part)))

    @property
    def images(self) -> tuple[InputImage, ...]:
        return tuple(part for part in self.content if isinstance(part, InputImage))


def words_of(part: ContentPart) -> str:
    """The words of one part; empty if it has none, or none yet."""
    match part:
        case InputText(text=text) | OutputText(text=text):
            return text
        case InputAudio(transcript=transcript) | OutputAudio(transcript=transcript):
            return transcript or ""
        case InputImage():
            return ""


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
"""What a model can be told."""


class ListedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of an MCP server, as its listing shows it."""

    name: str
    description: str
    """Empty if there is none: strict clients want a string."""
    input_schema: dict[str, Any]
    annotations: dict[str, Any] | UnsetType = UNSET


class McpListTools(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_list_tools"):
    id: str
    server_label: str
    tools: tuple[ListedTool, ...] = ()
    object: Literal["realtime.item"] = "realtime.item"


class McpError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call has no output."""

    type: FailureKind
    message: str
    code: int | UnsetType = UNSET
    """All kinds but `tool_execution_error` have one."""


class McpCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_call"):
    id: str
    server_label: str
    name: str
    arguments: str
    """A JSON object, as text."""
    output: str | None = None
    approval_request_id: str | UnsetType = UNSET
    error: McpError | UnsetType = UNSET
    object: Literal["realtime.item"] = "realtime.item"


class McpApprovalRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_request"):
    id: str
    server_label: str
    name: str
    arguments: str
    object: Literal["realtime.item"] = "realtime.item"


class McpApprovalResponse(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_response"):
    id: str
    approval_request_id: str
    approve: bool
    reason: str | UnsetType = UNSET
    object: Literal["realtime.item"] = "realtime.item"


McpItem: TypeAlias = McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse
"""What the peer is told of MCP servers; a model is told of calls in another form (`prompts.py`)."""

AnyItem: TypeAlias = Item | McpItem
"""What may stand in a conversation."""


class ItemReference(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="item_reference"):
    """In the input of a response: an item of the conversation, by its id."""

    id: str
