"""One of those who race for calls: a process with a store of its own, that claims what it is told to.

A line in is a JSON list of media tokens; a line out says of each whether the claim was won. All claims of a line
are made at the same time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gateway.calls.keys import Keys
from gateway.calls.media_tokens import MediaTokens
from gateway.calls.redis_store import RedisStore
from gateway.clock import Clock
from gateway.errors import TokenRefused
from gateway.redis.link import RedisLink
from gateway.worker_id import worker_id


@asynccontextmanager
async def shared_store(redis_url: str, auth_token: str) -> AsyncGenerator[RedisStore, None]:
    """A store as a worker has one."""
    now = Clock()
    link, tokens = RedisLink(redis_url, now=now), MediaTokens((auth_token,), unix=now)
    try:
        yield RedisStore(link, Keys("switchboard"), tokens, worker_id=worker_id(), now=now)
    finally:
        await link.aclose()


async def race(store: RedisStore) -> None:
    """Until there are no more lines."""
    now, loop = Clock(), asyncio.get_running_loop()

    async def has_won(token: str) -> bool:
        try:
            await store.claim(token, now())
        except TokenRefused:
            return False
        return True

    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        won = await asyncio.gather(*(has_won(token) for token in json.loads(line)))
        print(json.dumps(won), flush=True)


async def main() -> None:
    """Race for the calls of the Redis that the environment names."""
    async with shared_store(os.environ["REDIS_URL"], os.environ["TWILIO_AUTH_TOKEN"]) as store:
        await race(store)


if __name__ == "__main__":
    asyncio.run(main())
