"""What a client sends, in its order: straight into the session, or by a queue when it is too much at once.

Nearly all events are small, and are decoded and heard where they arrive. A large one is decoded in a worker thread,
sound faster than it can be judged waits for speech activity, and more events a second than allowed wait their time;
then all that follows waits behind. Nothing is refused for being fast, because a client may push a recording in all
innocence: while the queue is full the connection is not read, so the client waits, and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias, cast

import msgspec

from gateway.fast_lane import Direct
from gateway.realtime.allowance import EventRate, ResponseAllowance
from gateway.realtime.floor import Floor
from gateway.realtime.peer import Peer
from pipeline.audio.formats import Encoding
from pipeline.engine import MOST_BEHIND_MS, Engine
from pipeline.events.event import ClientEvent
from pipeline.events.input_audio import InputAudioBufferAppend, InputAudioBufferClear
from pipeline.events.refusal import BadEvent
from pipeline.events.response import ResponseCreate
from pipeline.wire import LARGE_TEXT_BYTES

log = logging.getLogger(__name__)

MOST_WAITING_EVENTS = 256
MOST_WAITING_BYTES = 1024 * 1024
"""Past either, the connection is not read; so there wait at most this, one event, and one read of the server's."""

THREAD_PAUSE_S = 0.0005
"""Between two slices of a large event: the interpreter goes to whoever waits for it only if it is let go."""

Text: TypeAlias = bytes | bytearray


class Ingress:
    """The way in of one connection. `decoding` lets one large event at a time of the process be decoded."""

    def __init__(
        self,
        engine: Engine,
        peer: Peer,
        direct: Direct | None,
        *,
        rate: EventRate,
        allowance: ResponseAllowance | None,
        floor: Floor,
        decoding: asyncio.Semaphore,
        failed: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._peer = peer
        self._direct = direct
        self._rate = rate
        self._allowance = allowance
        self._floor = floor
        self._decoding = decoding
        self._failed = failed
        self._now = now
        self._queue: deque[Text | InputAudioBufferAppend] = deque()
        self._waiting_bytes = 0
        self._is_busy = False
        """Something that was taken off the queue is not yet in the session."""
        self._has_work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._odd_byte = b""
        self._is_closed = False

    def take(self, text: Text) -> None:
        """The next event, as JSON text. Never raises, never waits: see `has_room`."""
        if self._is_closed:
            return
        if self._queue or self._is_busy or len(text) > LARGE_TEXT_BYTES or not self._rate.take(self._now()):
            self._put(text)
            return
        try:
            self._hear_at_once(bytes(text))
        except Exception:
            log.exception("an event of the client failed by a fault of ours")
            self._failed()

    @property
    def is_full(self) -> bool:
        """What comes now should wait for `has_room`."""
        return not self._room.is_set()

    async def has_room(self) -> None:
        """Wait until another event may come; for a server without the short way, which stops reading by itself."""
        await self._room.wait()

    def close(self) -> None:
        """Hear nothing more."""
        self._is_closed = True
        self._queue.clear()
        self._waiting_bytes = 0
        if not self._room.is_set():
            self._room.set()
            if self._direct is not None:
                self._direct.resume()  # else nobody reads the client's goodbye

    async def work(self) -> None:
        """Hear what waits, in order, for as long as the connection lives. Its owner cancels it."""
        while True:
            await self._has_work.wait()
            while self._queue:
                self._is_busy = True
                entry = self._queue.popleft()
                self._waiting_bytes -= _size(entry)
                self._let_in()  # so that pings are answered, and a goodbye heard, while a recording is taken in
                await self._hear_in_turn(entry)
                self._is_busy = False
                await asyncio.sleep(0)  # others have events too
            self._has_work.clear()

    # -- at once -------------------------------------------------------------------------------------------------

    def _hear_at_once(self, text: bytes) -> None:
        try:
            event = self._peer.wire.decode(text, self._engine.session.config)
        except BadEvent as bad:
            self._peer.refuse(bad)
            return
        if type(event) is InputAudioBufferAppend:
            event = self._whole_samples(event)
            length_ms = self._engine.session.config.input_format.seconds_of(event.audio) * 1000
            # Of a long one, the beginning must still be there when it is judged.
            if self._engine.is_behind or length_ms > MOST_BEHIND_MS:
                self._put(event)
                return
        self._pass_on(event)

    def _pass_on(self, event: ClientEvent) -> None:
        if not self._engine.is_running:
            return
        if type(event) is InputAudioBufferClear:
            self._odd_byte = b""  # what comes next begins anew
        elif type(event) is ResponseCreate and self._allowance is not None:
            now_s = self._now()
            if not self._allowance.has(now_s):
                self._peer.refuse(_too_many(self._allowance, now_s, event.event_id), "rate_limit_error")
                return
        self._floor.speaker = self._peer
        try:
            self._engine.receive(event)
        finally:
            self._floor.speaker = None

    def _whole_samples(self, event: InputAudioBufferAppend) -> InputAudioBufferAppend:
        """Half a PCM16 sample at the end waits for its other half; chunks may be cut anywhere."""
        if self._engine.session.config.input_format.encoding is not Encoding.PCM16:
            self._odd_byte = b""
            return event
        if not self._odd_byte and not len(event.audio) & 1:
            return event
        audio = self._odd_byte + event.audio
        whole = len(audio) & ~1
        audio, self._odd_byte = audio[:whole], audio[whole:]
        return msgspec.structs.replace(event, audio=audio)

    # -- in turn -------------------------------------------------------------------------------------------------

    def _put(self, entry: Text | InputAudioBufferAppend) -> None:
        self._queue.append(entry)
        self._waiting_bytes += _size(entry)
        self._has_work.set()
        if self._room.is_set() and (
            len(self._queue) > MOST_WAITING_EVENTS or self._waiting_bytes > MOST_WAITING_BYTES
        ):
            self._room.clear()
            if self._direct is not None:
                self._direct.pause()

    def _let_in(self) -> None:
        """Read on once half of what may wait is heard."""
        if self._room.is_set() or self._is_closed:
            return
        if len(self._queue) <= MOST_WAITING_EVENTS // 2 and self._waiting_bytes <= MOST_WAITING_BYTES // 2:
            self._room.set()
            if self._direct is not None:
                self._direct.resume()

    async def _hear_in_turn(self, entry: Text | InputAudioBufferAppend) -> None:
        if not isinstance(entry, InputAudioBufferAppend):
            while not self._rate.take(self._now()):  # noqa: ASYNC110 - time alone changes it
                await asyncio.sleep(self._rate.wait_s())
            try:
                event = await self._decode(entry)
            except BadEvent as bad:
                self._peer.refuse(bad)
                return
            if not isinstance(event, InputAudioBufferAppend):
                self._pass_on(event)
                return
            entry = self._whole_samples(event)
        if self._engine.is_running:
            await self._engine.take_in(entry)

    async def _decode(self, text: Text) -> ClientEvent:
        config = self._engine.session.config
        if len(text) <= LARGE_TEXT_BYTES:
            return self._peer.wire.decode(bytes(text), config)
        # Only read there, and a copy of 20 MiB would keep everybody waiting.
        read_only = cast(bytes, text)
        async with self._decoding:
            return await asyncio.to_thread(self._peer.wire.decode_large, read_only, config, pause=_pause)


def _pause() -> None:
    time.sleep(THREAD_PAUSE_S)


def _size(entry: Text | InputAudioBufferAppend) -> int:
    return len(entry.audio) if isinstance(entry, InputAudioBufferAppend) else len(entry)


def _too_many(allowance: ResponseAllowance, now_s: float, event_id: str | None) -> BadEvent:
    limit = allowance.shown(now_s)
    message = (
        f"Rate limit reached: {limit.limit} responses per minute are allowed to this key. "
        f"Try again in {60 / limit.limit:.3g} s."
    )
    return BadEvent("rate_limit_exceeded", message, event_id=event_id)
