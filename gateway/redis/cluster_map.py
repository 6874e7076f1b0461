"""Which node of a Redis Cluster has which slots: learnt beside the operations, not by them.

redis-py reads the list of all commands too when it first looks, 40 ms of Python on a quiet machine. Inside an
operation's limit that might be begun and cancelled over and over. So one task learns, with its own limit, and an
operation waits for it no longer than for anything else.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio.cluster import RedisCluster

LEARN_LIMIT_S: Final = 2.0
"""For all nodes that may have to be asked until one answers; `connections.NODE_LIMIT_S` is for each."""


class ClusterMap:
    """Of one client; close it before the client."""

    def __init__(self, client: RedisCluster) -> None:
        self._client = client
        self._learning: asyncio.Task[None] | None = None
        self._is_complete = False
        """Whether the commands are known too; they stay, where slots move."""

    async def known(self) -> None:
        """Returns when the map is there. Raises what kept it from being learnt; then the next call tries again."""
        if self._learning is None:
            # No task group: it outlives the operation that began it. `aclose` ends it.
            self._learning = asyncio.create_task(self._learn())
            self._learning.add_done_callback(self._learnt)
        await asyncio.shield(self._learning)

    def doubt(self) -> None:
        """A node did not answer: others may have its slots by now. The next operation looks."""
        if self._learning is not None and self._learning.done():
            self._learning = None

    async def aclose(self) -> None:
        learning, self._learning = self._learning, None
        if learning is not None:
            learning.cancel()
            await asyncio.wait([learning])

    async def _learn(self) -> None:
        async with asyncio.timeout(LEARN_LIMIT_S):
            # The first time this asks for everything; later only when redis-py itself had a doubt.
            await self._client.initialize()
            if self._is_complete:
                await self._client.nodes_manager.initialize()
            self._is_complete = True

    def _learnt(self, learning: asyncio.Task[None]) -> None:
        if learning.cancelled() or learning.exception() is not None:
            if self._learning is learning:
                self._learning = None
