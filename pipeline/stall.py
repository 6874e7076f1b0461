"""A stall: somebody who owes us something has brought nothing for too long.

`asyncio.timeout` with a deadline that moves at every sign of life, made cheap: a sign of life writes one number,
and a timer looks at it only when the time would be up.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Stall:
    """`async with Stall(limit_s) as stall:` raises TimeoutError once it has owed for `limit_s` without a sign.

    It owes nothing until `owes` is called, and nothing after `rests`; `owes` again is a sign of life.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._timeout = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._since: float | None = None

    def owes(self) -> None:
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._since + self._limit_s, self._look)

    def rests(self) -> None:
        self._since = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        due = self._since + self._limit_s
        if due <= self._loop.time():
            self._timeout.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_at(due, self._look)
