"""The letters that workers write each other, as bytes. Pure.

A letter is for one worker and fresh for some seconds; `Seals` says that it is one of ours. What an errand carries
is numbered, so that its reader knows when something is missing.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import MsgspecError, Struct, msgpack

from gateway.calls.orders import AnyOrder, Errand, Outcome
from gateway.calls.seals import Seals

FRESH_S: Final = 15.0
"""By how much a letter's time may differ from ours: two workers' clocks, and a letter that was long on its way."""


class Ask(Struct, frozen=True, array_like=True, tag=1):
    """Carry this out. Shown twice, it is carried out once."""

    id: str
    reply_to: str
    """The worker that asks."""
    call_sid: str
    wish: AnyOrder | Errand


class Answer(Struct, frozen=True, array_like=True, tag=2):
    """What became of it."""

    id: str
    outcome: Outcome


class Piece(Struct, frozen=True, array_like=True, tag=3):
    """Of an errand, which goes by the id it was asked for under."""

    id: str
    is_askers: bool
    """Who writes: each end has its own count."""
    number: int
    data: bytes


class Alive(Struct, frozen=True, array_like=True, tag=4):
    """This end of an errand is there; `number` pieces were sent before."""

    id: str
    is_askers: bool
    number: int


class Over(Struct, frozen=True, array_like=True, tag=5):
    """This end of an errand has left; `number` pieces were sent before."""

    id: str
    is_askers: bool
    number: int


Message: TypeAlias = Ask | Answer | Piece | Alive | Over


class _Letter(Struct, frozen=True, array_like=True):
    to: str
    sent_at_s: float
    """Unix time."""
    message: Message


class Letters:
    """Written by one worker, and read."""

    def __init__(self, seals: Seals, worker_id: str) -> None:
        self._seals = seals
        self._worker_id = worker_id

    def written(self, to: str, message: Message, now_s: float) -> bytes:
        return self._seals.sealed(_encode(_Letter(to, now_s, message)))

    def read(self, letter: bytes, now_s: float) -> Message | None:
        """None if it is not ours, not for this worker, too old, or of another version."""
        text = self._seals.opened(letter)
        if text is None:
            return None
        try:
            read = _decode(text)
        except MsgspecError:
            return None
        is_fresh = abs(now_s - read.sent_at_s) <= FRESH_S
        return read.message if read.to == self._worker_id and is_fresh else None


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(_Letter).decode
