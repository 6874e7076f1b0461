"""What a tool may do with the call it is asked for in, besides answering.

A telephone line has keys and can be noted about; a session without a line offers no tools of ours that need one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

CollectionEnd: TypeAlias = Literal["complete", "timeout", "caller_spoke"]


@dataclass(frozen=True, slots=True)
class Collected:
    """What the caller keyed in."""

    digits: str
    """Without the key that ends an entry."""
    ended: CollectionEnd


class CallControls(Protocol):
    """Of one call."""

    facts: Mapping[str, str]
    """What is known of the call, for tools outside: `call_sid`, `from`, `to`, `agent`; empty without a call."""

    async def collect_digits(self, *, most: int, until: str, timeout_s: float) -> Collected:
        """Take the keys the caller presses from now on: at most `most`, until the key `until`, or until none came
        for `timeout_s` seconds. Keys taken so are no entry of the conversation."""
        ...

    def send_digits(self, digits: str) -> float:
        """Play keys (0-9, *, #, A-D; `w` waits half a second) as tones into the call; how long they take, in
        seconds, or 0 if they cannot be played now."""
        ...

    def note(self, event: str, **fields: str) -> None:
        """Write it into the call's record."""
        ...


class NoCall:
    """The controls where there is no call."""

    facts: Mapping[str, str] = {}

    async def collect_digits(self, *, most: int, until: str, timeout_s: float) -> Collected:
        return Collected("", "timeout")

    def send_digits(self, digits: str) -> float:
        return 0.0

    def note(self, event: str, **fields: str) -> None:
        """There is no record."""
