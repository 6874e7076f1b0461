"""The outbox: records of calls on their way to the operator, kept until they were taken.

`Outbox` is the seam: `FileOutbox` keeps those of one process in a folder, `RedisOutbox` those of many workers. A
letter has three places, and moves only as `Outbox` says:

    waiting ──claim──► under way ──deliver──► gone
       ▲                 │    └────bury────► dead, for people to look at
       └──put off, or its lease ran out

Times are Unix seconds of a clock that does not jump, handed in.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import GatewayError

MOST_LETTERS: Final = 100_000
"""Waiting or under way. At some 20 KB a call that is 2 GB, which a receiver that is away for a day may cost."""

MOST_DEAD: Final = 1_000
"""Of those nobody took, the latest."""

DEAD_KEPT_S: Final = 7 * 86_400
"""How long these are kept."""

DONE_KEPT_S: Final = 3_600.0
"""For how long it is remembered that a call's record was delivered: two workers may both see the call end, the one
that saw it last at the next sweep."""


class OutboxUnavailable(GatewayError):
    """It cannot be reached, or has no room; what was to be put may be put later."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One call's record, under way in the hands of one worker."""

    call_sid: str
    body: bytes
    put_at_s: float
    tries: int
    """This one included; also the number of the lease."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One that is not tried any more."""

    call_sid: str
    died_at_s: float
    tries: int
    why: str


class Fate(enum.Enum):
    """What became of a letter that was put."""

    WAITING = enum.auto()
    """Or under way."""
    OVER = enum.auto()
    """Delivered lately, or dead."""
    UNKNOWN = enum.auto()
    """The outbox has forgotten it, or it was delivered long ago."""


@dataclass(frozen=True, slots=True)
class Fill:
    """How full it is."""

    waiting: int = 0
    """Those under way included."""
    oldest_at_s: float | None = None
    """When the one that has waited longest was put. None: there is none."""
    dead: int = 0


class Outbox(Protocol):
    """See the module's docstring. Everything raises `OutboxUnavailable`."""

    async def put(self, call_sid: str, body: bytes, now_s: float) -> bool:
        """Keeps a record; once this returns it outlives the process. False: that call's record is here already, or
        was lately."""
        ...

    async def claim(self, now_s: float, *, most: int, lease_s: float) -> Sequence[Letter]:
        """Letters that are due, for this worker alone until the lease ends; then for whoever asks next."""
        ...

    async def deliver(self, letter: Letter, now_s: float) -> None:
        """It was taken: it is gone, whoever else may have it in hand."""
        ...

    async def put_off(self, letter: Letter, due_at_s: float) -> None:
        """To be tried again then; nothing if somebody else has it in hand by now."""
        ...

    async def bury(self, letter: Letter, why: str, now_s: float) -> None:
        """Nobody will take it; nothing if somebody else has it in hand by now."""
        ...

    async def fates(self, call_sids: Sequence[str]) -> Sequence[Fate]:
        """Of each."""
        ...

    async def fill(self) -> Fill: ...

    async def dead(self) -> Sequence[DeadLetter]:
        """Those that nobody took, the latest first."""
        ...

    async def dead_body(self, call_sid: str) -> bytes | None:
        """What one of them says."""
        ...

    async def revive(self, call_sid: str, now_s: float) -> bool:
        """A dead one waits again, as if it were new. False: there is none."""
        ...
