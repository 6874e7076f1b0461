"""A WebSocket server that says what a test tells it to, for what no stand-in would say."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@dataclass(slots=True)
class ScriptedSocket:
    """Where it is, and what it was sent."""

    base_url: str = ""
    sent: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def scripted_socket(
    *messages: dict[str, Any] | str, after: Callable[[dict[str, Any]], bool] = lambda _: True
) -> AsyncGenerator[ScriptedSocket, None]:
    """Says `messages` once something comes that is `after`; `$ID` in them is the context's id. Then it listens."""
    socket = ScriptedSocket()

    async def converse(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            has_spoken = False
            async for text in connection:
                message = json.loads(text)
                socket.sent.append(message)
                if not has_spoken and after(message):
                    has_spoken = True
                    for said in messages:
                        whole = said if isinstance(said, str) else json.dumps(said)
                        await connection.send(whole.replace("$ID", message["context_id"]))

    async with serve(converse, "127.0.0.1", 0) as server:
        socket.base_url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield socket
