"""The gateway's own peer connections with an echo behind them, and no session: what transport costs and takes.

The same `Link` and `Track` that a session has. What the track hears, at the rate of a session, it says; what comes
by the data channel goes back. Beside the floor it shows what our transport does of the same work, and beside the
gateway what of a session is transport.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.cli.bench_floor import ready, serve
from gateway.cli.loopback import HOST
from gateway.media_stream.pacer import Pacer
from gateway.webrtc.addresses import Addresses
from gateway.webrtc.answer import answer_to
from gateway.webrtc.link import Link, LinkEnd, LinkSetup, make_certificate
from gateway.webrtc.offer import read_offer
from gateway.webrtc.track import Track
from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.session import Session

PCM_24K: Final = AudioFormat(Encoding.PCM16, 24_000)
"""What a session hears and says unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class _Formats:
    input_format: AudioFormat = PCM_24K
    output_format: AudioFormat = PCM_24K


@dataclass(frozen=True, slots=True)
class _Session:
    """All that a track asks of one."""

    config: _Formats = field(default_factory=_Formats)


class Echo:
    """One peer connection that echoes until its peer has left."""

    def __init__(self, setup: LinkSetup, pacer: Pacer, sdp: str) -> None:
        self._offer = read_offer(sdp)
        self._ssrc = secrets.randbits(32)
        self._is_over = asyncio.Event()
        self._link = Link(
            setup,
            on_rtp=lambda packet: self._track.receive(packet),
            on_rtcp=lambda packet: self._track.receive_report(packet),
            on_message=lambda message: self._link.send_text(message.decode()),
            on_channel=lambda: None,
            on_end=self._end,
        )
        self._track = Track(
            self._offer.audio,
            pacer,
            ssrc=self._ssrc,
            name="echo",
            send_rtp=self._link.send_rtp,
            send_rtcp=self._link.send_rtcp,
            hear=lambda audio: self._track.push(audio),
            played=lambda position: None,
        )

    def _end(self, why: LinkEnd) -> None:
        self._is_over.set()

    async def answer(self) -> str:
        await self._link.gather()
        return answer_to(self._offer, self._link.local_side(self._offer, ssrc=self._ssrc, cname="echo"))

    async def run(self) -> None:
        try:
            await self._link.connect(self._offer)
            if not self._is_over.is_set():
                self._track.begin(cast(Session, _Session()))  # of which it reads the formats only
            await self._is_over.wait()
        finally:
            self._track.stop()
            await self._link.close()


class Echoes:
    """All of a process."""

    def __init__(self) -> None:
        self._setup = LinkSetup(addresses=Addresses((HOST,)), certificate=make_certificate())

    @asynccontextmanager
    async def opened(self, app: Any) -> AsyncGenerator[None, None]:
        """While the application lives."""
        self._pacer = Pacer()
        async with asyncio.TaskGroup() as self._tasks:
            ending = self._tasks.create_task(asyncio.Event().wait())
            yield
            ending.cancel()

    async def take(self, request: Request) -> Response:
        """Answer an offer in SDP."""
        echo = Echo(self._setup, self._pacer, (await request.body()).decode())
        answer = await echo.answer()
        self._tasks.create_task(echo.run())
        return Response(answer, 201, media_type="application/sdp")


echoes = Echoes()
app = Starlette(
    routes=[Route("/readyz", ready), Route("/v1/realtime/calls", echoes.take, methods=["POST"])],
    lifespan=echoes.opened,
)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app))
