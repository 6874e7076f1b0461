"""Warm connections: one is always open before it is needed, so that no caller waits for a handshake.

Whoever leases one has it alone. What comes back sound is lent again; what is cut, broken or too old is closed, and
another is opened in the background. Made in no loop, used from one; closed by `aclose`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.provider import ProviderError

log = logging.getLogger(__name__)

Connection = TypeVar("Connection")

CONNECT_LIMIT_S = 2.0
"""A handshake that takes longer would be heard as silence; the next provider is faster."""


@dataclass(slots=True)
class Lease(Generic[Connection]):
    """A connection that is lent. It is lent again only if `is_reusable` was set before it came back."""

    connection: Connection
    is_reusable: bool = False


@dataclass(slots=True)
class _Open(Generic[Connection]):
    connection: Connection
    closing: AsyncExitStack
    since_s: float
    ageing: asyncio.TimerHandle | None = None


class WarmConnections(Generic[Connection]):
    """`connect` makes a connection (its errors are `ProviderError`s already); `is_open` tells whether one is still
    alive; `keep_alive`, if given, is called every `keep_alive_s` on one that waits.

    `idle_s`: how long one may wait before it is closed; services close theirs after ten seconds to a minute.
    """

    def __init__(
        self,
        label: str,
        connect: Callable[[], AbstractAsyncContextManager[Connection]],
        *,
        is_open: Callable[[Connection], bool],
        idle_s: float,
        keep_alive: Callable[[Connection], Awaitable[None]] | None = None,
        keep_alive_s: float = 5.0,
        spares: int = 1,
    ) -> None:
        self._label = label
        self._connect = connect
        self._is_open = is_open
        self._idle_s = idle_s
        self._keep_alive = keep_alive
        self._keep_alive_s = keep_alive_s
        self._spares = spares
        self._waiting: list[_Open[Connection]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Connections that are open and lent to nobody."""
        return len(self._waiting)

    async def prepare(self) -> None:
        """Open a spare one. That it fails now need not matter: the next who needs one tries again."""
        try:
            await self._open_spare()
        except ProviderError as error:
            log.warning("no connection kept warm: %s", error)

    @asynccontextmanager
    async def lease(self) -> AsyncGenerator[Lease[Connection], None]:
        """A connection, open and one's own. Raises `ProviderError` if none can be had."""
        opened = self._take() or await self._open()
        self._refill()
        lease = Lease(opened.connection)
        try:
            yield lease
        finally:
            if lease.is_reusable and not self._is_closed and self._is_open(opened.connection):
                self._keep(opened)
            else:
                self._in_background(_close(opened))

    async def aclose(self) -> None:
        """Close what waits; what is lent is closed when it comes back."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, []
        for opened in waiting:
            _stop_ageing(opened)
            self._in_background(_close(opened))
        # Each is bounded by itself; one that is cancelled would leave its socket open.
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self) -> _Open[Connection] | None:
        while self._waiting:
            opened = self._waiting.pop()
            _stop_ageing(opened)
            if self._is_open(opened.connection):
                return opened
            self._in_background(_close(opened))
        return None

    async def _open(self) -> _Open[Connection]:
        closing = AsyncExitStack()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                connection = await closing.enter_async_context(self._connect())
        except TimeoutError:
            message = f"no connection within {CONNECT_LIMIT_S:g} seconds"
            raise ProviderError(self._label, message, retryable=True) from None
        return _Open(connection, closing, asyncio.get_running_loop().time())

    def _refill(self) -> None:
        if len(self._waiting) < self._spares and not self._is_closed:
            self._in_background(self.prepare())

    async def _open_spare(self) -> None:
        if len(self._waiting) < self._spares:
            opened = await self._open()
            if self._is_closed:
                await _close(opened)
            else:
                self._keep(opened)

    def _keep(self, opened: _Open[Connection]) -> None:
        opened.since_s = asyncio.get_running_loop().time()
        self._waiting.append(opened)
        self._age(opened)

    def _age(self, opened: _Open[Connection]) -> None:
        wait_s = min(self._keep_alive_s, self._idle_s) if self._keep_alive else self._idle_s
        opened.ageing = asyncio.get_running_loop().call_later(wait_s, self._look_at, opened)

    def _look_at(self, opened: _Open[Connection]) -> None:
        """One has waited for a while: it is kept alive, or closed."""
        is_old = asyncio.get_running_loop().time() - opened.since_s >= self._idle_s
        if is_old or not self._is_open(opened.connection):
            self._waiting.remove(opened)
            self._in_background(_close(opened))
            return
        if self._keep_alive is not None:
            self._in_background(self._revive(opened, self._keep_alive))
        self._age(opened)

    async def _revive(self, opened: _Open[Connection], keep_alive: Callable[[Connection], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await keep_alive(opened.connection)
        except (ProviderError, TimeoutError, OSError):
            if opened in self._waiting:
                self._waiting.remove(opened)
                _stop_ageing(opened)
            await _close(opened)

    def _in_background(self, work: Awaitable[None]) -> None:
        # A bare task: it belongs to no call, and `aclose` waits for it.
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stop_ageing(opened: _Open[Connection]) -> None:
    if opened.ageing is not None:
        opened.ageing.cancel()


async def _close(opened: _Open[Connection]) -> None:
    # A connection that was cut may say so while it is closed; nobody is interested any more.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await opened.closing.aclose()
