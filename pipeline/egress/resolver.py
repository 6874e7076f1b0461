"""Asks the system for the addresses of a name, without letting a slow name server hold anything up.

`getaddrinfo` blocks its thread, for ten seconds and more when the DNS is gone, and cannot be stopped. So it has
threads of its own, few of them, and whoever finds them all taken is told so at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from pipeline.egress.refusal import EgressRefused, Reason

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text. Raises OSError if there are none."""

LOOKUP_LIMIT_S = 2.0
"""A good answer takes milliseconds; more would eat the time of the call it is for."""
THREADS = 4
MOST_WAITING = 16
"""Look-ups under way and queued, of the whole process."""


class SystemResolver:
    """The system's names (hosts file, DNS), as a `Resolve`."""

    def __init__(self, *, look_up: Callable[[str, int], Sequence[str]] | None = None) -> None:
        """`look_up` blocks, and runs in a thread."""
        self._look_up = look_up or _look_up
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")
        self._waiting = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if self._waiting >= MOST_WAITING:
            raise EgressRefused(
                Reason.LOOKUP, f"{host} was not looked up: {MOST_WAITING} names already wait for an answer."
            )
        self._waiting += 1
        asked = self._threads.submit(self._look_up, host, port)
        loop = asyncio.get_running_loop()
        asked.add_done_callback(lambda _: _tell(loop, self._finish))
        return await asyncio.wrap_future(asked)

    def _finish(self) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Take no more; threads that still wait end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _tell(loop: asyncio.AbstractEventLoop, finish: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(finish)


def _look_up(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
