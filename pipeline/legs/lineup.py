"""The line-up for one answer or utterance: which provider is asked next, and whether there is one at all.

Each is asked once, in order of preference; those that failed lately for everybody come last. Then, if the session
hedges and has budget left, each may be asked a second time. One that has refused is not asked again. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.legs.means import Means
from pipeline.legs.pace import Kind

REQUESTS_EACH: Final = 2
"""Of one answer to one provider: what fails twice will fail again."""


class Lineup:
    """Providers are known by their place in `names`, because two of them may share a label."""

    def __init__(self, kind: Kind, names: Sequence[str], means: Means) -> None:
        self._kind = kind
        self._names = tuple(names)
        self._means = means
        self._asked = [0] * len(self._names)
        self._has_refused = [False] * len(self._names)

    @property
    def has_more(self) -> bool:
        """Whether `next` would find one."""
        return bool(self._fresh()) or bool(self._again() and self._means.budget.has_left)

    @property
    def has_fresh(self) -> bool:
        """Whether `next` would find one that was not asked yet."""
        return bool(self._fresh())

    def next(self) -> int | None:
        """Whom to ask now, which counts as asked; None if nobody is left."""
        fresh, pace, now_s = self._fresh(), self._means.pace, self._means.now()
        place = next((at for at in fresh if pace.admits(self._kind, self._names[at], now_s)), None)
        if place is None and fresh:
            place = fresh[0]
        if place is None and (again := self._again()) and self._means.budget.spend():
            place = again[0]
        if place is not None:
            self._asked[place] += 1
        return place

    def hedge(self, place: int) -> bool:
        """Whether it may be asked a second time beside the first; if so, it counts as asked."""
        may = place in self._again() and self._means.budget.spend()
        if may:
            self._asked[place] += 1
        return may

    def refuse(self, place: int) -> None:
        """Its failure was one that does not pass."""
        self._has_refused[place] = True

    def _fresh(self) -> list[int]:
        return [at for at, asked in enumerate(self._asked) if not asked and not self._has_refused[at]]

    def _again(self) -> list[int]:
        if not self._means.hedges:
            return []
        return [at for at, n in enumerate(self._asked) if 0 < n < REQUESTS_EACH and not self._has_refused[at]]
