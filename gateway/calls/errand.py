"""One end of an errand between two workers: bytes both ways, in order, for as long as both ends are there.

Each end says again and again that it is there, and gives the other up when it was silent for too long. What does
not fit, or went missing in Redis, is dropped where live sound is carried; where events are, the errand is over,
because nothing may be missing between them. Knows no channel and not what is carried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from gateway.calls.letters import Alive, Over, Piece
from gateway.calls.pipe import Pipe
from gateway.redis.link import RedisUnavailable

ALIVE_EVERY_S: Final = 0.6

SILENT_S: Final = 2.0
"""Without a word from the other end for so long, it is gone. With the time between two looks, less than 3 s."""

MOST_SOUND_PIECES: Final = 20
"""Of 100 ms: who is two seconds behind is not listening live."""

MOST_EVENTS: Final = 4_096
"""Some 20 s of a talking session, sound included."""

MOST_PIECE_BYTES: Final = 1024 * 1024
"""What one operation carries through Redis within its 0.2 s."""


class ErrandEnd:
    """See the module's docstring. `post` publishes a letter to the other end's worker and says how many got it."""

    def __init__(
        self,
        id: str,
        post: Callable[[Piece | Alive | Over], Awaitable[int]],
        *,
        is_askers: bool,
        is_lossy: bool,
        now: Callable[[], float],
    ) -> None:
        self.id = id
        self._post = post
        self._is_askers = is_askers
        self._is_lossy = is_lossy
        self._now = now
        most = MOST_SOUND_PIECES if is_lossy else MOST_EVENTS
        self._outgoing = Pipe(most, drops_oldest=is_lossy)
        self._incoming = Pipe(most, drops_oldest=is_lossy)
        self._sent = 0
        self._taken = 0
        self._heard_at_s = now()
        self.was_left = False
        """The other end said goodbye."""

    @property
    def is_over(self) -> bool:
        return self._incoming.is_over

    def send(self, data: bytes) -> None:
        """Never waits; nothing happens once the errand is over."""
        self._outgoing.put(data)

    async def get(self) -> bytes | None:
        """The next piece from the other end; None once the errand is over."""
        return await self._incoming.get()

    def end(self) -> None:
        """This end leaves once what was sent is on its way."""
        self._outgoing.end()

    def take(self, message: Piece | Alive | Over) -> None:
        """A letter of the other end."""
        if message.is_askers is self._is_askers:
            return  # our own, which somebody sent back
        self._heard_at_s = self._now()
        match message:
            case Piece(number=number, data=data):
                if number < self._taken:
                    return  # shown twice
                self._miss(number)
                self._taken = number + 1
                self._incoming.put(data)
            case Alive(number=number):
                self._miss(number)
            case Over(number=number):
                self._miss(number)
                self.was_left = True
                self._leave()

    async def run(self) -> None:
        """Carry what is sent until either end leaves; its owner may cancel it, which leaves too."""
        try:
            while not self.is_over:
                piece: bytes | None = b""
                with suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_EVERY_S):
                        piece = await self._outgoing.get()
                if piece is None:
                    break
                await self._tell(piece)
                if self._now() - self._heard_at_s > SILENT_S:
                    break
        finally:
            self._leave()
            if not self.was_left:
                with suppress(RedisUnavailable):
                    await asyncio.shield(self._post(Over(self.id, self._is_askers, self._sent)))

    async def _tell(self, piece: bytes) -> None:
        message: Piece | Alive = Alive(self.id, self._is_askers, self._sent)
        if piece:
            message = Piece(self.id, self._is_askers, self._sent, piece)
            self._sent += 1
        try:
            if not await self._post(message):
                self._leave()
        except RedisUnavailable:
            if piece and not self._is_lossy:
                self._leave()  # nobody knows whether it got there

    def _miss(self, number: int) -> None:
        """The other end has sent so many, and some of them may be missing."""
        if number > self._taken and not self._is_lossy:
            self._leave()
        self._taken = max(self._taken, number)

    def _leave(self) -> None:
        self._incoming.end()
        self._outgoing.end()
