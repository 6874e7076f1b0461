"""One setting: how it is declared, and how its value is written.

A declaration is a field of a frozen dataclass, with the setting's name, reader and help in its metadata. Which
settings there are, `setting_declarations.py` and `realtime_settings.py` say; this file knows none by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.setting_values import any_text, secret


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting."""

    field: str
    name: str
    default: object
    read: Callable[[str], object]
    help: str
    is_secret: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.removeprefix("SWITCHBOARD_").lower().replace("_", "-")


def declared(
    name: str, default: object, read: Callable[[str], object], help: str, *, is_secret: bool = False
) -> Any:
    """A field of the settings, with its name outside, its reader (which raises `ValueError`) and its help."""
    metadata = {"name": name, "read": read, "help": help, "is_secret": is_secret}
    return field(default=default, repr=not is_secret, metadata=metadata)


def key(name: str, provider: str) -> Any:
    return declared(f"{name}_API_KEY", "", secret, f"The key of {provider}.", is_secret=True)


def place(name: str, provider: str) -> Any:
    help = f"Where {provider}'s server stands, if not at its own address."
    return declared(f"{name}_BASE_URL", "", any_text, help)


def declared_in(settings: type[Any]) -> tuple[Setting, ...]:
    """The settings among a dataclass's fields, in their order."""
    return tuple(
        Setting(field=field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(settings)
        if field.metadata
    )


def written(value: object) -> str:
    """A value as a setting's text."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(int(value)) if isinstance(value, bool) else str(value)
