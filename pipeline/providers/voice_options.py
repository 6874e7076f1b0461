"""Options of a voice's table in the agent's file, checked. Each function raises `ProviderError` for a wrong one."""

from __future__ import annotations

from pipeline.provider import ProviderError
from pipeline.providers.source import Source


def text(source: Source, name: str, default: str) -> str:
    value = source.options.get(name, default)
    if not isinstance(value, str) or not value:
        raise _wrong(source, name, "a text", value)
    return value


def flag(source: Source, name: str, default: bool) -> bool:
    value = source.options.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(source, name, "true or false", value)
    return value


def number(source: Source, name: str, *, least: float, most: float) -> float | None:
    """`None` if it is left out: the service has a value of its own."""
    value = source.options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _wrong(source, name, f"a number from {least:g} to {most:g}", value)
    return float(value)


def _wrong(source: Source, name: str, expected: str, value: object) -> ProviderError:
    message = f"option {name!r}: expected {expected}, got {str(value)[:40]!r}"
    return ProviderError(source.label, message, retryable=False)
