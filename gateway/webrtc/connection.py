"""One peer connection as the line of a session: events on its data channel, sound on its track.

The session plays its sound here, by the RTP clock, and is told how much of it has left; every other event goes to
the channel (Realtime reference, section E.1). Knows no offer but its own, and not who may come in.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import Final

from gateway.fast_lane import Direct
from gateway.media_stream.pacer import Pacer
from gateway.realtime.ingress import Ingress
from gateway.realtime.peer import Peer
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.wiring import Wiring
from gateway.webrtc.answer import answer_to
from gateway.webrtc.link import Link, LinkEnd, LinkSetup
from gateway.webrtc.offer import Offer
from gateway.webrtc.track import Track
from pipeline.engine import Engine
from pipeline.events.event import ServerEvent
from pipeline.events.refusal import BadEvent
from pipeline.events.response import OutputAudioDelta
from pipeline.reports import Played
from pipeline.transport import Transport

CLOSE_LIMIT_S: Final = 2.0
"""For the client to be told what was still to be said."""

STUCK_S: Final = 30.0
"""A network may be away for ten seconds, and a channel takes as long again to notice that it is back; by then
consent has gone too (RFC 7675)."""

UNCONFIGURED_S: Final = 0.5
"""Every published client configures its session as soon as the channel is open. The microphone is heard from then
on, in the format that was chosen; a client that says nothing is heard after so long."""

MOST_WAITING_MESSAGES: Final = 1_024
MOST_WAITING_BYTES: Final = 4 * 1024 * 1024
"""Of a client that sends faster than it is heard: a data channel cannot be made to wait, so past this it is cut."""

LEAST_MESSAGE_BYTES: Final = 1_024
"""A peer that takes less can be told nothing, not even what it was not told."""

_ENDS: Final = {
    LinkEnd.NEVER_CONNECTED: SessionEnd.NEVER_CONNECTED,
    LinkEnd.CONNECTION_LOST: SessionEnd.CONNECTION_LOST,
    LinkEnd.PEER_LEFT: SessionEnd.CLIENT_LEFT,
    LinkEnd.TOO_LARGE: SessionEnd.TOO_LARGE,
}

_GONE: Final = frozenset(
    {SessionEnd.CLIENT_LEFT, SessionEnd.NEVER_CONNECTED, SessionEnd.CONNECTION_LOST, SessionEnd.SLOW_READER}
)
"""Ends after which there is nobody to say anything to."""


class RtcConnection:
    """See the module's docstring. A `Line`, and the `Transport` of its session."""

    plays = True
    direct: Direct | None = None
    peer: Peer

    def __init__(
        self, offer: Offer, setup: LinkSetup, pacer: Pacer, name: str, *, is_configured: bool = False
    ) -> None:
        """`is_configured`: its session came with the offer, so the microphone need not wait for it."""
        self._offer = offer
        self._name = name
        self._ssrc = secrets.randbits(32)
        self._link = Link(
            setup,
            on_rtp=self._take_rtp,
            on_rtcp=self._take_rtcp,
            on_message=self._take_message,
            on_channel=self._channel_opened,
            on_end=self._lost,
        )
        self._track = Track(
            offer.audio,
            pacer,
            ssrc=self._ssrc,
            name=name,
            send_rtp=self._link.send_rtp,
            send_rtcp=self._link.send_rtcp,
            hear=self._hear,
            played=self._played,
            failed=lambda: self.finish(SessionEnd.FAULT),
        )
        self.end: SessionEnd | None = None
        self._over = asyncio.Event()
        self._wiring: Wiring | None = None
        self._engine: Engine | None = None
        self._ingress: Ingress | None = None
        self._messages: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._has_messages = asyncio.Event()
        self._is_configured = is_configured
        self._has_channel = asyncio.Event()

    @property
    def transport(self) -> Transport:
        return self

    async def answer(self) -> str:
        """Our side, in SDP. Raises `LinkFailed` if no address can be offered."""
        await self._link.gather()
        return answer_to(self._offer, self._link.local_side(self._offer, ssrc=self._ssrc, cname=self._name))

    def wire(self, wiring: Wiring) -> RtcConnection:
        """Give it the session it is the line of."""
        self._wiring = wiring
        self.peer = Peer(wiring, self._send_text, self.finish, None, stuck_s=STUCK_S)
        return self

    # -- as a line -----------------------------------------------------------------------------------------------

    async def opened(self, engine: Engine) -> bool:
        self._engine = engine
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(self._link.connect(self._offer))
            ending = tasks.create_task(self._over.wait())
            await asyncio.wait((connecting, ending), return_when=asyncio.FIRST_COMPLETED)
            connecting.cancel()
            ending.cancel()
        if self.end is not None:
            await self._link.close()
            return False
        self._track.begin(engine.session)
        if self._offer.channel is None:
            self._listen()
        return True

    def finish(self, why: SessionEnd) -> None:
        if self.end is not None:
            return
        self.end = why
        self._over.set()
        self._has_channel.set()
        self._track.stop()
        if self._wiring is None:
            return
        if why in _GONE:
            self.peer.close()
        self._wiring.on_end()

    async def read(self, ingress: Ingress) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(ingress.work())
                pumping = tasks.create_task(self._pump(ingress))
                await self._over.wait()
                working.cancel()
                pumping.cancel()
        finally:
            ingress.close()

    async def close(self, *, reason: str | None = None) -> None:
        self._track.stop()
        if self._wiring is not None:
            await self._say_the_rest()
            self.peer.close()
        await self._link.close()

    async def _say_the_rest(self) -> None:
        if self.end in _GONE:
            return
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.peer.drained()
                await self._link.sent()
        except TimeoutError:
            pass

    # -- as a transport ------------------------------------------------------------------------------------------

    def send(self, event: ServerEvent) -> None:
        if type(event) is OutputAudioDelta:
            self._track.push(event.delta)
        else:
            self.peer.send(event)

    def flush(self) -> int:
        return self._track.flush()

    async def room(self) -> None:
        await self._track.room()
        await self.peer.room()

    # -- what the link tells -------------------------------------------------------------------------------------

    def _take_rtp(self, packet: bytes) -> None:
        self._track.receive(packet)

    def _take_rtcp(self, packet: bytes) -> None:
        self._track.receive_report(packet)

    def _take_message(self, message: bytes) -> None:
        """At once if nothing waits, else in turn."""
        if self.end is not None:
            return
        ingress = self._ingress
        if ingress is not None and not self._messages and not ingress.is_full:
            self._pass_on(ingress, message)
            return
        self._messages.append(message)
        self._waiting_bytes += len(message)
        if len(self._messages) > MOST_WAITING_MESSAGES or self._waiting_bytes > MOST_WAITING_BYTES:
            self._messages.clear()
            self.finish(SessionEnd.TOO_FAST)
        self._has_messages.set()

    def _channel_opened(self) -> None:
        self._has_channel.set()
        asyncio.get_running_loop().call_later(UNCONFIGURED_S, self._listen)

    def _lost(self, why: LinkEnd) -> None:
        self.finish(_ENDS[why])

    # -- in between ----------------------------------------------------------------------------------------------

    async def _pump(self, ingress: Ingress) -> None:
        """Hear what came before there was somebody to hear it, or faster than it was heard."""
        self._ingress = ingress
        while True:
            while self._messages:
                await ingress.has_room()
                if self._messages:
                    message = self._messages.popleft()
                    self._waiting_bytes -= len(message)
                    self._pass_on(ingress, message)
            self._has_messages.clear()
            await self._has_messages.wait()

    def _pass_on(self, ingress: Ingress, message: bytes) -> None:
        ingress.take(message)
        self._listen()

    def _listen(self) -> None:
        self._is_configured = True

    def _hear(self, audio: bytes) -> None:
        engine = self._engine
        if self._is_configured and engine is not None and engine.is_running:
            engine.hear(audio)

    def _played(self, position: int) -> None:
        engine = self._engine
        if engine is not None and engine.is_running:
            engine.report(Played(position))

    async def _send_text(self, text: str) -> None:
        if self._offer.channel is None:
            return  # a peer that only speaks and listens
        await self._has_channel.wait()
        size, most = len(text.encode()), self._link.most_message_bytes
        if size > most:
            if most >= LEAST_MESSAGE_BYTES:
                self.peer.refuse(_too_large(size, most), "server_error")
            return
        await self._link.room()
        self._link.send_text(text)


def _too_large(size: int, most: int) -> BadEvent:
    words = (
        f"An event of {size} bytes was not sent: a message of this data channel holds at most {most}. "
        "Ask for it over a WebSocket with ?call_id=."
    )
    return BadEvent("event_too_large", words)
