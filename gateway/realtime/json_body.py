"""A JSON body: read as far as it deserves it, and its fields asked for by name.

What is cheap comes first: content type and declared length, before a byte is read; then the body, bounded in size
and time. Says nothing about what the fields mean.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request

from gateway.body import read_body
from gateway.errors import JsonRefused
from twiml.errors import shorten

LONGEST_BODY_BYTES: Final = 256 * 1024
"""A session object with 128 tools fits in."""

BODY_DEADLINE_S: Final = 5.0
"""Who takes longer holds a connection open on purpose."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """An object, and what it weighed on the wire."""

    fields: dict[str, Any]
    size_bytes: int

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Raises `JsonRefused` for a field there is none of."""
        for name in self.fields:
            if name not in known:
                raise JsonRefused(400, "unknown_parameter", f"Unknown parameter: '{_shown(name)}'.", _shown(name))

    def text(self, name: str, default: str = "", *, longest: int = 256) -> str:
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > longest:
            raise refused(name, value, f"a text of at most {longest} characters")
        return value

    def flag(self, name: str) -> bool:
        value = self.fields.get(name, False)
        if not isinstance(value, bool):
            raise refused(name, value, "true or false")
        return value


async def read_json(
    request: Request,
    *,
    may_be_empty: bool = False,
    most_bytes: int = LONGEST_BODY_BYTES,
    deadline_s: float = BODY_DEADLINE_S,
) -> JsonBody:
    """The object in a request's body. Raises `JsonRefused`."""
    _check_type(request)
    raw = await read_body(request, JsonRefused, most_bytes=most_bytes, deadline_s=deadline_s)
    if may_be_empty and not raw.strip():
        return JsonBody({}, len(raw))
    try:
        fields = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonRefused(400, "invalid_json", f"The body is no JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise JsonRefused(400, "invalid_json", f"The body: expected a JSON object, got {_shown(fields)}.")
    return JsonBody(fields, len(raw))


def refused(name: str, value: object, expected: str) -> JsonRefused:
    """A value that will not do."""
    return JsonRefused(
        400, "invalid_value", f"Invalid value: '{name}': expected {expected}, got {_shown(value)}.", name
    )


def _shown(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:  # what can just be read may nest too deep to be written
        text = type(value).__name__
    return shorten(text).strip("'\"")


def _check_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind != "application/json":
        raise JsonRefused(415, "not_json", f"Content-Type: expected application/json, got {shorten(content_type)}.")
