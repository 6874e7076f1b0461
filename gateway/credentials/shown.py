"""What a request shows at the door: a credential's text, wherever the protocol's clients put it.

    Authorization: Bearer <API key | ek_… | JWT>         Authorization: Basic <base64 of id:secret>
    Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.<key>          ?token=<JWT or key>

(Realtime reference, section A.3.) The header counts before the subprotocol, that before the query. Judges nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

SUBPROTOCOL_PREFIX: Final = "openai-insecure-api-key."

_LONGEST_VALUE = 8192
"""Characters of a header or query. Twice the longest credential; what is longer is not even decoded."""

_MOST_QUERY_FIELDS = 100
_LEAST_CHARS_TO_QUOTE = 20
"""Of a shorter text, seven characters would tell too much."""


class Scheme(enum.Enum):
    """How it was shown."""

    BEARER = "bearer"
    BASIC = "basic"
    OTHER = "other"
    """A header of another scheme, or more than one header."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A credential's text."""

    scheme: Scheme
    text: str = field(repr=False)

    def quoted(self) -> str:
        """Its first three and last four characters, if so few give nothing away; else nothing."""
        is_plain = self.text.isascii() and self.text.isprintable()
        if len(self.text) < _LEAST_CHARS_TO_QUOTE or not is_plain:
            return ""
        return f"{self.text[:3]}…{self.text[-4:]}"


def what_is_shown(
    headers: Sequence[tuple[bytes, bytes]], query: str = "", subprotocols: Sequence[str] = ()
) -> Shown | None:
    """The credential of a request, None if it has none."""
    if any(len(value) > _LONGEST_VALUE for name, value in headers if name.lower() == b"authorization"):
        return Shown(Scheme.OTHER, "")
    values = header_values(headers, b"authorization")
    if len(values) > 1:
        return Shown(Scheme.OTHER, "")
    if values:
        word, _, text = values[0].strip().partition(" ")
        schemes = {"bearer": Scheme.BEARER, "basic": Scheme.BASIC}
        return Shown(schemes.get(word.lower(), Scheme.OTHER), text.strip())
    for subprotocol in subprotocols:
        if subprotocol.startswith(SUBPROTOCOL_PREFIX):
            return Shown(Scheme.BEARER, subprotocol.removeprefix(SUBPROTOCOL_PREFIX))
    for text in _tokens(query):
        return Shown(Scheme.BEARER, text)
    return None


def header_values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """All values of a header; `name` in lower case."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _tokens(query: str) -> list[str]:
    if len(query) > _LONGEST_VALUE:
        return []
    try:
        fields = parse_qsl(query, max_num_fields=_MOST_QUERY_FIELDS)
    except ValueError:
        return []
    return [value for name, value in fields if name == "token"]
