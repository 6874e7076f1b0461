"""Fields of a client's event, read one at a time: what they must be, and the refusal if they are not.

Codes and messages are the Realtime reference's (section H.2). A field that is null counts as one that was not sent
(section B.0); fields for which null means "turn it off" are the session object's, and are not read here.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from pipeline.events.refusal import BadEvent
from pipeline.json_text import Text
from pipeline.limits import Limits

Fields: TypeAlias = Mapping[str, Any]

SLICE_CHARS = 256 * 1024
"""Of base64, decoded at one go: about a millisecond."""

QUOTED_CHARS = 64
"""Of a refused word in the message about it."""


def path_of(parent: str, key: str) -> str:
    """`item` and `id`: `item.id`; at the top of an event just the key."""
    return f"{parent}.{key}" if parent else key


def invalid(value: object, param: str, expected: str) -> BadEvent:
    """`expected` is a sentence without its end: "Expected a string"."""
    return BadEvent("invalid_value", f"Invalid value: {_told(value)}. {expected}.", param)


def unsupported(value: object, param: str, supported: Iterable[str]) -> BadEvent:
    told = f"'{value[:QUOTED_CHARS]}'" if isinstance(value, str) else _told(value)
    expected = "Supported values are: " + ", ".join(f"'{name}'" for name in supported)
    return BadEvent("invalid_value", f"Invalid value: {told}. {expected}.", param)


def missing(param: str) -> BadEvent:
    return BadEvent("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def _told(value: object) -> str:
    """Numbers as they are; of all else only the kind, since it may be a secret, or a megabyte."""
    match value:
        case bool() | None:
            return str(value).lower().replace("none", "null")
        case int() | float():
            return str(value)
        case str():
            return f"a string of {len(value)} characters"
        case list():
            return "a list"
        case _:
            return "an object"


def optional_text(fields: Fields, key: str, parent: str = "", *, most_chars: int | None = None) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(value, path_of(parent, key), "Expected a string")
    if most_chars is not None and len(value) > most_chars:
        raise invalid(value, path_of(parent, key), f"Expected at most {most_chars} characters")
    return value


def text(fields: Fields, key: str, parent: str = "", *, most_chars: int | None = None) -> str:
    value = optional_text(fields, key, parent, most_chars=most_chars)
    if value is None:
        raise missing(path_of(parent, key))
    return value


def event_id_of(event: Fields, limits: Limits) -> str | None:
    """What the client calls its event, and every refusal of it repeats."""
    return optional_text(event, "event_id", most_chars=limits.event_id_chars)


def optional_whole(fields: Fields, key: str, parent: str = "") -> int | None:
    """A whole number from 0; `1000.0` is one too, because JSON has only one kind of number."""
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid(value, path_of(parent, key), "Expected a whole number, 0 or more")
    return value


def choice(fields: Fields, key: str, parent: str, supported: tuple[str, ...]) -> str | None:
    value = fields.get(key)
    if value is None or (isinstance(value, str) and value in supported):
        return value
    raise unsupported(value, path_of(parent, key), supported)


def mapping(fields: Fields, key: str, parent: str = "") -> Fields | None:
    value = fields.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise invalid(value, path_of(parent, key), "Expected an object")


def optional_audio(fields: Fields, key: str, parent: str, *, most_bytes: int) -> bytes | None:
    encoded = optional_text(fields, key, parent)
    if encoded is None:
        return None
    if not encoded.isascii():
        raise not_base64(path_of(parent, key))
    return decoded(slices_of(encoded.encode()), path_of(parent, key), most_bytes=most_bytes)


def slices_of(encoded: bytes) -> Iterator[bytes]:
    for begin in range(0, len(encoded), SLICE_CHARS):
        yield encoded[begin : begin + SLICE_CHARS]


def decoded(slices: Iterable[Text], param: str, *, most_bytes: int) -> bytes:
    """Base64 as RFC 4648, section 4, has it: padded, nothing else in it. Junk would make the sound slip.

    Slice by slice, because the decoder keeps the interpreter lock while it is at work.
    """
    pieces: list[bytes] = []
    size = 0
    carried = b""
    is_padded = False
    for some in slices:
        encoded = carried + some
        whole = len(encoded) & ~3
        encoded, carried = encoded[:whole], encoded[whole:]
        if is_padded and encoded:
            raise not_base64(param)  # padding ends it
        is_padded = is_padded or encoded.endswith(b"=")
        try:
            pieces.append(binascii.a2b_base64(encoded, strict_mode=True))
        except binascii.Error:
            raise not_base64(param) from None
        size += len(pieces[-1])
        if size > most_bytes:
            raise too_long(size, param, most_bytes)
    if carried:
        raise not_base64(param)
    return b"".join(pieces)


def not_base64(param: str) -> BadEvent:
    return BadEvent("invalid_value", f"Invalid value: '{param}' is not valid base64.", param)


def too_long(audio_bytes: int, param: str, most_bytes: int) -> BadEvent:
    expected = f"Expected at most {most_bytes} bytes of audio, got {audio_bytes}."
    return BadEvent("invalid_value", f"Invalid value: '{param}' is too long. {expected}", param)
