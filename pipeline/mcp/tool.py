"""What a Model Context Protocol server offers and how it fails, as the rest of the house sees it.

Pure: the session reads these; that there is an SDK and a network behind them is `client.py`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

FailureKind: TypeAlias = Literal["protocol_error", "tool_execution_error", "http_error"]
"""The names of the Realtime reference, section D.6."""


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool of one server, as it was defined when the session first saw it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    """JSON Schema of an object."""
    annotations: dict[str, Any] | None
    """The server's own hints in the protocol's spelling (`readOnlyHint`); they are its word, not a promise."""


class McpFailure(Exception):
    """A server could not be asked, or its tool failed. The message holds no secret and may be told to the peer."""

    def __init__(self, kind: FailureKind, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.code = code
        """A JSON-RPC error code with `protocol_error`; an HTTP status with `http_error`: the server's own, or what
        a gateway says in its place (403 may not be reached, 502 was not reached, 504 did not answer in time)."""
        self.message = message
