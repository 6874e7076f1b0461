"""The body of a request: whole, or refused in its reader's own words."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from gateway.body import read_body
from gateway.errors import Refusal

pytestmark = pytest.mark.anyio

MOST_BYTES = 10


def refuse(status_code: int, reason: str, words: str) -> Refusal:
    return Refusal(status_code, reason, f"reader: {words}")


def request(*chunks: bytes, declares: int | None = None, breaks_off: bool = False, hangs: bool = False) -> Request:
    """A request whose body comes in these pieces."""
    coming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    end = {"type": "http.disconnect"} if breaks_off else {"type": "http.request", "body": b"", "more_body": False}

    async def receive() -> Message:
        if coming:
            return coming.pop(0)
        if hangs:
            await asyncio.Event().wait()
        return end

    headers = [] if declares is None else [(b"content-length", str(declares).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(asked: Request) -> bytes:
    return await read_body(asked, refuse, most_bytes=MOST_BYTES, deadline_s=0.05)


@pytest.mark.parametrize("size", [0, MOST_BYTES - 1, MOST_BYTES])
async def test_a_body_up_to_the_limit_is_read_however_it_is_cut(size: int) -> None:
    assert await read(request(*[b"x"] * size, declares=size)) == b"x" * size


@pytest.mark.parametrize(
    ("asked", "status_code", "reason"),
    [
        (request(declares=MOST_BYTES + 1), 413, "too_large"),
        (request(b"x" * MOST_BYTES, b"x"), 413, "too_large"),
        (request(b"x" * MOST_BYTES, b"x", declares=1), 413, "too_large"),
        (request(b"x", hangs=True), 408, "slow_body"),
        (request(b"x", breaks_off=True), 400, "disconnected"),
    ],
)
async def test_what_is_too_long_too_slow_or_broken_off_is_refused(
    asked: Request, status_code: int, reason: str
) -> None:
    with pytest.raises(Refusal, match="^reader: ") as refused:
        await read(asked)
    assert (refused.value.status_code, refused.value.reason) == (status_code, reason)
