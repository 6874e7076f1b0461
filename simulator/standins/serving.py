"""Serves a stand-in on loopback, and lets it do what no well-behaved server would: vanish in mid-sentence.

A stand-in is an ASGI application. `cut(scope)` ends the connection of a WebSocket or of an HTTP answer at once,
without a close frame or the rest of a body: the peer sees 1006, or a broken transfer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_TRANSPORT = "switchboard.transport"

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Providers take whole recordings in one message."""


GOODBYE_S = 0.1
"""For peers to answer a close frame, and for what was begun to be written."""


class _WebSocket(WebSocketsSansIOProtocol):
    """Inherits because uvicorn knows its protocols by their class."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        _offer(self.scope, self.transport)


class _Http(H11Protocol):
    """Inherits because uvicorn knows its protocols by their class."""

    def handle_events(self) -> None:
        super().handle_events()
        if self.scope is not None:
            _offer(self.scope, self.transport)


def _offer(scope: Any, transport: asyncio.BaseTransport) -> None:
    scope.setdefault("extensions", {})[_TRANSPORT] = transport


def cut(scope: Scope) -> None:
    """End the connection of this request now, without another word."""
    transport: asyncio.Transport = scope["extensions"][_TRANSPORT]
    transport.abort()


@contextlib.asynccontextmanager
async def served(app: ASGIApp, *, port: int = 0) -> AsyncGenerator[str, None]:
    """Serve `app` on 127.0.0.1; gives `127.0.0.1:port`. At the end whatever still runs is cut off."""
    listening = socket.create_server(("127.0.0.1", port))  # from here on, who connects is kept waiting, not refused
    # Accepted sockets inherit it. Small messages would otherwise wait for an acknowledgement, 40 ms each.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        ws=_WebSocket,
        http=_Http,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="critical",
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with contextlib.closing(listening):
        await server.startup([listening])
        ticking = asyncio.create_task(server.main_loop())  # the date of its answers
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ticking.cancel()
            await asyncio.wait((ticking,))
            await _let_go(server)


async def _let_go(server: uvicorn.Server) -> None:
    """As uvicorn's own shutdown, but over as soon as everybody has left, and not at its next tick."""
    for listener in server.servers:
        listener.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has sets, and no event
                await asyncio.sleep(0.001)
    for connection in list(state.connections):
        connection.transport.abort()
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
