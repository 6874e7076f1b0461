"""How much room a worker has, as it tells the others, and what the tellings of all others come to. Pure.

A seat is taken where a call's stream begins, and any worker may answer the webhook before it. So whoever answers
**reserves** one of the deployment's seats, by the CallSid, and tells of it; whoever then has the stream tells that
the reservation is **settled**. By the CallSid a call is counted once, in whatever order the tellings arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

MOST_ROOM: Final = 1_000_000
"""Of a worker without a limit."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One worker's, as of its last heartbeat. One that tells of none, of an older version, counts as full."""

    room: int = 0
    """Streams that may begin there now; reservations are not taken off."""
    lines: dict[str, int] = {}
    """Calls that stream there, by the number they are for; only told where that is limited."""
    reserved: dict[str, str] = {}
    """Lines by CallSid: let in by that worker, and their streams have not begun as far as it knows."""
    settled: tuple[str, ...] = ()
    """CallSids of which streams began there lately, or whose end that worker was told: nobody need keep a seat."""


@dataclass(frozen=True, slots=True)
class Others:
    """All other workers of the deployment, put together."""

    live: int = 0
    """Of them, those that take calls, full or not."""
    with_room: int = 0
    room: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()


NOBODY: Final = Others()


def put_together(standings: Sequence[Standing], *, live: int) -> Others:
    """What the others tell; `live`: how many of them do not drain."""
    lines: Counter[str] = Counter()
    reserved: dict[str, str] = {}
    for one in standings:
        lines.update(one.lines)
        reserved.update(one.reserved)
    settled = frozenset(call_sid for one in standings for call_sid in one.settled)
    return Others(
        live=live,
        with_room=sum(one.room > 0 for one in standings),
        room=sum(max(0, one.room) for one in standings),
        lines=lines,
        reserved={call_sid: line for call_sid, line in reserved.items() if call_sid not in settled},
        settled=settled,
    )
