"""The floor of the Realtime benchmark: the Realtime endpoint, and behind it nothing but an echo.

The same server with the same settings as `bench_floor`, whose answers it gives, on the path a Realtime client asks
for. It asks nobody for credentials and reads no event.
"""

from __future__ import annotations

import asyncio

import uvloop
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from gateway.cli.bench_floor import echo, ready, serve

app = Starlette(routes=[Route("/readyz", ready), WebSocketRoute("/v1/realtime", echo)])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app))
