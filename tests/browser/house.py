"""What the pages of these tests talk to. All a test knows of it is `House`.

Now the stand-in; where the gateway takes offers, `open_house` starts the gateway instead, with the providers of
`tests/clients/answering.py` (`OneSentence`, `ByRules`) and a voice that is heard, and no test changes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.routing import BaseRoute

from tests.browser.standin import Standin
from tests.calls.support import LIMIT_S

KEY = "key-for-browsers"


@dataclass(frozen=True)
class House:
    """An open gateway."""

    url: str
    key: str
    """An API key that opens it; empty when none is asked for."""
    break_connections: Callable[[], Awaitable[None]]
    """Every session ends, and nobody hung up."""


@asynccontextmanager
async def open_house(
    *, needs_key: bool = False, serves_webrtc: bool = True, routes: Sequence[BaseRoute] = ()
) -> AsyncGenerator[House, None]:
    """The gateway on a free port of this machine. `routes`: pages of the test's own, on the same origin."""
    standin = Standin(key=KEY if needs_key else "", serves_webrtc=serves_webrtc)
    app = standin.app()
    app.router.routes.extend(routes)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    async with standin.open():
        serving = asyncio.create_task(server.serve([listening]))
        try:
            async with asyncio.timeout(LIMIT_S):
                while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag, no event
                    await asyncio.sleep(0.005)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield House(url, standin.key, standin.break_connections)
        finally:
            server.should_exit = True
            await serving
