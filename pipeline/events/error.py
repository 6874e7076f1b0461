"""The `error` event: what a peer did that could not be done. It never ends a session."""

from __future__ import annotations

import msgspec


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None
    """The `event_id` of the client's event that is at fault, if it had one."""


class ErrorEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    event_id: str
    error: ErrorDetail
