"""The body of a request, read to its end: bounded in bytes and in time, whatever its sender declared.

What it should hold, and in which words it is refused, its reader knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request

from gateway.errors import Refusal

Refuse: TypeAlias = Callable[[int, str, str], Refusal]
"""Makes the reader's own refusal of a status, a reason and words."""


async def read_body(request: Request, refuse: Refuse, *, most_bytes: int, deadline_s: float) -> bytes:
    """The body. Raises what `refuse` makes: 413 past `most_bytes`, 408 past the deadline, 400 if it breaks off."""
    too_large = refuse(413, "too_large", f"The body: expected at most {most_bytes} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s), aclosing(request.stream()) as chunks:
            async for chunk in chunks:  # what was declared is not believed: bytes are counted as they come
                body += chunk
                if len(body) > most_bytes:
                    raise too_large
    except TimeoutError:
        raise refuse(408, "slow_body", f"The body did not arrive within {deadline_s:g} s.") from None
    except ClientDisconnect:
        raise refuse(400, "disconnected", "The sender hung up before the body was complete.") from None
    return bytes(body)
