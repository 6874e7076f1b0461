"""A bare client of the Inworld stand-in: it sends JSON and collects results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection, connect

from simulator.standins.inworld import InworldStandIn
from simulator.standins.serving import served

Json: TypeAlias = dict[str, Any]

TIMEOUT_S = 20
"""A failing test ends; a passing one never comes near."""


@asynccontextmanager
async def line_to(stand_in: InworldStandIn, path: str) -> AsyncGenerator[ClientConnection, None]:
    async with served(stand_in) as address, asyncio.timeout(TIMEOUT_S):
        headers = {"Authorization": "Basic a2V5"}
        url = f"ws://{address}{path}"
        async with connect(url, additional_headers=headers, proxy=None, max_size=None) as line:
            yield line


async def tell(line: ClientConnection, *messages: Json) -> None:
    for message in messages:
        await line.send(json.dumps(message))


async def hear(line: ClientConnection) -> Json:
    """The next result, or the whole message if it is none."""
    message: Json = json.loads(await line.recv())
    result: Json = message.get("result", message)
    return result


async def hear_until(line: ClientConnection, kind: str) -> list[Json]:
    """Results up to the first one of this kind."""
    results = [await hear(line)]
    while kind not in results[-1]:
        results.append(await hear(line))
    return results
