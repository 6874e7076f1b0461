"""Faults a stand-in can be told to have: what goes wrong with the requests that come, and for how many of them.

Pure. Whoever serves a request takes its fault once, at its beginning, and acts it out as its wire allows.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from typing import Final


class Fault(enum.StrEnum):
    """What goes wrong with one request (or one utterance, one answer, on a connection that carries many)."""

    NONE = "none"
    REFUSE = "refuse"
    """The key is not taken: HTTP 401, or a refused handshake. No second try would help."""
    TOO_MANY = "too-many"
    """HTTP 429, on a WebSocket at the handshake."""
    BROKEN = "broken"
    """HTTP 500, on a WebSocket at the handshake."""
    HANG = "hang"
    """It is accepted, and nothing ever comes."""
    STALL = "stall"
    """It begins as usual, and half way nothing more comes."""
    SLOW_DRIP = "slow-drip"
    """All of it comes, in tiny pieces, far slower than speech."""
    CLOSE_1006 = "close-1006"
    """Half way the connection is gone without a goodbye."""
    CLOSE_1011 = "close-1011"
    """Half way the server closes because of an error of its own; on HTTP, the body ends too early."""
    ZERO_AUDIO = "zero-audio"
    """A voice finishes without a sample; a transcriber, without a word."""
    GARBAGE = "garbage"
    """What comes is not what the wire allows: broken JSON, text where there should be sound."""
    ODD_PCM = "odd-pcm"
    """Sound is cut in the middle of samples."""
    BIG_CHUNK = "big-chunk"
    """Everything, and ten megabytes more, in one piece."""


HANDSHAKE_STATUS: Final = {Fault.REFUSE: 401, Fault.TOO_MANY: 429, Fault.BROKEN: 500}
"""The HTTP status of those faults that refuse a connection."""


class Faults:
    """The plan of one stand-in: requests take their faults in order; those it says nothing of have `always`."""

    def __init__(self, always: Fault = Fault.NONE, then: Iterable[Fault] = ()) -> None:
        self.always = always
        self._next: deque[Fault] = deque(then)
        self.taken: list[Fault] = []
        """What each request had, for whoever wants to know afterwards."""

    def inject(self, fault: Fault, times: int = 1) -> None:
        """The next `times` requests have it."""
        self._next.extend([fault] * times)

    def take_at_handshake(self) -> Fault | None:
        """The next fault, if it is one that refuses a connection: others wait for what is asked on it."""
        coming = self._next[0] if self._next else self.always
        return self.take() if coming in HANDSHAKE_STATUS else None

    def take(self) -> Fault:
        """The fault of the request that begins now."""
        fault = self._next.popleft() if self._next else self.always
        self.taken.append(fault)
        return fault
