"""The metrics of all workers on one port, served by the supervisor: in a roll a worker's own would be taken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def metrics_app(page: Callable[[], Awaitable[str]]) -> Starlette:
    """Answers `/metrics` with the page as it is then."""

    async def answer(_request: Request) -> Response:
        return Response(await page(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", answer, methods=["GET"])])


@asynccontextmanager
async def metrics_served(listener: socket.socket, page: Callable[[], Awaitable[str]]) -> AsyncGenerator[None, None]:
    """Inside, the metrics are there to be scraped; the listener is closed at the end."""
    config = uvicorn.Config(
        metrics_app(page),
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    # uvicorn takes over the process's signals when it starts; the event loop hears them all the same.
    setattr(server, "handle_exit", lambda *_: None)  # noqa: B010 - a method cannot be assigned to by name
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
