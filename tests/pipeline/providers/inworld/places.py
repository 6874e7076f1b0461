"""Places a provider of Inworld's can be pointed at: the stand-in, and servers that say what a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

from websockets.asyncio.server import ServerConnection, serve

from pipeline.agent import Agent
from pipeline.providers.source import Source
from simulator.standins.inworld import InworldStandIn
from simulator.standins.serving import served

KEY = "c3dpdGNoOmJvYXJk"

Json: TypeAlias = dict[str, Any]


class Closable(Protocol):
    async def aclose(self) -> None: ...


Made = TypeVar("Made", bound=Closable)


def source_at(
    address: str, *, model: str = "", api_key: str = KEY, agent: Agent | None = None, **options: Any
) -> Source:
    return Source(
        name="inworld",
        agent=agent or Agent("tester"),
        model=model,
        api_key=api_key,
        base_url=f"http://{address}" if address else "",
        options=options,
    )


@asynccontextmanager
async def at_stand_in(
    stand_in: InworldStandIn, make: Callable[[Source], Made], **more: Any
) -> AsyncGenerator[Made, None]:
    """What `make` makes for the stand-in; `more` is for its `Source`."""
    async with served(stand_in) as address:
        made = make(source_at(address, **more))
        try:
            yield made
        finally:
            await made.aclose()


@asynccontextmanager
async def at_script(
    answers: Callable[[Json], list[Any]], make: Callable[[Source], Made], **more: Any
) -> AsyncGenerator[Made, None]:
    """What `make` makes for a server that says `answers(message)` to each message.

    An answer is a result, a text as it is, or a number: the code the server closes with.
    """

    async def converse(connection: ServerConnection) -> None:
        async for message in connection:
            for answer in answers(json.loads(message)):
                if isinstance(answer, int):
                    await connection.close(answer)
                else:
                    await connection.send(answer if isinstance(answer, str) else json.dumps({"result": answer}))

    async with serve(converse, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        made = make(source_at(f"{host}:{port}", **more))
        try:
            yield made
        finally:
            await made.aclose()


async def without_end(*things: bytes | str) -> AsyncIterator[Any]:
    """`things`, and then nothing, for as long as anyone waits."""
    for thing in things:
        yield thing
    await asyncio.Event().wait()
