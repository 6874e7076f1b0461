"""The load generator: many conversing calls from one process, on one timer, through the real webhook and socket.

It is meant for one core of its own. It speaks picows, the lightest WebSocket client there is, because a generator
that is slower than the gateway measures itself; its own lateness is part of the result.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import aiohttp
import numpy as np
from picows import WSMsgType, WSTransport, ws_connect

from simulator.load_call import FRAME_S, LoadCall, Script, Tally
from simulator.load_line import Line
from simulator.messages import MessageWriter
from simulator.noise import ComfortNoise
from simulator.signature import SIGNATURE_HEADER, sign
from simulator.sound import Codec, Sound
from simulator.twiml_reader import read_twiml
from simulator.verb import Connect
from simulator.webhook import Webhooks, call_form

PHASES = 20
"""Calls are spread over the 20 ms of a frame, as those of strangers are."""

FRAME_BYTES = 160
NOISE_FRAMES = 200


@dataclass(frozen=True, slots=True)
class Target:
    """The gateway to call."""

    voice_url: str
    auth_token: str
    account_sid: str


class Call(Protocol):
    """One call as the load drives it; see `LoadCall`."""

    is_measured: bool

    def receive(self, text: bytes | memoryview, now: float) -> None: ...
    def tick(self, now: float) -> list[str]: ...


Talk: TypeAlias = Callable[[str, random.Random], Call]
"""Makes a call for a StreamSid."""


def script_for(clips: list[Sound], *, noise_dbfs: float, lead_s: float, barge_in_share: float, seed: int) -> Script:
    """The callers' sounds, with noise under them, cut into frames and encoded once for all."""
    noise = ComfortNoise(noise_dbfs, np.random.default_rng(seed))
    return Script(
        clips=tuple(_frames(noise.under(clip.pcm)) for clip in clips),
        phrases=tuple(clip.text for clip in clips),
        noise=_frames(noise.under(bytes(2 * FRAME_BYTES * NOISE_FRAMES))),
        lead_s=lead_s,
        barge_in_share=barge_in_share,
    )


def _frames(pcm: bytes) -> tuple[str, ...]:
    law = Codec.PCMU.encode(pcm)
    whole = len(law) // FRAME_BYTES * FRAME_BYTES
    return tuple(b64encode(law[at : at + FRAME_BYTES]).decode() for at in range(0, whole, FRAME_BYTES))


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A call that is up. The writer says what begins and ends it; frames come from `LoadCall`, which is leaner."""

    call: Call
    line: Line
    transport: WSTransport
    writer: MessageWriter


class Load:
    """A growing number of calls. `run` keeps them talking; `add` brings more."""

    def __init__(self, target: Target, talk: Script | Talk, seed: int) -> None:
        """A script makes calls that talk at random for ever."""
        self._target = target
        self._talk = talk
        self._rng = random.Random(seed)
        self._phases: list[list[_Placed]] = [[] for _ in range(PHASES)]
        self._added = 0
        self.tally = Tally()
        self.failed = 0
        """Calls that could not be placed, or were lost."""

    @property
    def calls(self) -> int:
        return sum(len(phase) for phase in self._phases)

    async def add(self, session: aiohttp.ClientSession) -> None:
        """Place one more call."""
        call_sid, stream_sid = f"CA{uuid.uuid4().hex}", f"MZ{uuid.uuid4().hex}"
        target = self._target
        form = call_form(
            call_sid=call_sid,
            account_sid=target.account_sid,
            from_number="+15550100002",
            to_number="+15550100001",
            status="ringing",
        )
        answer = await Webhooks(session, target.auth_token).ask(target.voice_url, "POST", form)
        document = read_twiml(answer.body, content_type=answer.content_type, base_url=answer.url)
        connect = document.verbs[0]
        if not isinstance(connect, Connect):
            self.failed += 1
            return
        call = self._call(stream_sid, random.Random(self._rng.random()))
        line = await self._open(connect, call)
        writer = MessageWriter(target.account_sid, call_sid, stream_sid)
        for message in (writer.connected(), writer.start(Codec.PCMU, {})):
            line[1].send(WSMsgType.TEXT, message.encode())
        self._phases[self._added % PHASES].append(_Placed(call, *line, writer))
        self._added += 1

    def _call(self, stream_sid: str, draws: random.Random) -> Call:
        if isinstance(self._talk, Script):
            return LoadCall(stream_sid, self._talk, self.tally, draws)
        return self._talk(stream_sid, draws)

    async def _open(self, connect: Connect, call: Call) -> tuple[Line, WSTransport]:
        url = connect.stream.url
        headers = {SIGNATURE_HEADER: sign(self._target.auth_token, url, {})}
        transport, listener = await ws_connect(
            lambda: Line(call.receive, asyncio.get_running_loop().time), url, extra_headers=headers
        )
        assert isinstance(listener, Line)
        return listener, transport

    async def run(self) -> None:
        """Every call's frame every 20 ms, until cancelled."""
        loop = asyncio.get_running_loop()
        step_s = FRAME_S / PHASES
        began, step = loop.time(), 0
        while True:
            due = began + step * step_s
            now = loop.time()
            if due > now:
                await asyncio.sleep(due - now)
                now = loop.time()
            self._tick(self._phases[step % PHASES], now, now - due)
            step += 1
            if step % PHASES == 0:
                await asyncio.sleep(0)

    def _tick(self, phase: list[_Placed], now: float, late_s: float) -> None:
        tally = self.tally
        if phase:
            tally.own_lateness.append(late_s * 1000)
        for placed in list(phase):
            if not placed.line.is_open:
                phase.remove(placed)
                self.failed += 1
                continue
            for message in placed.call.tick(now):
                placed.transport.send(WSMsgType.TEXT, message.encode())
            tally.frames_sent += 1

    def measure(self) -> Tally:
        """Forget what was measured; from now on everything counts. The tally that is being written is returned."""
        fresh = Tally()
        for field in Tally.__slots__:
            setattr(self.tally, field, getattr(fresh, field))
        for phase in self._phases:
            for placed in phase:
                placed.call.is_measured = True
        return self.tally

    def hang_up(self) -> None:
        """Put all phones down."""
        for phase in self._phases:
            for placed in phase:
                placed.transport.send(WSMsgType.TEXT, placed.writer.stop().encode())
                placed.transport.disconnect()
            phase.clear()
