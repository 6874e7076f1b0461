"""The operator's endpoint, which is told of every call that has ended: one POST, and what its answer means.

Signed as Standard Webhooks 1.0.0, as webhook tools are. The address is the operator's own setting, so it may be a
private one; but a redirect is not followed, because where it leads the operator did not write.
"""

from __future__ import annotations

import asyncio
import enum
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import httpx2

from gateway.call_records.outbox import Letter
from gateway.call_records.record import message_id
from pipeline.webhook_tool import Signature

MOST_BYTES: Final = 65_536
"""Of an answer. Nobody reads it; read to its end, its connection can be used again."""

MOST_CONNECTIONS: Final = 16

NEVER: Final = frozenset({400, 410, 413, 422})
"""What is answered so is answered so again: bad request, gone, too large, unprocessable (RFC 9110, section 15.5).
All else may be mended while we try: a wrong key, a path not there yet, an address that has moved."""


class Reply(enum.Enum):
    TAKEN = "taken"
    NOT_NOW = "not_now"
    """It is tried again."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Answer:
    """To one try."""

    reply: Reply
    why: str = ""
    """In a few words, with no address."""
    wait_s: float = 0.0
    """At least so long before the next try, says the receiver."""


class Receiver:
    """`async with Receiver(...) as receiver`; one for the process."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        limit_s: float,
        unix: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`limit_s`: for a whole try. `unix`: the machine's own clock, which the receiver compares with its own.

        Raises ValueError for a secret that is none.
        """
        self._url = url
        self._signature = Signature(secret)
        self._limit_s = limit_s
        self._unix = unix
        self._http = httpx2.AsyncClient(
            verify=tls or httpx2.create_ssl_context(trust_env=False),
            trust_env=False,
            follow_redirects=False,
            timeout=limit_s,
            limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
            headers={
                "content-type": "application/json",
                "user-agent": "switchboard",
                "accept-encoding": "identity",
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def post(self, letter: Letter) -> Answer:
        """Tries once."""
        now_s = self._unix()
        headers = self._signature.headers(message_id(letter.call_sid), int(now_s), letter.body)
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._answered(letter.body, headers, now_s)
        except TimeoutError:
            return Answer(Reply.NOT_NOW, f"no answer within {self._limit_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Answer(Reply.NOT_NOW, type(error).__name__)

    async def _answered(self, body: bytes, headers: dict[str, str], now_s: float) -> Answer:
        async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
            status = response.status_code
            if response.is_success:
                # A 2xx is the receiver's word; what follows it changes nothing, however it ends.
                await _read_through(response)
                return Answer(Reply.TAKEN)
            reply = Reply.NEVER if status in NEVER else Reply.NOT_NOW
            why = f"HTTP {status}"
            if response.is_redirect:
                why += ", a redirect, which is not followed"
            return Answer(reply, why, wait_s=read_retry_after(response.headers.get("retry-after", ""), now_s))


async def _read_through(response: httpx2.Response) -> None:
    """So that the connection can be used again; one whose body is large or broken is closed."""
    read_bytes = 0
    try:
        async for piece in response.aiter_raw():
            read_bytes += len(piece)
            if read_bytes > MOST_BYTES:
                return
    except httpx2.HTTPError:
        return


def read_retry_after(text: str, now_s: float) -> float:
    """Seconds, from a number of them or a date (RFC 9110, section 10.2.3); 0 for what is neither."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) <= 9 else 0.0
    try:
        date: datetime = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - now_s)
