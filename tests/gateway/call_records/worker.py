"""A worker as a process of its own, to be killed: ends the calls it is told to, and delivers records.

    python -m tests.gateway.call_records.worker REDIS_URL WEBHOOK_URL NAME [stop-before-record]

Reads lines: `end CA…` ends a call, `later SECONDS` moves its clock, `sweep` looks for abandoned calls. Says `ready`
when it is, and `ended CA…` after each. With `stop-before-record` it says `stopped CA…` instead of writing a record,
and waits there to be killed.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time

from gateway.call_records.office import Destination, RecordsOffice
from gateway.call_records.redis_outbox import RedisOutbox
from gateway.calls.call import Call, EndReason
from gateway.redis import link as redis_link
from gateway.redis.link import RedisLink
from tests.gateway.call_records.support import PATIENCE_S, SECRET, recorded_store


async def main(redis_url: str, url: str, name: str, *how: str) -> None:
    vars(redis_link)["OPERATION_LIMIT_S"] = PATIENCE_S
    later_s = 0.0

    def now() -> float:
        return time.time() + later_s

    link = RedisLink(redis_url, now=time.monotonic)
    store = recorded_store(link, "test", worker_id=name, now=now)
    destination = Destination(url=url, secret=SECRET, limit_s=2.0, give_up_after_s=86_400)
    office = RecordsOffice(
        store,
        RedisOutbox(link, "test"),
        destination,
        now=now,
        count=lambda outcome: None,
        show=lambda fill, now_s: None,
        draw=random.random,
    )

    async def stop(call: Call) -> bool:
        print("stopped", call.call_sid, flush=True)
        await asyncio.Event().wait()
        return False

    store.recorded = stop if how else office.registrar.record
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with office.opened():
        print("ready", flush=True)
        while line := await reader.readline():
            match line.decode().split():
                case ["end", call_sid]:
                    call = await store.find(call_sid)
                    if call is not None:
                        await store.end(call, EndReason.COMPLETED, now())
                    print("ended", call_sid, flush=True)
                case ["later", seconds]:
                    later_s += float(seconds)
                    office.deliveries.look()
                case ["sweep"]:
                    await store.sweep(now())
    await link.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
