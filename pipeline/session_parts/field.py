"""One field of what a client sent: its value as JSON has it, and the path under which the client spelled it.

Reading a field means stating what it must be; anything else is a `BadEvent` that names the path, what was
expected and what came. Nothing here knows which fields there are. What a client wrote is quoted only where one of a
few known words was expected: elsewhere it may be a secret, or a megabyte.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeGuard

import msgspec

from pipeline.dialects import Dialect
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits

NAME_CHARS = 256
"""Of a model, a voice, a language. The longest real ones, with their provider's path, stay under 100."""
KEPT_BYTES = 65_536
"""Of a value that is kept as the client wrote it, as JSON: it is shown again with every `session.updated`."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What the providers of models take as the name of a function."""
_QUOTED_CHARS = 64
_SPELLED_DIGITS = 10**18
"""Larger numbers are not written out: Python refuses to print the largest, and nobody reads them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms a client's fields are read."""

    dialect: Dialect
    limits: Limits = field(default_factory=Limits)
    serves_mcp: bool = True
    """Tools of Model Context Protocol servers may be asked for."""
    is_first: bool = False
    """The session is only now being made, so that what is fixed for its life may still be chosen."""

    @property
    def is_strict(self) -> bool:
        """GA refuses what it does not know; the others pass over it (Realtime reference, section C.5)."""
        return self.dialect is Dialect.GA

    @property
    def reads_camel_case(self) -> bool:
        return self.dialect in (Dialect.IW, Dialect.SEED)


@dataclass(frozen=True, slots=True)
class Field:
    """A value, and where it stands."""

    value: object
    path: str
    """As the client spelled it: `session.audio.input.format`, `session.tools[3].name`."""

    @property
    def is_null(self) -> bool:
        return self.value is None

    def wrong(self, expected: str) -> BadEvent:
        """It is of the wrong kind or out of bounds; `expected` completes "Expected …"."""
        return self.refused(f"Invalid value: {_told(self.value)}. Expected {expected}.")

    def refused(self, message: str) -> BadEvent:
        return BadEvent("invalid_value", f"{message} ({self.path})", self.path)

    def unknown(self) -> BadEvent:
        return BadEvent("unknown_parameter", f"Unknown parameter: '{self.path}'.", self.path)

    def lacks(self, name: str) -> BadEvent:
        """A field inside it is required and not there."""
        path = f"{self.path}.{name}"
        return BadEvent("missing_required_parameter", f"Missing required parameter: '{path}'.", path)

    def text(self, most_chars: int = NAME_CHARS, *, least_chars: int = 0) -> str:
        """Any text within bounds, in whole Unicode characters."""
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        if not least_chars <= len(self.value) <= most_chars:
            raise self.wrong(f"{least_chars} to {most_chars} characters")
        try:
            self.value.encode()
        except UnicodeEncodeError:
            raise self.wrong("a string without half characters (lone surrogates)") from None
        return self.value

    def identifier(self) -> str:
        """The name of a function, or the label of a server."""
        name = self.text()
        if not _IDENTIFIER.fullmatch(name):
            raise self.wrong("1 to 64 letters, digits, '_' or '-'")
        return name

    def one_of(self, words: Iterable[str]) -> str:
        known = tuple(words)
        if not isinstance(self.value, str):
            raise self.wrong(_listed(known))
        if self.value not in known:
            raise self.refused(
                f"Invalid value: '{self.value[:_QUOTED_CHARS]}'. Supported values are: {_listed(known)}."
            )
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def number(self, least: float, most: float) -> float:
        value = self.value
        if not _is_number(value) or not least <= value <= most:
            raise self.wrong(f"a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, least: int, most: int) -> int:
        """A whole number; 300.0 is one, since JSON has only one kind of number (RFC 8259, section 6)."""
        value = self.value
        if not _is_number(value) or not least <= value <= most or value != int(value):
            raise self.wrong(f"a whole number from {least} to {most}")
        return int(value)

    def members(self) -> dict[str, Field]:
        """The fields of an object, those that are null too."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return {name: Field(value, f"{self.path}.{name[:_QUOTED_CHARS]}") for name, value in self.value.items()}

    def given(self, names: Collection[str], *, is_strict: bool = False) -> dict[str, Field]:
        """Its fields of these names that are not null: null is as good as unset (Realtime reference, B.0)."""
        fields = {name: field for name, field in self.members().items() if not field.is_null}
        if is_strict:
            for name, field in fields.items():
                if name not in names:
                    raise field.unknown()
        return {name: field for name, field in fields.items() if name in names}

    def elements(self) -> list[Field]:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [Field(value, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    def words(self) -> list[str]:
        return [element.text() for element in self.elements()]

    def kept(self) -> object:
        """The value as it is, if it is small enough to be kept and can be written as JSON again."""
        if encoded_bytes(self.value, self) > KEPT_BYTES:
            raise self.refused(f"Invalid value: longer than {KEPT_BYTES} bytes as JSON.")
        return self.value


def encoded_bytes(value: object, blamed: Field) -> int:
    """How long a value is as JSON; one that cannot be written is the fault of the field `blamed`."""
    try:
        return len(msgspec.json.encode(value))
    except (ValueError, RecursionError):  # half characters, endless numbers, depth
        raise blamed.wrong("what can be written as JSON") from None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _told(value: object) -> str:
    """A value in a message: numbers as they are, of all else only the kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value) if -_SPELLED_DIGITS < value < _SPELLED_DIGITS else "a very large number"
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "null"
