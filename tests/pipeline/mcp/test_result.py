from __future__ import annotations

from typing import Any

import pytest
from mcp_types import CallToolResult

from pipeline.mcp.result import MOST_BYTES, bounded, text_of

TEXT = {"type": "text", "text": "hello"}
IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
SOUND = {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}
LINK = {"type": "resource_link", "name": "more", "uri": "https://example.com/"}
PAGE = {"type": "resource", "resource": {"uri": "file:///a", "text": "page"}}
BLOB = {"type": "resource", "resource": {"uri": "file:///a", "blob": "aGk=", "mimeType": "application/pdf"}}
BARE = {"type": "resource", "resource": {"uri": "file:///a", "blob": "aGk="}}


@pytest.mark.parametrize(
    ("content", "structured", "text"),
    [
        ([TEXT, TEXT], None, "hello\nhello"),
        ([TEXT], {"a": 1}, "hello"),
        ([], {"a": "ü"}, '{"a": "ü"}'),
        ([IMAGE], {"a": 1}, '{"a": 1}\n[image/png, which is not shown here]'),
        ([SOUND, LINK], None, "[audio/wav, which is not shown here]\n[see more: https://example.com/]"),
        ([PAGE, BLOB], None, "page\n[application/pdf, which is not shown here]"),
        ([BARE], None, "[a file, which is not shown here]"),
        ([], None, ""),
    ],
)
def test_a_result_is_text_for_a_model(content: list[Any], structured: Any, text: str) -> None:
    result = CallToolResult.model_validate({"content": content, "structuredContent": structured})
    assert text_of(result) == text


def test_a_long_result_is_cut_between_letters_and_says_so() -> None:
    whole = "ä" * MOST_BYTES
    cut = bounded(whole)
    assert len(cut.encode()) <= MOST_BYTES
    assert cut.startswith("ää") and cut.endswith(f"[cut: this is the beginning of {2 * MOST_BYTES} bytes]")
    assert bounded("ä" * (MOST_BYTES // 2)) == "ä" * (MOST_BYTES // 2)


def test_half_a_letter_does_not_break_what_comes_after() -> None:
    assert bounded("a\ud800b") == "a?b"
