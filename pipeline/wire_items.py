"""Items of the conversation between their JSON and the session's own types (Realtime reference, section B.3).

In: roles and the parts they may hold, with the refusals the reference names. Out: no nulls but a caller's unknown
`transcript`, and no sound but in `conversation.item.retrieved`; the beta dialect has its own names for what the
assistant said.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import msgspec
from msgspec import UNSET

from pipeline import wire_fields as read
from pipeline.dialects import Dialect
from pipeline.events.items import (
    AnyItem,
    ContentPart,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    ItemStatus,
    Message,
    OutputAudio,
    OutputText,
)
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.wire_fields import Fields
from pipeline.wire_mcp_items import MCP_ITEM_TYPES, mcp_item_of

WireItem: TypeAlias = AnyItem | dict[str, Any]
"""What the JSON encoder is given for an item."""

ITEM_TYPES = ("message", "function_call", "function_call_output")

PARTS: dict[str, tuple[str, ...]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
}
"""Which parts a message of each role may hold."""

ALIASES = {"text": "output_text", "audio": "output_audio"}
"""The beta dialect's names for what the assistant said, understood in all."""

_BETA_NAMES = {of: beta for beta, of in ALIASES.items()}

STATUSES = ("in_progress", "completed", "incomplete")
HEAVY_BYTES = 960 * 1024
"""Of sound and pictures as text: the rest of a frame of 1 MiB is for words (Realtime reference, section A.1)."""

IMAGE_HEADS = ("data:image/png;base64,", "data:image/jpeg;base64,")


def item_of(value: object, path: str, dialect: Dialect, limits: Limits, *, serves_mcp: bool = False) -> AnyItem:
    """The item a client wants created; its `id` is empty if the client named none. Raises `BadEvent`.

    `path` is where it stands in the event: `item`, or `response.input[2]`. Beta has no items of MCP servers.
    """
    if not isinstance(value, dict):
        raise read.invalid(value, path, "Expected an object")
    kind = value.get("type")
    if kind is None:
        raise read.missing(f"{path}.type")
    item_id = read.optional_text(value, "id", path, most_chars=limits.item_id_chars) or ""
    status = cast(ItemStatus, read.choice(value, "status", path, STATUSES) or "completed")
    match kind:
        case "message":
            return _message(value, path, item_id, status, dialect, limits)
        case "function_call":
            return FunctionCall(
                id=item_id,
                call_id=read.optional_text(value, "call_id", path, most_chars=limits.item_id_chars) or "",
                name=read.text(value, "name", path),
                arguments=read.text(value, "arguments", path),
                status=status,
            )
        case "function_call_output":
            return FunctionCallOutput(
                id=item_id,
                call_id=read.text(value, "call_id", path, most_chars=limits.item_id_chars),
                output=read.text(value, "output", path),
                status=status,
            )
        case _ if serves_mcp and dialect is not Dialect.BETA:
            if kind not in MCP_ITEM_TYPES:
                raise read.unsupported(kind, f"{path}.type", ITEM_TYPES + MCP_ITEM_TYPES)
            return mcp_item_of(value, path, kind, item_id, limits)
        case _:
            raise read.unsupported(kind, f"{path}.type", ITEM_TYPES)


def item_or_reference_of(
    value: object, path: str, dialect: Dialect, limits: Limits, *, serves_mcp: bool = False
) -> AnyItem | ItemReference:
    """One entry of `response.input`."""
    if isinstance(value, dict) and value.get("type") == "item_reference":
        return ItemReference(id=read.text(value, "id", path))
    return item_of(value, path, dialect, limits, serves_mcp=serves_mcp)


def _message(
    value: Fields, path: str, item_id: str, status: ItemStatus, dialect: Dialect, limits: Limits
) -> Message:
    role = read.choice(value, "role", path, tuple(PARTS))
    if role is None:
        raise read.missing(f"{path}.role")
    content = value.get("content")
    if content is None:
        raise read.missing(f"{path}.content")
    if isinstance(content, str):
        content = [{"type": PARTS[role][0], "text": content}]
    if not isinstance(content, list):
        raise read.invalid(content, f"{path}.content", "Expected a list of content parts")
    parts = tuple(
        _part(part, f"{path}.content[{index}]", role, dialect, limits) for index, part in enumerate(content)
    )
    return Message(id=item_id, role=cast(Any, role), content=parts, status=status)


def _part(value: object, path: str, role: str, dialect: Dialect, limits: Limits) -> ContentPart:
    if not isinstance(value, dict):
        raise read.invalid(value, path, "Expected an object")
    kind = value.get("type")
    if kind is None:
        raise read.missing(f"{path}.type")
    # The beta dialect has no images.
    allowed = tuple(name for name in PARTS[role] if dialect is not Dialect.BETA or name != "input_image")
    name = ALIASES.get(kind, kind) if isinstance(kind, str) else kind
    if name not in allowed:
        raise read.unsupported(kind, f"{path}.type", allowed)
    match name:
        case "input_text":
            return InputText(text=read.text(value, "text", path))
        case "output_text":
            return OutputText(text=read.text(value, "text", path))
        case "input_audio":
            audio = read.optional_audio(value, "audio", path, most_bytes=limits.append_bytes)
            transcript = read.optional_text(value, "transcript", path)
            return InputAudio(transcript=transcript, audio=UNSET if audio is None else audio)
        case "input_image":
            return _image(value, path, limits)
        case _:
            return _spoken(value, path)


def _image(value: Fields, path: str, limits: Limits) -> InputImage:
    image_url = read.text(value, "image_url", path)
    head = next((head for head in IMAGE_HEADS if image_url.startswith(head)), None)
    if head is None:
        expected = "Expected a data URI: " + " or ".join(f"'{head}…'" for head in IMAGE_HEADS)
        raise read.invalid(image_url, f"{path}.image_url", expected)
    encoded = read.slices_of(image_url.removeprefix(head).encode())
    read.decoded(encoded, f"{path}.image_url", most_bytes=limits.conversation_bytes)
    detail = read.choice(value, "detail", path, ("auto", "low", "high"))
    return InputImage(image_url=image_url, detail=cast(Any, detail or "auto"))


def _spoken(value: Fields, path: str) -> OutputAudio:
    """What an assistant said before, by its words alone: its sound is only ever made by us."""
    if value.get("audio") is not None:
        text = "Invalid value: cannot populate assistant audio messages. Send the words as 'output_text'."
        raise BadEvent("invalid_value", text, f"{path}.audio")
    transcript = read.optional_text(value, "transcript", path)
    return OutputAudio(transcript=UNSET if transcript is None else transcript)


def shown_item(item: AnyItem, dialect: Dialect) -> WireItem:
    """The item as every event but `retrieved` shows it: no sound."""
    bare = _without_audio(item)
    if dialect is Dialect.BETA or (isinstance(bare, FunctionCall) and not bare.call_id):
        return _spelled(msgspec.to_builtins(bare), dialect)
    return bare  # as it is: the encoder is quicker with it than with a dictionary


def retrieved_item(item: AnyItem, dialect: Dialect, *, input_name: str, output_name: str) -> WireItem:
    """The item with its sound, each part's `format` beside it by its short name (`pcm16`)."""
    shown: dict[str, Any] = msgspec.to_builtins(item)
    for part in shown.get("content", ()):
        if "audio" in part:
            part["format"] = input_name if part["type"] == "input_audio" else output_name
    return _spelled(shown, dialect)


def is_heavy(item: AnyItem, *, with_audio: bool) -> bool:
    """Whether the item's pictures, and its sound if it is to be told, fit into no frame that stock clients take."""
    if not isinstance(item, Message):
        return False
    pictures = sum(len(image.image_url) for image in item.images)
    spoken = [part.audio for part in item.content if isinstance(part, InputAudio | OutputAudio)]
    sound = sum(len(audio) for audio in spoken if with_audio and isinstance(audio, bytes))
    return pictures + sound * 4 // 3 > HEAVY_BYTES


def light_item(item: AnyItem, dialect: Dialect) -> WireItem:
    """The item without sound and without pictures, for where they do not fit into one frame."""
    shown: dict[str, Any] = msgspec.to_builtins(shown_item(item, dialect))
    for part in shown.get("content", ()):
        part.pop("image_url", None)
    return shown


def _without_audio(item: AnyItem) -> AnyItem:
    if not isinstance(item, Message) or all(getattr(part, "audio", UNSET) is UNSET for part in item.content):
        return item
    parts = tuple(
        msgspec.structs.replace(part, audio=UNSET) if isinstance(part, InputAudio | OutputAudio) else part
        for part in item.content
    )
    return msgspec.structs.replace(item, content=parts)


def _spelled(item: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    if item.get("call_id") == "":
        del item["call_id"]  # a client's own call of long ago, told without one
    if dialect is Dialect.BETA and "content" in item:
        item["content"] = [
            {**part, "type": _BETA_NAMES.get(part["type"], part["type"])}
            for part in item["content"]
            if part["type"] != "input_image"
        ]
    return item
