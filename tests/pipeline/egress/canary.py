"""Listeners where nothing may ever knock, and name servers made of a table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

HOSTS = ("127.0.0.1", "::1")


@dataclass
class Canary:
    """Counts who knocks at one port of both loopback addresses."""

    port: int = 0
    knocks: int = 0


@contextlib.asynccontextmanager
async def canary() -> AsyncGenerator[Canary, None]:
    bird = Canary()

    def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bird.knocks += 1
        writer.close()

    first = await asyncio.start_server(hear, HOSTS[0], 0)
    bird.port = first.sockets[0].getsockname()[1]
    async with first, contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(OSError):  # a machine without IPv6
            await stack.enter_async_context(await asyncio.start_server(hear, HOSTS[1], bird.port))
        yield bird


class Names:
    """A `Resolve` that gives each name its lists of addresses, one after the other, the last for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        lists = self._answers.get(host)
        if lists is None:
            raise OSError(f"no such name: {host}")
        return lists.pop(0) if len(lists) > 1 else lists[0]
