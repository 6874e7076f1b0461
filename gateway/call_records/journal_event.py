"""Reading one event of a call's journal, whoever wrote it, of whichever version. Pure; raises nothing."""

from __future__ import annotations

from typing import Final

from gateway.calls.journal import JournalEvent

LARGEST: Final = 1e12
"""Of what an event tells, seconds or milliseconds, nothing is larger; beyond, some could not be computed with."""


def at_s(event: JournalEvent) -> float:
    """Unix seconds; 0 where an event does not say."""
    return number(event, "at_s")


def at_ms(event: JournalEvent, began_s: float) -> int:
    """Since the call began. Workers' clocks differ a little: nothing happens before the call."""
    return max(0, round((at_s(event) - began_s) * 1000))


def number(event: JournalEvent, name: str) -> float:
    """0 for what is none."""
    value = event.get(name)
    if isinstance(value, int | float) and abs(value) <= LARGEST:
        return float(value)
    return 0.0


def text(event: JournalEvent, name: str) -> str:
    """Empty for what is none."""
    value = event.get(name)
    return value if isinstance(value, str) else ""
