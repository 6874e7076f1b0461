"""JSON from strangers: parsed, or refused before it can cost more than it is worth.

A few megabytes of brackets become hundreds of megabytes of lists, or a stack too deep to walk; so depth and number
of values are bounded before the parser sees them. What comes out can be written as JSON again: the parser refuses
NaN, Infinity and lone surrogates, this file numbers past 64 bits. It knows nothing of events.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec

from pipeline.events.refusal import BadEvent

Text: TypeAlias = bytes | bytearray
"""As a server's buffer holds it: only read here, never copied whole."""

MOST_VALUES = 200_000
"""In one text, keys counted too. A session with 128 tools of rich schemas has under 20,000."""

WINDOW_BYTES = 64 * 1024
"""Searched at one go: well under a millisecond, so that a thread that reads a large text lets others run."""

_MARK = re.compile(rb'[][{},"]')
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def parsed(text: Text, *, depth: int) -> Any:
    """The value that `text` spells, at most `depth` objects and lists in one another. Raises `BadEvent`."""
    _measure(text, depth)
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvent("invalid_json", f"The event is not valid JSON: {error}.") from None
    _refuse_wide_numbers(value)
    return value


def is_shallow(text: Text, depth: int) -> bool:
    """Surely not deeper than `depth`, at the price of a search; if not sure, `parsed` finds out."""
    return text.count(b"[") + text.count(b"{") <= depth


def _measure(text: Text, most_depth: int) -> None:
    if is_shallow(text, most_depth) and text.count(b",") <= MOST_VALUES // 2:
        return  # true of nearly every event, and found in microseconds
    depth = values = at = 0
    while at < len(text):
        mark = _MARK.search(text, at, at + WINDOW_BYTES)
        if mark is None:
            at += WINDOW_BYTES
            continue
        at = mark.end()
        match mark[0]:
            case b'"':
                at = _after_string(text, at)
                values += 1
            case b"[" | b"{":
                depth += 1
                values += 1
            case b"]" | b"}":
                depth -= 1
            case _:
                values += 1
        if depth > most_depth:
            raise BadEvent("invalid_json", f"The event is nested too deeply: at most {most_depth} levels.")
        if values > MOST_VALUES:
            raise BadEvent("invalid_json", f"The event has too many values: at most {MOST_VALUES}.")


def _after_string(text: Text, at: int) -> int:
    """Where the string that begins at `at` has been closed, or the text ends."""
    while at < len(text) and text[at] != 0x22:
        inside = _IN_STRING.match(text, at, at + WINDOW_BYTES)
        if inside is None or inside.end() == at:
            return len(text)  # a backslash is the last of it; the parser will say so
        at = inside.end()
    return at + 1


def _refuse_wide_numbers(value: Any) -> None:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            raise BadEvent("invalid_json", "The event holds a whole number that does not fit into 64 bits.")
