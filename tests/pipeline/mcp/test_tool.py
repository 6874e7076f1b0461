from __future__ import annotations

from pipeline.mcp.tool import McpFailure


def test_a_failure_says_what_kind_it_is() -> None:
    failure = McpFailure("http_error", "It answered HTTP 500.", 500)
    assert (failure.kind, failure.code, failure.message) == ("http_error", 500, str(failure))
