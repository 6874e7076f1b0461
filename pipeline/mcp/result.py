"""What a tool gave back, as text for a model: joined, bounded, and without what only eyes could use."""

from __future__ import annotations

import json

from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

MOST_BYTES = 64 * 1024
"""Of UTF-8. A model that must read more before it speaks keeps the caller waiting."""


def text_of(result: CallToolResult) -> str:
    """The text of all blocks; if there is none, the structured content as JSON; else notes of what came."""
    parts = [_block_text(block) for block in result.content]
    has_text = any(isinstance(block, TextContent | EmbeddedResource) for block in result.content)
    if result.structured_content is not None and not has_text:
        parts.insert(0, json.dumps(result.structured_content, ensure_ascii=False))
    return bounded("\n".join(parts))


def bounded(text: str) -> str:
    """At most `MOST_BYTES`, with a note if something is missing."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= MOST_BYTES:
        return encoded.decode()
    note = f"\n[cut: this is the beginning of {len(encoded)} bytes]"
    return encoded[: MOST_BYTES - len(note)].decode(errors="ignore") + note


def _block_text(block: ContentBlock) -> str:
    match block:
        case TextContent(text=text):
            return text
        case ImageContent(mime_type=kind) | AudioContent(mime_type=kind):
            return f"[{kind}, which is not shown here]"
        case EmbeddedResource(resource=TextResourceContents(text=text)):
            return text
        case EmbeddedResource(resource=resource):
            return f"[{resource.mime_type or 'a file'}, which is not shown here]"
        case link:
            return f"[see {link.name}: {link.uri}]"
