"""Reach: whoever steers or watches a call from outside gets to it, on whichever worker it streams.

A call that streams here is reached without Redis. Of any other the store says who holds it, and the relay goes
there. Who may ask was decided before; what HTTP makes of the outcome is no business of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from gateway.calls.call import CallState
from gateway.calls.errand import MOST_SOUND_PIECES, ErrandEnd
from gateway.calls.orders import (
    ENDING,
    NOT_RECORDED,
    NOT_STREAMING,
    OUT_OF_REACH,
    OVER,
    AnyOrder,
    Errand,
    Join,
    Listen,
    Outcome,
    PauseRecording,
    Refused,
    ResumeRecording,
    unknown,
)
from gateway.calls.pipe import Pipe
from gateway.calls.relay import Attend, Relay
from gateway.calls.store import CallStore
from gateway.calls.workers import WorkerLoad, Workers
from gateway.credentials.credential import ALL_SCOPES, Credential, Kind
from gateway.credentials.door import OPERATOR
from gateway.errors import Refusal, StoreUnavailable
from gateway.media_stream.live_sound import LiveSound
from gateway.media_stream.socket import MediaSocket
from gateway.media_stream.stream import Stream
from gateway.realtime.far_side_band import serve
from gateway.realtime.studio import Studio
from gateway.redis.link import RedisUnavailable
from pipeline.dialects import Dialect

MOST_LISTENERS: Final = 8
"""Of one call; its recording is one of them."""

CROWDED: Final = Refused(
    status_code=429, code="too_many_listeners", message=f"{MOST_LISTENERS} others listen in, which is the most."
)

_SIBLING: Final = Credential(owner=OPERATOR, scopes=ALL_SCOPES, kind=Kind.KEY)
"""Another worker, which has asked for the credential of whoever sent it."""

Ear: TypeAlias = Pipe | ErrandEnd
"""Where sound comes out, here or from afar."""


@dataclass(frozen=True, slots=True)
class _House:
    """What runs here, once the application does."""

    media: MediaSocket
    studio: Studio
    workers: Workers | None


class Reach:
    """See the module's docstring. `load`: what this worker carries. Without a relay there are no other workers."""

    def __init__(self, store: CallStore, relay: Relay | None, load: Callable[[], WorkerLoad]) -> None:
        self._store = store
        self._relay = relay
        self._load = load
        self._house: _House | None = None

    def open(self, media: MediaSocket, studio: Studio, workers: Workers | None) -> None:
        """Calls stream here from now on, and other workers may ask for them."""
        self._house = _House(media, studio, workers)
        if self._relay is not None:
            self._relay.serve(self)

    # -- wherever it streams -------------------------------------------------------------------------------------

    async def order(self, call_sid: str, order: AnyOrder) -> Outcome:
        """Have it carried out."""
        if self._stream_here(call_sid) is not None:
            return await self.carry_out(call_sid, order)
        where = await self._where(call_sid)
        if isinstance(where, Refused):
            return where
        return await where.relay.order(where.worker_id, call_sid, order)

    @asynccontextmanager
    async def listening(self, call_sid: str) -> AsyncGenerator[Ear | Refused, None]:
        """Both sides' sound while inside: stereo PCM16 at 8 kHz in pieces of 100 ms, the oldest dropped if they are
        not taken in time. It ends with the stream."""
        stream = self._stream_here(call_sid)
        if stream is None:
            async with self._errand(call_sid, Listen()) as end:
                yield end
            return
        if len(stream.taps) >= MOST_LISTENERS:
            yield CROWDED
            return
        pipe = Pipe(MOST_SOUND_PIECES, drops_oldest=True)
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(_end_with(stream, pipe))
            try:
                with stream.taps.attached(LiveSound(stream.line, pipe.put)):
                    yield pipe
            finally:
                ending.cancel()

    @asynccontextmanager
    async def side_band(self, call_sid: str, dialect: Dialect) -> AsyncGenerator[ErrandEnd, None]:
        """Onto a call that streams on another worker, as `far_side_band.carry` wants it. Raises `Refusal`."""
        async with self._errand(call_sid, Join(dialect)) as end:
            if isinstance(end, Refused):
                is_there = end.retry_after_s is None
                status_code = end.status_code if end.status_code == 429 else 404 if is_there else 503
                raise Refusal(status_code, end.code, end.message)
            yield end

    async def workers(self) -> tuple[tuple[WorkerLoad, ...], bool]:
        """All workers of the deployment, this one among them, and whether those are really all."""
        workers = self._house.workers if self._house is not None else None
        if workers is None:
            return (self._load(),), self._relay is None
        try:
            return await workers.all(), True
        except RedisUnavailable:
            return (self._load(),), False

    @asynccontextmanager
    async def _errand(self, call_sid: str, errand: Errand) -> AsyncGenerator[ErrandEnd | Refused, None]:
        where = await self._where(call_sid)
        if isinstance(where, Refused):
            yield where
            return
        async with where.relay.errand(where.worker_id, call_sid, errand) as end:
            yield end

    async def _where(self, call_sid: str) -> _Elsewhere | Refused:
        """The worker that holds a call which does not stream here."""
        try:
            call = await self._store.find(call_sid)
        except StoreUnavailable:
            return OUT_OF_REACH
        if call is None:
            return unknown(call_sid)
        if call.state is CallState.ENDED:
            return OVER
        if call.state is CallState.ENDING:
            return ENDING
        is_elsewhere = call.holder and call.holder != self._load().id
        if call.state is not CallState.STREAMING or self._relay is None or not is_elsewhere:
            return NOT_STREAMING
        return _Elsewhere(self._relay, call.holder)

    # -- here, for whoever asks ----------------------------------------------------------------------------------

    async def carry_out(self, call_sid: str, order: AnyOrder) -> Outcome:
        stream = self._stream_here(call_sid)
        if stream is None:
            return NOT_STREAMING
        if isinstance(order, PauseRecording | ResumeRecording):
            return NOT_RECORDED if stream.switch is None else await stream.switch.carry_out(order)
        return NOT_STREAMING if stream.steering is None else stream.steering.carry_out(order)

    def attend(self, call_sid: str, errand: Errand) -> Attend | Refused:
        stream, house = self._stream_here(call_sid), self._house
        if stream is None or house is None:
            return NOT_STREAMING
        match errand:
            case Listen():
                if len(stream.taps) >= MOST_LISTENERS:
                    return CROWDED
                return lambda end: _listened(stream, end)
            case Join(dialect=dialect):
                try:
                    live = house.studio.directory.join(call_sid, _SIBLING)
                except Refusal as refusal:
                    message = str(refusal)
                    return Refused(status_code=refusal.status_code, code=refusal.reason, message=message)
                return lambda end: serve(house.studio, dialect, live, end)
            case _:
                assert_never(errand)

    def _stream_here(self, call_sid: str) -> Stream | None:
        return self._house.media.stream_of(call_sid) if self._house is not None else None


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Another worker, and the way there."""

    relay: Relay
    worker_id: str


async def _end_with(stream: Stream, pipe: Pipe) -> None:
    await stream.over()
    pipe.end()


async def _listened(stream: Stream, end: ErrandEnd) -> None:
    """Somebody on another worker hears the stream, until either of them ends."""
    with stream.taps.attached(LiveSound(stream.line, end.send)):
        async with asyncio.TaskGroup() as tasks:
            ends = (tasks.create_task(stream.over()), tasks.create_task(_left(end)))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for one in ends:
                one.cancel()


async def _left(end: ErrandEnd) -> None:
    """Whoever listens says nothing, until it leaves."""
    while await end.get() is not None:
        pass
