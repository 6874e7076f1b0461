"""The floor of the benchmark: what uvicorn and Starlette cost when the application does nothing.

Every frame that comes in goes back as it is, over the same server with the same settings as the gateway. No call,
no speech detection, no pacing. It answers the voice webhook with a stream on itself, so the same load runs on both.
"""

from __future__ import annotations

import asyncio
import os

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.server import WS_MAX_BYTES
from twiml.documents import connect_stream

PORT = int(os.environ.get("PORT", "8080"))


async def voice(_request: Request) -> Response:
    here = f"127.0.0.1:{PORT}"
    document = connect_stream(
        stream_url=f"ws://{here}/echo",
        parameters={},
        action_url=f"http://{here}/twilio/voice",
        redirect_url=f"http://{here}/twilio/voice",
        status_callback_url=f"http://{here}/twilio/voice",
    )
    return Response(document, media_type="text/xml")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


async def ready(_request: Request) -> Response:
    return JSONResponse({"status": "ready"})


app = Starlette(
    routes=[
        Route("/twilio/voice", voice, methods=["POST"]),
        Route("/readyz", ready),
        WebSocketRoute("/echo", echo),
    ]
)


async def serve(app: Starlette) -> None:
    """Serve a floor with the gateway's settings."""
    config = uvicorn.Config(
        app,
        port=PORT,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=WS_MAX_BYTES,
        access_log=False,
        log_config=None,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app))
