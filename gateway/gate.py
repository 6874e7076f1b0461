"""The gate of a worker: `Admission` with a clock, and with what a caller is told who is not let in.

One for whatever begins a call: the voice webhook, the queue, and calls that go out. Knows no request and no
response.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.calls.admission import Admission, Verdict
from gateway.calls.standing import Others, Standing
from twiml.documents import say_and_hang_up
from twiml.overflow_words import words_in
from twiml.webhooks import VoiceRequest

SPARES: Final = 2
"""Other workers with room, before a full one is taken out of the balancer: one may die, and one answers for it."""

Refuse = Callable[[VoiceRequest, Verdict, Mapping[str, str]], str]
"""The document for a call that is not let in; the mapping is the query of the URL that was asked."""


def turn_away(_form: VoiceRequest, _verdict: Verdict, _query: Mapping[str, str]) -> str:
    """An apology, and the end of the call: for a gateway without a ladder."""
    words = words_in(None)
    return say_and_hang_up(f"{words.all_busy} {words.try_later}", words.language)


def _always() -> bool:
    return True


@dataclass(slots=True, kw_only=True)
class Gate:
    """Who may come in."""

    admission: Admission
    now: Callable[[], float]
    """Seconds of a clock that does not jump; the one `admission` is told its measurements by."""
    is_open: Callable[[], bool] = _always
    """False from the moment the gateway is to stop."""
    refuse: Refuse = turn_away

    def admit(self, call_sid: str, *, line: str, key: str = "", hold_s: float = math.inf) -> Verdict:
        """Whether the call may come in, or go out for `key`. Admitted, it has a seat until `release`.

        With `hold_s`, it is reserved for that long, here or wherever else there is room.
        """
        self._look()
        return self.admission.admit(call_sid, line=line, now_s=self.now(), key=key, hold_s=hold_s)

    def admit_waiting(self, call_sid: str, *, line: str, position: int, hold_s: float) -> Verdict:
        """The same for a caller in the queue, 1 the next; the seat is held for as long as the way from there
        takes."""
        self._look()
        return self.admission.admit_waiting(call_sid, line=line, position=position, now_s=self.now(), hold_s=hold_s)

    def resume(self, call_sid: str, *, line: str, key: str = "") -> None:
        """A call that was let in before, here or by another worker, has its seat here."""
        self.admission.resume(call_sid, line=line, now_s=self.now(), key=key)

    def release(self, call_sid: str) -> bool:
        """The call is over, or has gone to another worker. True the first time only."""
        return self.admission.release(call_sid, self.now())

    def judge(self, *, line: str = "", key: str = "") -> Verdict:
        """What a call would be told now."""
        self._look()
        return self.admission.judge(line=line, now_s=self.now(), key=key)

    def steers_away(self) -> bool:
        """Whether a load balancer should send new connections to others: this worker is full, and enough are not.

        While all are full somebody must still answer, or the callers hear the balancer's error instead of the
        ladder; and while a single other has room, all would hang on that one, which may die at any moment.
        """
        self._look()
        return self.admission.room(self.now()) == 0 and self.admission.others.with_room >= SPARES

    def hear(self, others: Others) -> None:
        """What the other workers tell."""
        self.admission.hear(others)

    def standing(self) -> Standing:
        """What to tell them."""
        self._look()
        return self.admission.standing(self.now())

    def _look(self) -> None:
        if not self.is_open():
            self.admission.drain()
