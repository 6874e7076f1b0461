"""Twilio's end of one Media Streams WebSocket.

Opens the socket with a signed handshake, sends `connected`, `start` and then 20 ms of the caller every 20 ms,
and judges what comes back. `handset.py` below decides what is said and heard, `messages.py` how it is written;
this file has the socket, the clock and the tasks. It knows no TwiML.

Four pieces run beside each other: a receiver, a sender, the beat (one tick per frame, marks when they are due), and
the two delay lines between them that play the network. A gateway that stops reading fills the sender's queue; then
the caller's frames are dropped and counted, as a carrier would, and the beat never waits.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from simulator.call_result import Json
from simulator.caller import Press, PutDown
from simulator.chronicle import Chronicle
from simulator.clock import Clock
from simulator.errors import StreamRefused
from simulator.handset import Frame, Handset, MarkBack, Noted, Output
from simulator.messages import Complaint, Heard, Mark, Media, MessageWriter, read_message
from simulator.network import DelayLine, Network
from simulator.reset import reset
from simulator.signature import SIGNATURE_HEADER, sign
from simulator.sound import Codec

CONNECTION_TIMEOUT = 31901
CONNECTION_REFUSED = 31902
HANDSHAKE_FAILED = 31920
SCHEME_NOT_WSS = 31922
MALFORMED_URL = 31923
INVALID_TRACK = 31941

OPEN_TIMEOUT_S = 10
"""A gateway that does not answer the handshake; Twilio states no figure."""
CLOSE_TIMEOUT_S = 2
"""After `stop`, a gateway that does not close in its turn is left alone."""
OUTGOING_LIMIT = 500
"""Messages waiting for a gateway that does not read: ten seconds of sound. Then the newest is dropped."""
MAX_MESSAGE_BYTES = 16 * 2**20
"""Twilio states no limit for one media message ("audio can be of any size"); this one only guards the laptop."""
USER_AGENT = "Twilio.TmeWs/1.0 (simulated)"


class EndedBy(enum.Enum):
    GATEWAY = "gateway"
    CALLER = "caller"
    TIME_LIMIT = "time limit"


@dataclass(frozen=True, slots=True)
class StreamEnd:
    by: EndedBy
    close_code: int | None
    """The gateway's close code; 1006 for a connection that broke; None if it was not the gateway."""
    is_dropped: bool = False
    """It was the network."""


@dataclass(frozen=True, slots=True)
class StreamSetup:
    """One stream, as the TwiML and the call describe it."""

    url: str
    track: str
    parameters: Mapping[str, str]
    account_sid: str
    call_sid: str
    stream_sid: str
    auth_token: str
    codec: Codec
    network: Network
    dropped_after_s: float = math.inf
    """Then the connection is reset, in the middle of everything."""


def check_address(url: str, track: str) -> None:
    """Whether Twilio would open a bidirectional stream there. Raises `StreamRefused` 31922, 31923 or 31941.

    `ws://` without TLS is let through to loopback hosts only: a gateway on this laptop has no certificate.
    """
    try:
        address = urlsplit(url)
        host = address.hostname
        _ = address.port  # raises for what is not a port
    except ValueError as error:
        raise StreamRefused(MALFORMED_URL, f"the stream's address {url!r} is malformed: {error}") from error
    if not host:
        raise StreamRefused(MALFORMED_URL, f"the stream's address {url!r} names no host")
    if address.scheme != "wss" and not (address.scheme == "ws" and is_loopback(host)):
        raise StreamRefused(SCHEME_NOT_WSS, f"the stream's address {url!r} must begin with wss://")
    if track != "inbound_track":
        raise StreamRefused(INVALID_TRACK, f"track is {track!r}; <Connect><Stream> allows only inbound_track")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class MediaStream:
    """One stream's life: `open`, then `run` once."""

    def __init__(self, setup: StreamSetup, chronicle: Chronicle, clock: Clock, rng: random.Random) -> None:
        self._setup = setup
        self._chronicle = chronicle
        self._clock = clock
        self._rng = rng
        self._writer = MessageWriter(setup.account_sid, setup.call_sid, setup.stream_sid)
        self._to_gateway: DelayLine[str] = DelayLine(setup.network, rng)
        self._to_phone: DelayLine[str | bytes | StreamEnd] = DelayLine(setup.network, rng)
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue(OUTGOING_LIMIT)
        self._wake = asyncio.Event()
        self._planned_s = 0.0
        self._end: StreamEnd | None = None
        self._complained: set[int] = set()
        self._dropped_messages = 0
        self._lost_frames = 0
        self._rejected_messages = 0
        self._max_lateness_ms = 0.0

    async def open(self) -> ClientConnection:
        """The handshake. Raises `StreamRefused` with Twilio's error number."""
        url = self._setup.url
        check_address(url, self._setup.track)
        try:
            return await connect(
                url,
                additional_headers={SIGNATURE_HEADER: sign(self._setup.auth_token, url)},
                user_agent_header=USER_AGENT,
                compression=None,
                proxy=None,
                ping_interval=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=MAX_MESSAGE_BYTES,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise StreamRefused(HANDSHAKE_FAILED, f"{url} answered {status}, expected 101", status) from error
        except TimeoutError as error:
            message = f"{url} did not answer within {OPEN_TIMEOUT_S} s"
            raise StreamRefused(CONNECTION_TIMEOUT, message) from error
        except (InvalidHandshake, InvalidURI) as error:
            raise StreamRefused(HANDSHAKE_FAILED, f"{url}: {error}") from error
        except (OSError, EOFError) as error:
            raise StreamRefused(CONNECTION_REFUSED, f"{url}: {error}") from error

    async def run(
        self, socket: ClientConnection, pick_up: Callable[[float, int], Handset], *, until_s: float
    ) -> tuple[StreamEnd, Handset]:
        """The stream until it ends: by the gateway, by the caller, or at `until_s` of the clock.

        `pick_up(start_s, opened_ms)` makes the handset at the instant the stream begins.
        """
        opened_ms = self._chronicle.begin_sound()
        handset = pick_up(self._clock.now_s(), opened_ms)
        self._send("connected", self._writer.connected(), {})
        parameters: dict[str, Json] = dict(self._setup.parameters)
        start = self._writer.start(self._setup.codec, self._setup.parameters)
        self._send("start", start, {"parameters": parameters, "encoding": self._setup.codec.encoding})
        try:
            async with asyncio.TaskGroup() as tasks:
                receiving = tasks.create_task(self._receive(socket, handset))
                sending = tasks.create_task(self._send_queued(socket))
                drop_s = self._clock.now_s() + self._setup.dropped_after_s
                end = await self._beat(handset, until_s, drop_s)
                if end.is_dropped:
                    reset(socket)
                self._perform(handset.end(self._clock.now_s()))
                await self._leave(end, sending)
                receiving.cancel()
                sending.cancel()
        finally:
            await _close(socket)
        self._tell_end(end)
        return end, handset

    async def _beat(self, handset: Handset, until_s: float, drop_s: float) -> StreamEnd:
        self._perform(handset.begin())
        while self._end is None:
            now_s = self._clock.now_s()
            self._deliver(handset, now_s)
            if now_s >= until_s:
                self._end = StreamEnd(EndedBy.TIME_LIMIT, None)
            elif now_s >= drop_s:
                self._end = StreamEnd(EndedBy.GATEWAY, 1006, is_dropped=True)
            elif now_s >= handset.next_tick_s:
                self._max_lateness_ms = max(self._max_lateness_ms, (now_s - handset.next_tick_s) * 1000)
                self._perform(handset.tick())
                continue
            self._perform(handset.marks_due(now_s))
            self._depart(now_s)
            self._planned_s = self._next_wake_s(handset)
            if self._end is None:
                self._wake.clear()
                await self._clock.wait(self._wake, self._planned_s - now_s)
        return self._end

    def _next_wake_s(self, handset: Handset) -> float:
        instants = (handset.playback.next_mark_s, self._to_gateway.next_due_s, self._to_phone.next_due_s)
        return min([handset.next_tick_s, *(instant for instant in instants if instant is not None)])

    async def _receive(self, socket: ClientConnection, handset: Handset) -> None:
        while True:
            try:
                frame: str | bytes | StreamEnd = await socket.recv()
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
                frame = StreamEnd(EndedBy.GATEWAY, code)
            now_s = self._clock.now_s()
            self._to_phone.put(frame, now_s)
            self._deliver(handset, now_s)
            if self._end is not None or self._next_wake_s(handset) < self._planned_s:
                self._wake.set()
            if isinstance(frame, StreamEnd):
                return

    def _deliver(self, handset: Handset, now_s: float) -> None:
        """Hand over what the network has brought to the phone by now."""
        if self._end is not None:
            return
        for arrived_s, frame in self._to_phone.due(now_s):
            if isinstance(frame, StreamEnd):
                self._end = frame
                return
            message = read_message(frame, self._setup.stream_sid)
            if isinstance(message, Complaint):
                self._complain(message)
                continue
            self._note_arrival(message, handset, arrived_s)
            self._perform(handset.receive(message, arrived_s))

    def _note_arrival(self, message: Heard, handset: Handset, arrived_s: float) -> None:
        """Media and marks are told as they arrive; a `clear` is told with what it did, by the handset."""
        direction: dict[str, Json] = {"direction": "from_gateway"}
        if isinstance(message, Media):
            buffered_bytes = handset.playback.buffered_bytes(arrived_s)
            self._chronicle.note_media({**direction, "bytes": len(message.audio), "buffered_bytes": buffered_bytes})
        elif isinstance(message, Mark):
            self._chronicle.note("mark", {**direction, "mark": message.name})

    def _complain(self, complaint: Complaint) -> None:
        """ "Reported once per stream": later ones of the same number are only counted."""
        self._rejected_messages += 1
        if complaint.code not in self._complained:
            self._complained.add(complaint.code)
            self._chronicle.complain(complaint.code, complaint.message)

    def _perform(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Frame(law=law, timestamp_ms=timestamp_ms):
                    self._send_frame(law, timestamp_ms)
                case MarkBack(name=name, is_played=is_played):
                    self._send("mark", self._writer.mark(name), {"mark": name, "is_played": is_played})
                case Press(digit=digit):
                    self._send("dtmf", self._writer.dtmf(digit), {"digit": digit})
                case PutDown():
                    self._end = self._end or StreamEnd(EndedBy.CALLER, None)
                case Noted(name=name, media_ms=media_ms, detail=detail):
                    told = {**detail, "stream_sid": self._setup.stream_sid}
                    self._chronicle.note(name, told, at_ms=media_ms)
                case _:
                    assert_never(output)

    def _send_frame(self, law: bytes, timestamp_ms: int) -> None:
        if self._setup.network.loses(self._rng):
            self._lost_frames += 1
            return
        self._chronicle.note_media({"direction": "to_gateway", "bytes": len(law), "timestamp_ms": timestamp_ms})
        self._to_gateway.put(self._writer.media(law, timestamp_ms), self._clock.now_s())

    def _send(self, name: str, message: str, detail: Mapping[str, Json]) -> None:
        self._chronicle.note(name, {"direction": "to_gateway", **detail})
        self._to_gateway.put(message, self._clock.now_s())

    def _depart(self, now_s: float) -> None:
        """Queue what the network has brought to the gateway by now."""
        for _, message in self._to_gateway.due(now_s):
            try:
                self._outgoing.put_nowait(message)
            except asyncio.QueueFull:
                self._dropped_messages += 1

    async def _send_queued(self, socket: ClientConnection) -> None:
        """Until None is queued or the connection is gone; the receiver tells of the latter."""
        while (message := await self._outgoing.get()) is not None:
            try:
                await socket.send(message)
            except ConnectionClosed:
                return

    async def _leave(self, end: StreamEnd, sending: asyncio.Task[None]) -> None:
        """Say `stop` if it is for us to end, and let what is queued go out, within `CLOSE_TIMEOUT_S`."""
        if end.by is EndedBy.GATEWAY:
            return
        self._send("stop", self._writer.stop(), {})
        self._depart(float("inf"))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._outgoing.put(None)
                await asyncio.wait([sending])
        except TimeoutError:
            self._dropped_messages += self._outgoing.qsize()

    def _tell_end(self, end: StreamEnd) -> None:
        detail: dict[str, Json] = {
            "stream_sid": self._setup.stream_sid,
            "by": end.by.value,
            "close_code": end.close_code,
            "lost_frames": self._lost_frames,
            "dropped_messages": self._dropped_messages,
            "rejected_messages": self._rejected_messages,
            "max_lateness_ms": round(self._max_lateness_ms, 3),
        }
        self._chronicle.note("stream.ended", detail)


async def _close(socket: ClientConnection) -> None:
    """Close politely, and by force if that takes longer than `CLOSE_TIMEOUT_S`.

    `close` first waits for room in the send buffer, which a gateway that does not read never makes.
    """
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await socket.close()
    except TimeoutError:
        pass
    finally:
        socket.transport.abort()
