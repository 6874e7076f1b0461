"""The line to one MCP server: one task that holds the connection, and takes what others want asked.

The SDK's scopes must be left in the task that entered them, while the session asks from many. So wishes come in by
a queue and answers go out by futures. A connection is opened for the first wish, kept, and replaced when it breaks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, TypeVar

import anyio
from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED

from pipeline.mcp.connection import Connection
from pipeline.mcp.tool import McpFailure
from pipeline.mcp.trouble import failure_of, late, lost, notes

T = TypeVar("T")

MOST_WAITING = 32
"""Wishes of one session to one server that nobody has taken yet; one more is refused."""
GRACE_S = 0.1
"""For the task to say why it is late, which it knows better than whoever waits."""

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


class _Wish:
    """One thing to ask, and where the answer goes."""

    def __init__(self, ask: Callable[[Client], Awaitable[Any]], limit_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.ask = ask
        self.limit_s = limit_s
        self.ends_at_s = loop.time() + limit_s
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.is_fulfilled = False

    def fail(self, failure: McpFailure) -> None:
        if not self.answer.done():
            self.answer.set_exception(failure)

    def fulfil(self, answer: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
        self.is_fulfilled = True


class ServerLine:
    """See the module's docstring. `run` is the task; `ask` is called from any other."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._wishes: asyncio.Queue[_Wish | None] = asyncio.Queue(MOST_WAITING)
        self._under_way: set[_Wish] = set()
        self._is_broken = False

    async def ask(self, ask: Callable[[Client], Awaitable[T]], limit_s: float) -> T:
        """What `ask` gives, connecting first if need be, all within the limit. Raises `McpFailure`."""
        wish = _Wish(ask, limit_s)
        try:
            self._wishes.put_nowait(wish)
        except asyncio.QueueFull:
            raise McpFailure("protocol_error", "The MCP server has too many calls waiting.") from None
        try:
            async with asyncio.timeout_at(wish.ends_at_s + GRACE_S):
                answer: T = await wish.answer
                return answer
        except TimeoutError:
            raise late(limit_s) from None

    def hang_up(self) -> None:
        """No more wishes: `run` ends once those under way are answered."""
        if self._wishes.full() and (first := self._wishes.get_nowait()) is not None:
            first.fail(lost())
        self._wishes.put_nowait(None)

    async def run(self) -> None:
        """Serve until `hang_up`, over as many connections as that takes."""
        try:
            wish = await self._wishes.get()
            while wish is not None:
                if wish.answer.done():  # whoever wished has left
                    wish = await self._wishes.get()
                else:
                    wish = await self._serve_over_one_connection(wish)
        finally:
            while not self._wishes.empty():
                left = self._wishes.get_nowait()
                if left is not None:
                    left.fail(lost())

    async def _serve_over_one_connection(self, first: _Wish) -> _Wish | None:
        """The wish that needs another connection; None once there are no more."""
        noted: list[McpFailure] = []
        notes.set(noted)
        self._under_way, self._is_broken = {first}, False
        failure = lost()
        following: list[_Wish | None] = []
        try:
            # One scope around everything, because scopes must be left in the reverse order they were entered in.
            with anyio.CancelScope(deadline=first.ends_at_s) as connecting:
                async with self._connect() as connection:
                    connecting.deadline = math.inf
                    following.append(await self._serve(connection, first))
            if connecting.cancelled_caught:
                failure = noted[-1] if noted else late(first.limit_s)
        except Exception as error:  # the edge of the task: whatever the SDK dies of is a failure of its server
            failure = failure_of(error, noted)
        finally:
            for wish in self._under_way:
                wish.fail(failure)
        return following[0] if following else await self._wishes.get()

    async def _serve(self, connection: Connection, first: _Wish) -> _Wish | None:
        wish: _Wish | None = first
        async with anyio.create_task_group() as running:
            while wish is not None and not self._is_broken:
                self._under_way.add(wish)
                running.start_soon(self._fulfil, connection, wish)
                wish = await self._wishes.get()
        return wish

    async def _fulfil(self, connection: Connection, wish: _Wish) -> None:
        noted: list[McpFailure] = []
        notes.set(noted)
        try:
            with anyio.CancelScope(deadline=wish.ends_at_s):
                wish.fulfil(await wish.ask(connection.client))
        except Exception as error:  # the edge of the task
            wish.fail(failure_of(error, noted))
            self._is_broken |= not isinstance(error, MCPError | McpFailure) or error.code == CONNECTION_CLOSED
        # Too late. Over the older SSE a request that could not be sent is never answered either.
        self._is_broken |= connection.has_one_stream and not wish.is_fulfilled
        wish.fail(noted[-1] if noted else late(wish.limit_s))
        self._under_way.discard(wish)
