"""What tests of the control API need: a live call in a fleet, and requests to the worker that does not hold it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from simulator.call_result import CallResult
from simulator.caller import HangUp, Step, Wait
from tests.calls.fleet import Fleet, Worker
from tests.calls.support import LIMIT_S

TOKEN = "sw1tchboard"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

PATIENT = (Wait(20_000), HangUp())
"""A caller who says nothing, and would wait long."""


def url_of(worker: Worker) -> str:
    """Of this worker alone, past the balancer."""
    port = worker.house.server.servers[0].sockets[0].getsockname()[1]
    return f"http://127.0.0.1:{port}"


@dataclass(eq=False)
class LiveCall:
    """A call that streams on `holder`; `other` is the worker beside it."""

    sid: str
    holder: Worker
    other: Worker
    fleet: Fleet
    calling: asyncio.Task[CallResult]

    async def post(
        self, verb: str, body: Any = None, *, to: Worker | None = None, **options: Any
    ) -> httpx2.Response:
        """Asks the other worker, unless `to` says who is asked."""
        options.setdefault("headers", BEARER)
        async with httpx2.AsyncClient() as client:
            url = f"{url_of(to or self.other)}/v1/calls/{self.sid}/{verb}"
            return await client.post(url, json=body, timeout=LIMIT_S, **options)

    async def result(self) -> CallResult:
        """The call, seen to its end."""
        return await self.calling

    async def heard(self, word: str) -> dict[str, Any]:
        """What the agent said with this word in it, once it stands in the call's journal."""
        return await self.happened("transcript.done", lambda one: one["speaker"] == "agent" and word in one["text"])

    async def happened(self, event: str, fits: Any = lambda one: True) -> dict[str, Any]:
        """The first event of the call's journal that fits, waited for."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                reading = await self.holder.store.journal(self.sid)
                for one in await reading.read() if reading is not None else ():
                    if one["event"] == event and fits(one):
                        return one
                await asyncio.sleep(0.02)


@asynccontextmanager
async def live_call(fleet: Fleet, *steps: Step, greets: bool = True) -> AsyncGenerator[LiveCall, None]:
    """A call that streams, its greeting said unless it has none."""
    calling = asyncio.ensure_future(fleet.call(*(steps or PATIENT)))
    try:
        await fleet.until(lambda: any(worker.calls for worker in fleet.workers) or calling.done())
        holder = fleet.holder()
        other = next(worker for worker in fleet.workers if worker is not holder)
        (sid,) = [held.call.call_sid for held in holder.store.copies]
        call = LiveCall(sid, holder, other, fleet, calling)
        async with asyncio.timeout(LIMIT_S):
            while (known := await other.store.find(sid)) is None or known.state.value != "streaming":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await fleet.until(lambda: other.house.gateway.peers.workers is not None)
        if greets:
            await call.heard("Hello")
        yield call
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
