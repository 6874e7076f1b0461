"""A tether: what the parts of a thing call it by, until it has ended.

A thing that holds its parts, and is held by what they call back, is in a circle with each of them: after its end
all of it would wait for Python's search for circles. Calls by a tether are cut with one stroke instead, and what
nobody holds any more goes at once. It knows neither who calls nor what for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Tether:
    """Of one thing. Cut once, for good."""

    def __init__(self) -> None:
        self._ends: list[Callable[..., Any]] = []

    def to(self, call: Callable[P, T], instead: Callable[P, T]) -> Callable[P, T]:
        """Calls `call` until the tether is cut, and `instead` from then on."""
        ends, place = self._ends, len(self._ends)
        ends.append(call)

        def reach(*args: P.args, **named: P.kwargs) -> T:
            answer: T = (ends[place] if ends else instead)(*args, **named)
            return answer

        return reach

    def cut(self) -> None:
        """Whoever still calls reaches nobody."""
        self._ends.clear()


def unheard(*_: object) -> None:
    """Instead of a call that answers nothing."""
