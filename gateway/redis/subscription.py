"""What is published on one channel, for as long as somebody listens: a broken connection is mended.

Redis keeps nothing for who is away (https://redis.io/docs/latest/develop/pubsub/): what was published between two
connections is lost, and `told` says when that may have been. A listener that is slow is held by TCP; Redis ends the
connection when 32 MB wait for it, which counts as broken.

Knows no circuit breaker: it is one connection, and what it waits for keeps no call waiting.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError

from gateway.redis.errors import FAILURES, explained, laid_bare

log = logging.getLogger(__name__)

JOIN_LIMIT_S: Final = 1.0
"""For connecting, logging in and being subscribed. Nobody waits for it, so it may take longer than an operation."""
QUIET_S: Final = 1.0
"""Without a message for so long, Redis is asked for a sign of life, which it has as long again to give: a host that
vanished sends no word of it."""
FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 1.0
"""Before the next try; doubled from the first to this. Each is shortened by up to half at random, so that workers
that lost Redis together do not return together."""

Connect = Callable[[], Awaitable[AbstractConnection]]
"""Names where to connect; the connection need not be connected yet."""


async def messages(
    connect: Connect, channel: str, *, is_sharded: bool, told: Callable[[bool], None], where: str
) -> AsyncGenerator[bytes, None]:
    """Each message, in order; never ends by itself. Close it (`aclosing`) to leave the channel.

    `told(True)` when Redis has confirmed the subscription, each time anew; `told(False)` when it broke.
    `is_sharded`: the channel belongs to the node of its slot (`SSUBSCRIBE`), as in a cluster.
    """
    wait_s = FIRST_WAIT_S
    while True:
        connection: AbstractConnection | None = None
        is_joined = False
        try:
            async with asyncio.timeout(JOIN_LIMIT_S):
                connection = await connect()
                await _join(connection, channel, is_sharded=is_sharded)
            is_joined = True
            wait_s = FIRST_WAIT_S
            log.info("= subscribed to %s at %s", channel, where)
            told(True)
            async with aclosing(_heard(connection)) as heard:
                async for message in heard:
                    yield message
        except FAILURES as error:
            words = explained(laid_bare(error), f"subscribing to {channel}", where)
            log.log(logging.WARNING if is_joined else logging.INFO, "= not subscribed, tried again: %s", words)
            if is_joined:
                told(False)
        finally:
            if connection is not None:
                await connection.disconnect(nowait=True)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


async def _join(connection: AbstractConnection, channel: str, *, is_sharded: bool) -> None:
    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py gives it no types
    await connection.send_command("SSUBSCRIBE" if is_sharded else "SUBSCRIBE", channel)
    await connection.read_response()


async def _heard(connection: AbstractConnection) -> AsyncGenerator[bytes, None]:
    """Ends only with one of `FAILURES`."""
    is_asked = False
    while True:
        reply = await connection.read_response(timeout=QUIET_S)
        match reply:
            case None if is_asked:
                raise ConnectionError(f"silent for {2 * QUIET_S:g} s")
            case None:
                is_asked = True
                await connection.send_command("PING")
                continue
            case [b"message" | b"smessage", _, bytes(message)]:
                yield message
            case [b"sunsubscribe", *_]:
                raise ConnectionError("the channel's slot moved to another node")
            case _:  # the answer to PING
                pass
        is_asked = False
