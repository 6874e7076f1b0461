"""The floor of the WebRTC benchmark: stock aiortc, and behind it nothing but an echo.

An `RTCPeerConnection` for each offer. The track that comes is the track that goes, so aiortc decodes every packet
and codes it again, in its own way and with its own settings; each message of a data channel goes back as it is. On
the path a Realtime client asks for and on the gateway's server, but it asks nobody for credentials.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.cli.bench_floor import ready, serve
from simulator.loopback_ice import gather_on

_peers: set[RTCPeerConnection] = set()
"""Those there are: nobody else holds them."""


async def answer(request: Request) -> Response:
    """To an offer in SDP."""
    offer = (await request.body()).decode()
    peer = RTCPeerConnection()
    _peers.add(peer)

    def echo_track(track: MediaStreamTrack) -> None:
        peer.addTrack(track)

    def echo_channel(channel: RTCDataChannel) -> None:
        channel.on("message", channel.send)
        channel.on("close", leave)

    async def leave() -> None:
        await peer.close()  # may be called again
        _peers.discard(peer)

    async def note_state() -> None:
        if peer.connectionState in ("failed", "closed"):
            await leave()

    peer.on("track", echo_track)
    peer.on("datachannel", echo_channel)
    peer.on("connectionstatechange", note_state)
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    gather_on(peer)
    await peer.setLocalDescription(await peer.createAnswer())
    return Response(peer.localDescription.sdp, 201, media_type="application/sdp")


app = Starlette(routes=[Route("/readyz", ready), Route("/v1/realtime/calls", answer, methods=["POST"])])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app))
