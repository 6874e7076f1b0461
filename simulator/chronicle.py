"""The chronicle of a call: whatever happens is told here once, stamped, kept, and passed on to who listens live.

Owns the two clocks of a happening. Knows no socket and no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from simulator.call_result import Complaint, Happening, Json

Listener: TypeAlias = Callable[[Happening], None]


class Chronicle:
    """One call's. Not for more than one task at a time beyond what one event loop does."""

    def __init__(
        self, now_s: Callable[[], float], listener: Listener | None = None, *, keeps_media: bool = True
    ) -> None:
        """Without `keeps_media` the hundred media messages a second are not kept: for many calls in a process."""
        self._now_s = now_s
        self._listener = listener
        self._keeps_media = keeps_media
        self._began_s = now_s()
        self._sound_began_s: float | None = None
        self._happenings: list[Happening] = []
        self._complaints: list[Complaint] = []

    @property
    def happenings(self) -> tuple[Happening, ...]:
        return tuple(self._happenings)

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        return tuple(self._complaints)

    @property
    def duration_s(self) -> float:
        return self._now_s() - self._began_s

    def begin_sound(self) -> int:
        """A stream begins: where on the call's sound clock, in ms. The first is the clock's zero."""
        if self._sound_began_s is None:
            self._sound_began_s = self._now_s()
        return round((self._now_s() - self._sound_began_s) * 1000)

    def note(self, name: str, detail: Mapping[str, Json], at_ms: float | None = None) -> None:
        """Something happened now; at `at_ms` of the sound clock, if that is known better."""
        self._tell(self._stamp(name, detail, at_ms))

    def note_media(self, detail: Mapping[str, Json]) -> None:
        """A media message crossed the wire: kept, never told live."""
        if self._keeps_media:
            self._happenings.append(self._stamp("media", detail, None))

    def complain(self, code: int, message: str) -> None:
        """Twilio would write this into its debugger."""
        happening = self._stamp("complaint", {"code": code, "message": message}, None)
        self._complaints.append(Complaint(code, message, happening.at_ms))
        self._tell(happening)

    def _stamp(self, name: str, detail: Mapping[str, Json], at_ms: float | None) -> Happening:
        now_s = self._now_s()
        since_s = self._began_s if self._sound_began_s is None else self._sound_began_s
        return Happening(now_s, (now_s - since_s) * 1000 if at_ms is None else at_ms, name, detail)

    def _tell(self, happening: Happening) -> None:
        self._happenings.append(happening)
        if self._listener is not None:
            self._listener(happening)
