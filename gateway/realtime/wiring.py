"""What every line of a session needs of it, its own and those of side-bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.realtime.allowance import ResponseAllowance
from gateway.realtime.floor import Floor
from pipeline.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """See the module's docstring."""

    wire: Wire
    floor: Floor
    allowance: ResponseAllowance | None
    make_id: Callable[[str], str]
    now: Callable[[], float]
    """Seconds of a monotonic clock."""
    on_end: Callable[[], None]
    """Called once, when the line is to end."""
