"""A stand-in for the gateway's WebRTC side, to see the page live before the gateway has one.

Serves the page and the endpoints it asks; answers offers with aiortc's own peer connection on loopback; hears
speech by its loudness, takes it for `HEARD`, and answers with a shipped clip and the events of the protocol, in
their order (Realtime reference, sections D.3, D.8 and E.1). It judges nothing a client sends.
"""

from __future__ import annotations

import asyncio
import fractions
import itertools
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import av
import numpy as np
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.demo_page import page
from gateway.webrtc.payload import PCM_48K
from pipeline.audio.formats import PCM_8K
from pipeline.audio.transcode import transcode
from simulator.loopback_ice import gather_on
from simulator.voices import Voices
from tests.clients.answering import HEARD, STORY_SENTENCES
from tests.clients.scenario import STORY

FRAME_SAMPLES: Final = 960
LOUD: Final = 300.0
"""Root mean square of PCM16: speech is above, silence below."""
TURN_ENDS_AFTER: Final = 25
"""Silent frames of 20 ms."""

Event = dict[str, Any]


class Loudspeaker(AudioStreamTrack):
    """What the page hears: a sound, then silence."""

    def __init__(self) -> None:
        super().__init__()
        self.queued = b""
        self.on_empty: Callable[[], None] = lambda: None

    async def recv(self) -> av.AudioFrame:
        """See `MediaStreamTrack`; the base class keeps the time."""
        frame = await super().recv()
        size = FRAME_SAMPLES * 2
        piece, self.queued = self.queued[:size], self.queued[size:]
        made = av.AudioFrame.from_ndarray(np.frombuffer(piece.ljust(size, b"\0"), "<i2")[None], layout="mono")
        made.sample_rate = PCM_48K.rate_hz
        made.pts = (frame.pts or 0) * PCM_48K.rate_hz // 8000
        made.time_base = fractions.Fraction(1, PCM_48K.rate_hz)
        if piece and not self.queued:
            self.on_empty()
        return made


@dataclass
class Peer:
    """One connected page and its conversation."""

    session_id: str
    connection: RTCPeerConnection = field(default_factory=RTCPeerConnection)
    loudspeaker: Loudspeaker = field(default_factory=Loudspeaker)
    channel: RTCDataChannel | None = None
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    response: Event | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def answer(self, sdp: str) -> str:
        self.connection.on("datachannel", self._open)
        self.connection.on("track", self._listen)
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        self.connection.addTrack(self.loudspeaker)
        gather_on(self.connection)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.connection.close()

    def send(self, type: str, **fields: Any) -> None:
        if self.channel and self.channel.readyState == "open":
            event = {"type": type, "event_id": self._id("event"), **fields}
            self.channel.send(json.dumps(event))

    def _open(self, channel: RTCDataChannel) -> None:
        self.channel = channel
        channel.on("message", self._hear)
        self.send("session.created", session=self._session())

    def _session(self) -> Event:
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.session_id,
            "audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": True}}},
        }

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self.session_id}_{next(self.numbers)}"

    def _hear(self, text: str) -> None:
        event = json.loads(text)
        match event["type"]:
            case "session.update":
                self.send("session.updated", session=self._session())
            case "conversation.item.create":
                self._said = event["item"]["content"][0]["text"]
                self._add(
                    {"id": self._id("item"), "object": "realtime.item", "status": "completed", **event["item"]}
                )
            case "response.create":
                self._respond(self._said)
            case "response.cancel" | "output_audio_buffer.clear":
                self._break_off("client_cancelled")

    def _add(self, item: Event) -> None:
        for type in ("conversation.item.added", "conversation.item.done"):
            self.send(type, previous_item_id=None, item=item)

    def _listen(self, track: MediaStreamTrack) -> None:
        task = asyncio.get_running_loop().create_task(self._follow(track))
        self.tasks.add(task)

    async def _follow(self, track: MediaStreamTrack) -> None:
        quiet, item_id = 0, ""
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                is_loud = float(np.sqrt(np.mean(frame.to_ndarray().astype(np.float64) ** 2))) > LOUD
                quiet = 0 if is_loud else quiet + 1
                if is_loud and not item_id:
                    item_id = self._id("item")
                    self.send("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
                    self._break_off("turn_detected")
                if item_id and quiet == TURN_ENDS_AFTER:
                    self._end_turn(item_id)
                    item_id = ""

    def _end_turn(self, item_id: str) -> None:
        self.send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=0)
        self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        message = {"object": "realtime.item", "type": "message", "role": "user", "status": "completed"}
        self._add({"id": item_id, **message, "content": content})
        self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=HEARD,
            usage={"type": "duration", "seconds": 1},
        )
        self._respond(HEARD)

    def _respond(self, said: str) -> None:
        is_story = said == STORY
        text = " ".join(f"This is sentence number {n + 1}." for n in range(STORY_SENTENCES)) if is_story else ""
        text = text or f"You said: {said.rstrip('.?')}."
        item_id = self._id("item")
        response: Event = {"id": self._id("resp"), "object": "realtime.response", "output": []}
        response |= {"status": "in_progress", "usage": None, "item": item_id, "text": text}
        self.response = response
        item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant", "content": []}
        of_part = {"response_id": response["id"], "item_id": item_id, "output_index": 0, "content_index": 0}
        self.send("response.created", response=_shown(response))
        self.send("response.output_item.added", response_id=response["id"], output_index=0, item=item)
        self.send("conversation.item.added", previous_item_id=None, item={**item, "status": "in_progress"})
        self.send("response.content_part.added", part={"type": "audio", "transcript": ""}, **of_part)
        for word in text.split():
            self.send("response.output_audio_transcript.delta", delta=f"{word} ", **of_part)
        self.send("response.output_audio_transcript.done", transcript=text, **of_part)
        done = {**item, "status": "completed", "content": [{"type": "output_audio", "transcript": text}]}
        self.send("conversation.item.done", previous_item_id=None, item=done)
        self.send("response.output_item.done", response_id=response["id"], output_index=0, item=done)
        response |= {"status": "completed", "output": [done], "usage": _USAGE}
        self.send("response.done", response=_shown(response))
        self.send("output_audio_buffer.started", response_id=response["id"])
        self.loudspeaker.queued = _ANSWER * (20 if is_story else 1)
        self.loudspeaker.on_empty = lambda: self._finish(response)

    def _finish(self, response: Event) -> None:
        if self.response is response:
            self.response = None
            self.send("output_audio_buffer.stopped", response_id=response["id"])

    def _break_off(self, reason: str) -> None:
        response, self.response = self.response, None
        if response is None:
            return
        whole = len(_ANSWER) * (20 if len(response["text"]) > 200 else 1)
        heard_ms = (whole - len(self.loudspeaker.queued)) // PCM_48K.bytes_in(1)
        self.loudspeaker.queued = b""
        self.send("output_audio_buffer.cleared", response_id=response["id"])
        self.send("conversation.item.truncated", item_id=response["item"], content_index=0, audio_end_ms=heard_ms)


def _shown(response: Event) -> Event:
    return {key: value for key, value in response.items() if key not in ("item", "text")}


_ANSWER: Final = transcode(Voices().clip("opening-hours").pcm, PCM_8K, PCM_48K)
_USAGE: Final = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}


@dataclass
class Standin:
    """The endpoints, and the peers they answered."""

    key: str = ""
    """Empty: everybody is let in, as on a gateway for development."""
    serves_webrtc: bool = True
    peers: dict[str, Peer] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                *page.routes(),
                Route("/v1/realtime/client_secrets", self.secret, methods=["POST"]),
                Route("/v1/realtime/ice-servers", self.ice_servers),
                *([Route("/v1/realtime/calls", self.call, methods=["POST"])] if self.serves_webrtc else ()),
            ]
        )

    async def secret(self, request: Request) -> Response:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            told = {"message": "Expected an API key.", "code": "invalid_api_key", "type": "invalid_request_error"}
            return JSONResponse({"code": 401, "message": told["message"], "error": told}, 401)
        session = (await request.json())["session"]
        return JSONResponse({"value": "ek_standin", "expires_at": 0, "session": {"model": "reception", **session}})

    async def ice_servers(self, _request: Request) -> Response:
        return JSONResponse({"ice_servers": []})

    async def call(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer ek_standin"
        wanted = request.query_params.get("session_id")
        if wanted and wanted not in self.peers:
            return JSONResponse({"error": {"message": f"There is no session {wanted}."}}, 404)
        peer = Peer(wanted or f"sess_{len(self.peers) + 1}")
        self.peers[peer.session_id] = peer
        answer = await peer.answer((await request.body()).decode())
        location = {"Location": f"/v1/realtime/calls/rtc_{peer.session_id}"}
        return Response(answer, 201, location, "application/sdp")

    async def break_connections(self) -> None:
        for peer in self.peers.values():
            await peer.close()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Standin, None]:
        try:
            yield self
        finally:
            await self.break_connections()
