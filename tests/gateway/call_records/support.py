"""What the tests of call records share: an endpoint with faults, and workers that share a Redis."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.call_records.outbox import Letter
from gateway.call_records.receiver import Answer, Reply
from gateway.calls.call import Call, EndReason
from gateway.calls.journal import JournalEvent
from gateway.calls.keys import Keys
from gateway.calls.media_tokens import MediaTokens
from gateway.calls.redis_store import RedisStore
from gateway.redis.link import RedisLink

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BEGAN_S = 1_800_000_000.0
LIMIT_S = 30.0
PATIENCE_S = 10.0
"""What Redis may take here for an operation: these tests are about records, and a machine may be busy."""


def sid(number: int) -> str:
    return f"CA{number:032x}"


@dataclass
class Clock:
    at_s: float = BEGAN_S

    def __call__(self) -> float:
        return self.at_s


def new_call(number: int = 1, **fields: Any) -> Call:
    facts: dict[str, Any] = {"from_": "+14155550134", "to": "+18005550100", "agent": "reception"}
    return Call(call_sid=sid(number), started_at_s=BEGAN_S, **(facts | fields))


def ended_call(number: int = 1, after_s: float = 60.0, **fields: Any) -> Call:
    call = new_call(number, **fields)
    call.end(EndReason.CALLER_HUNG_UP, BEGAN_S + after_s)
    return call


def happened(name: str, after_s: float = 0.0, /, **fields: Any) -> JournalEvent:
    return {"event": name, "at_s": BEGAN_S + after_s, **fields}


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what others bring about."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@dataclass
class Request:
    """One that came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def call_sid(self) -> str:
        found: str = json.loads(self.body)["data"]["call_sid"]
        return found


Behaviour = int | str | tuple[int, dict[str, str]]
"""A status, a status with headers, or `hang`, `drop` (the connection is closed instead of an answer), `endless` (a
200 whose body never ends), `broken` (one whose body breaks off)."""


@dataclass
class Inbox:
    """An HTTP endpoint on loopback. What it does with a request, `behaves` says."""

    behaves: Callable[[Request], Behaviour]
    url: str = ""
    requests: list[Request] = field(default_factory=list)

    @property
    def taken(self) -> list[str]:
        """CallSids of what was answered with 200."""
        return self._taken

    def __post_init__(self) -> None:
        self._taken: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        request = Request(headers, await reader.readexactly(int(headers["content-length"])))
        self.requests.append(request)
        match self.behaves(request):
            case "hang":
                await reader.read()
                return False
            case "drop":
                return False
            case "broken":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok")
                await writer.drain()
                return False
            case "endless":
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while not writer.is_closing():
                    writer.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                    await writer.drain()
                return False
            case (int(status), dict(more)):
                pass
            case status:
                more = {}
        lines = [f"HTTP/1.1 {status} Words", "content-length: 2", *(f"{k}: {v}" for k, v in more.items()), "", "ok"]
        writer.write("\r\n".join(lines).encode())
        if status == 200:
            self._taken.append(request.call_sid)
        await writer.drain()
        return True


@asynccontextmanager
async def inbox(
    *behaviours: Behaviour,
    behaves: Callable[[Request], Behaviour] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Inbox]:
    """The given behaviours in turn, and then 200 for all; or as `behaves` says."""
    waiting = list(behaviours)
    box = Inbox(behaves or (lambda _request: waiting.pop(0) if waiting else 200))
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await box.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the end of the test; asyncio's streams would report it
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    box.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/calls"
    try:
        yield box
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        if serving:
            await asyncio.wait(tuple(serving))


@dataclass
class ScriptedReceiver:
    """Answers without a socket, and remembers what it was given."""

    answers: list[Answer] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    async def post(self, letter: Letter) -> Answer:
        self.letters.append(letter)
        return self.answers.pop(0) if self.answers else Answer(Reply.TAKEN)


def recorded_store(link: RedisLink, prefix: str, *, worker_id: str, now: Callable[[], float]) -> RedisStore:
    return RedisStore(link, Keys(prefix), MediaTokens(["secret"], unix=now), worker_id=worker_id, now=now)
