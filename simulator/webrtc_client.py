"""A WebRTC client of a Realtime server: aiortc's whole peer connection, shaped like any of the published clients.

    async with WebRtcClient() as client:
        await client.connect("http://127.0.0.1:8080", "sk-…", shape=Shape.AGENTS_JS, session={"type": "realtime"})
        await client.expect("session.created")
        client.speak(voices.clip("hello"))
        await client.spoken()                      until the microphone has said it all
        await client.expect("response.done")
        await client.heard(since_s=…)              until something audible has come
        client.sound(), client.energy()            what came on the remote track
        await client.close()                       as a page that is closed; or `vanish()`, or `hang_up()`

It connects on loopback, through a bad network if a plan is given (`through=Plan(loss=0.2)`, then `client.shim`),
and is strict: an `error` event nobody waits for raises. Every wait ends after `LIMIT_S` with what came so far.

After `connect`, which passes over no event: `status`, `headers` (of the answer to the offer), `offer_sdp`,
`answer_sdp`, `call_id`, `session_id`, `ice_servers`. `frames` are all events so far, `unreadable` all messages that
are none; `ear` keeps what aiortc decoded, `packets` what came in, `microphone` what was said and when; `peer` is
aiortc's connection.

It shares nothing with the gateway, which stands on other parts of aiortc, so that the two check each other.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, cast

import aiohttp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from simulator.loopback_ice import LOOPBACK, gather_on, muzzle
from simulator.sound import RATE_HZ, Sound
from simulator.udp_plan import Plan
from simulator.udp_shim import UdpShim, point_at, server_address
from simulator.webrtc_exchange import HABITS, Exchange, IceServer, Shape
from simulator.webrtc_inbox import LIMIT_S, Event, Inbox, NothingCame
from simulator.webrtc_packets import OPUS_RATE_HZ, Packets
from simulator.webrtc_track import Ear, Microphone

CHANNEL_LABEL: Final = "oai-events"

CodecName: TypeAlias = Literal["opus", "PCMU", "PCMA"]


class WebRtcClient:
    """One connection; an asynchronous context that frees all when it is left."""

    def __init__(
        self,
        *,
        codec: CodecName = "opus",
        has_microphone: bool = True,
        has_channel: bool = True,
        addresses: tuple[str, ...] | None = LOOPBACK,
        uses_ice_servers: bool = False,
        through: Plan | None = None,
        seed: int = 0,
        is_calm_at_first: bool = True,
    ) -> None:
        """`codec`: "opus" offers all that aiortc has, Opus first, as browsers do; the others are offered alone.

        `has_microphone=False` offers to receive only. `addresses`: the client's own; None for all of the machine.
        `uses_ice_servers`: those that the server told, for shapes that ask; else they are only read.
        `through`, `seed`: a network of that plan; with `is_calm_at_first` it is good until the connection stands.
        """
        self.inbox = Inbox(lambda: self.has_ended, self._state)
        self.ear = Ear()
        self.packets = Packets()
        rate_hz = OPUS_RATE_HZ if codec == "opus" else RATE_HZ
        self.microphone = Microphone(rate_hz) if has_microphone else None
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.offer_sdp = ""
        self.answer_sdp = ""
        self.call_id: str | None = None
        self.session_id: str | None = None
        self.ice_servers: list[IceServer] = []
        self.shim: UdpShim | None = None
        self.exchange: Exchange
        self.peer: RTCPeerConnection
        self.channel: RTCDataChannel | None = None
        self._codec = codec
        self._has_channel = has_channel
        self._addresses = addresses
        self._uses_ice_servers = uses_ice_servers
        self._plan, self._seed, self._is_calm_at_first = through, seed, is_calm_at_first
        self._ears: list[asyncio.Task[None]] = []
        self._life = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._http = await self._life.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            for ear in self._ears:  # a track ends with its connection, but only if that ever stood
                ear.cancel()
            await asyncio.gather(*self._ears, return_exceptions=True)
            await self._life.__aexit__(kind, error, trace)

    async def connect(
        self,
        root_url: str,
        key: str | None,
        *,
        shape: Shape = Shape.OPENAI_SDP,
        session: Mapping[str, Any] | None = None,
        model: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Offer, exchange, connect, and what the shape's client then does: until the channel is open.

        `root_url` without a path. `session` goes where the shape puts it; where it has no place in the request, as
        a `session.update` on the open channel. `query` goes into the address of the offer, `session_id` for one.
        Raises `OfferRefused` for an answer that is not 2xx, `NothingCame` if the connection does not stand in time,
        or `session.updated` does not come.
        """
        habit = HABITS[shape]
        self.exchange = Exchange(self._http, root_url, key, headers)
        if habit.asks_for_ice_servers:
            self.ice_servers = await self.exchange.ice_servers()
        self.peer = self._peer()
        bare = await self.peer.createOffer()
        await self.inbox.in_time(self.peer.setLocalDescription(bare), "candidates")
        has_candidates = habit.waits_for_candidates and self._plan is None
        self.offer_sdp = self.peer.localDescription.sdp if has_candidates else bare.sdp
        answer = await self.exchange.offer(self.offer_sdp, shape, session, model, query)
        self.status, self.headers, self.answer_sdp = answer.status, answer.headers, answer.answer_sdp
        self.call_id, self.session_id = answer.call_id, answer.session_id
        sdp = await self._past_the_shim(answer.answer_sdp)
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        await self._until_connected()
        if self._has_channel and (habit.updates_within_s or (session is not None and not habit.session_key)):
            await self.send("session.update", session=dict(session or {"type": "realtime"}))
            await self.inbox.seen("session.updated", habit.updates_within_s or LIMIT_S)

    async def send(self, type: str, **fields: Any) -> None:
        """One event."""
        await self.send_text(json.dumps({"type": type, **fields}))

    async def send_text(self, message: str | bytes) -> None:
        """One message of the channel as it is."""
        assert self.channel is not None, "this client was made without a channel"
        self.channel.send(message)

    @property
    def frames(self) -> list[Event]:
        """All events so far."""
        return self.inbox.frames

    @property
    def unreadable(self) -> list[str | bytes]:
        """All messages that are no events."""
        return self.inbox.unreadable

    async def next(self, within_s: float = LIMIT_S) -> Event:
        """The next event, waited for if need be. Raises `NothingCame`."""
        return await self.inbox.next(within_s)

    async def until(self, *types: str, within_s: float = LIMIT_S) -> list[Event]:
        """All events up to the first of one of these types. Raises `NothingCame`, also at an unexpected `error`."""
        return await self.inbox.until(*types, within_s=within_s)

    async def expect(self, *types: str, within_s: float = LIMIT_S) -> Event:
        """The first event of one of these types; those before it are passed over."""
        return (await self.inbox.until(*types, within_s=within_s))[-1]

    def speak(self, sound: Sound) -> None:
        """Say this into the microphone, after what waits there."""
        assert self.microphone is not None, "this client was made without a microphone"
        self.microphone.speak(sound)

    async def spoken(self, within_s: float = LIMIT_S) -> None:
        """Until the microphone has said all it was given."""
        assert self.microphone is not None, "this client was made without a microphone"
        await self.inbox.in_time(self.microphone.quiet(), "the end of what is spoken", within_s)

    async def heard(self, since_s: float = 0.0, *, least_rms: int = 150, within_s: float = LIMIT_S) -> float:
        """Until something as loud as this has come since an instant of `time.monotonic`; when it came."""

        async def listen() -> float:
            while (at_s := self.ear.audible_at_s(since_s, least_rms)) is None:
                await self.ear.more()
            return at_s

        return await self.inbox.in_time(listen(), "an audible sound", within_s)

    async def heard_for(self, duration_ms: float, since_s: float = 0.0, *, within_s: float = LIMIT_S) -> None:
        """Until sound or silence of this length has come since an instant."""

        async def listen() -> None:
            while self.ear.received_ms(since_s) < duration_ms:
                await self.ear.more()

        await self.inbox.in_time(listen(), f"{duration_ms:g} ms of sound", within_s)

    def sound(self, since_s: float = 0.0) -> Sound:
        """What came on the remote track since an instant, at 8 kHz."""
        return self.ear.sound(since_s)

    def energy(self, since_s: float = 0.0) -> int:
        """How loud that is: root mean square, 0 to 32 768."""
        return self.ear.energy(since_s)

    @property
    def has_ended(self) -> bool:
        """The connection was closed, by either side, or broke."""
        state = self.channel.readyState if self.channel is not None else "open"
        return self.peer.connectionState in ("closed", "failed") or state == "closed"

    async def ended(self, within_s: float = LIMIT_S) -> None:
        """Until the other side has ended the connection. Events before that are kept."""
        if not await self.inbox.comes(lambda: self.has_ended, within_s):
            raise NothingCame(f"the connection did not end; {self.inbox.so_far()}")

    async def hang_up(self) -> None:
        """By HTTP, as the other holder of the key would. Raises `OfferRefused` if it is not 2xx."""
        assert self.call_id is not None, "the answer told no call id"
        await self.exchange.hang_up(self.call_id)

    def vanish(self) -> None:
        """Fall silent without a goodbye: nothing is sent or heard any more, though nothing is closed."""
        muzzle(self.peer)

    async def close(self) -> None:
        """As a page that is closed: with a goodbye, if the connection stands. May be called again."""
        if hasattr(self, "peer"):
            await self.inbox.in_time(self.peer.close(), "the end of the connection")
        if self.shim is not None:
            await self.shim.__aexit__(None, None, None)
            self.shim = None

    def _peer(self) -> RTCPeerConnection:
        """With all that the offer shall tell, and nothing gathered yet."""
        servers = self.ice_servers if self._uses_ice_servers else []
        told = [RTCIceServer(list(one.urls), one.username, one.credential) for one in servers]
        peer = RTCPeerConnection(RTCConfiguration(iceServers=told))
        peer.on("track", self._on_track)
        peer.on("connectionstatechange", self.inbox.wake)
        direction = "recvonly" if self.microphone is None else "sendrecv"
        audio = peer.addTransceiver("audio", direction=direction)
        if self.microphone is not None:
            # Its class is none of aiortc's, and need not be: the sender only asks for frames.
            audio.sender.replaceTrack(cast(MediaStreamTrack, self.microphone))
        if self._codec != "opus":
            _offer_alone(audio, self._codec)
        self._tap(audio.receiver)
        if self._has_channel:
            self.channel = peer.createDataChannel(CHANNEL_LABEL, ordered=True)
            self.channel.on("message", self._on_message)
            self.channel.on("open", self.inbox.wake)
            self.channel.on("close", self.inbox.wake)
        if self._addresses is not None:
            gather_on(peer, self._addresses)
        return peer

    async def _past_the_shim(self, answer_sdp: str) -> str:
        if self._plan is None:
            return answer_sdp
        self.shim = UdpShim(
            server_address(answer_sdp), self._plan, seed=self._seed, begins=not self._is_calm_at_first
        )
        await self.shim.__aenter__()
        return point_at(answer_sdp, self.shim.address)

    async def _until_connected(self) -> None:
        def stands() -> bool:
            is_open = self.channel is None or self.channel.readyState == "open"
            return self.peer.connectionState == "connected" and is_open

        if not await self.inbox.comes(lambda: stands() or self.has_ended, LIMIT_S) or not stands():
            raise NothingCame(f"the connection does not stand; {self.inbox.so_far()}")
        if self.shim is not None and self._is_calm_at_first:
            self.shim.begin()

    def _tap(self, receiver: RTCRtpReceiver) -> None:
        """Note every packet before aiortc's jitter buffer, which throws away more than the network does."""
        pass_on = receiver._handle_rtp_packet

        async def note(packet: Any, arrival_time_ms: int) -> None:
            self.packets.take(packet, time.monotonic())
            await pass_on(packet, arrival_time_ms)

        vars(receiver)["_handle_rtp_packet"] = note

    def _on_track(self, track: MediaStreamTrack) -> None:
        # No task group: it would wrap whatever the block of a test raises. `__aexit__` ends and awaits the task.
        self._ears.append(asyncio.create_task(self.ear.listen(track)))

    def _on_message(self, message: str | bytes) -> None:
        self.inbox.receive(message)
        session = self.frames[-1].get("session") if self.frames else None
        if self.session_id is None and isinstance(session, dict):
            self.session_id = session.get("id")

    def _state(self) -> str:
        channel = self.channel.readyState if self.channel is not None else "none"
        return f"connection {self.peer.connectionState}, channel {channel}"


def _offer_alone(audio: RTCRtpTransceiver, codec: CodecName) -> None:
    offered = RTCRtpSender.getCapabilities("audio")
    assert offered is not None, "aiortc has audio codecs"
    wanted = f"audio/{codec}".lower()
    audio.setCodecPreferences([one for one in offered.codecs if one.mimeType.lower() == wanted])
