"""One client for one source: where the server stands, its key, its limits, and connections that stay open.

Made in no loop, used from one. It knows HTTP and the SDK, and nothing of what is asked over them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Any, Final, cast

import httpx2
import openai

from pipeline.provider import ProviderError
from pipeline.providers.openai.errors import refusals
from pipeline.providers.source import Source

log = logging.getLogger(__name__)

OPENAI_URL: Final = "https://api.openai.com/v1"

_OPENAI_HOST: Final = "api.openai.com"
"""Its servers in other regions have names that end so."""

CONNECT_LIMIT_S: Final = 2.0
"""A handshake that takes longer would be heard as silence; the next provider is faster."""

READ_LIMIT_S: Final = 20.0
"""Between two pieces of an answer. Who waits for one gives up long before (4 seconds for a word, 1.5 for sound);
this frees a connection nobody watches any more."""

KEEP_OPEN_S: Final = 55.0
"""How long an unused connection is kept, so that the next turn needs no handshake: most servers and load balancers
close theirs after 60 seconds or more. httpx2's own 5 seconds are less than a pause in a conversation."""

KEPT_OPEN: Final = 32
"""Unused connections of one source: as many turns may begin at once without a handshake."""

DRAIN_LIMIT_S: Final = 0.1
"""For the end of a body whose content is complete; a later one costs a connection, not a caller's time."""


class Client:
    """The server of one source. `sdk` asks it; what goes wrong meanwhile is mapped by `errors`."""

    def __init__(self, source: Source) -> None:
        self.label = source.label
        self._url = source.base_url or OPENAI_URL
        self.is_openai = _host_of(self._url, source.label).endswith(_OPENAI_HOST)
        self._setting = (
            "OPENAI_API_KEY" if source.name == "openai" else f"SWITCHBOARD_PROVIDER_KEYS ({source.name}=…)"
        )
        # Servers at home need no key, and the SDK does not go without one.
        key = source.key(self._setting) if self.is_openai else source.api_key or "none"
        self._secret = source.api_key
        self._http = httpx2.AsyncClient(
            limits=httpx2.Limits(max_keepalive_connections=KEPT_OPEN, keepalive_expiry=KEEP_OPEN_S),
            timeout=httpx2.Timeout(READ_LIMIT_S, connect=CONNECT_LIMIT_S),
        )
        self.sdk = openai.AsyncOpenAI(
            api_key=key,
            base_url=self._url,  # always said, or the SDK would ask the environment
            max_retries=0,  # whoever asks has a second attempt, or another provider, and a caller who waits
            timeout=httpx2.Timeout(READ_LIMIT_S, connect=CONNECT_LIMIT_S),
            http_client=self._http,
        )

    def errors(self) -> AbstractContextManager[None]:
        """Within it, errors of the SDK and of HTTP become `ProviderError`s."""
        return refusals(self.label, self._setting, self._secret)

    def failure(self, message: str) -> ProviderError:
        """What came makes no sense, or not all of it came: another attempt may go better."""
        return ProviderError(self.label, message, retryable=True)

    async def prepare(self) -> None:
        """Open a connection. That it fails now need not matter: the next who needs one tries again.

        A HEAD needs no key, costs nothing and has no body; whatever its status, the connection stands.
        """
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                with self.errors():
                    await self._http.head(self._url)
        except (ProviderError, TimeoutError) as error:
            log.warning("no connection kept warm: %s", str(error) or f"{self.label}: no answer")

    async def aclose(self) -> None:
        await self.sdk.close()


def _host_of(url: str, label: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        message = f"base URL {url!r}: expected one like {OPENAI_URL}"
        raise ProviderError(label, message, retryable=False)
    return parsed.host


def body_of(response: openai.AsyncAPIResponse[Any]) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Close it (`aclosing`); the SDK hands out an async generator by a wider type."""
    return cast(AsyncGenerator[bytes, None], response.iter_bytes())


async def drain(body: AsyncGenerator[bytes, None]) -> None:
    """Read what is left of a body, which HTTP/1.1 wants before the connection may be used again.

    The content is complete: nothing that goes wrong now matters to anybody.
    """
    with contextlib.suppress(TimeoutError, httpx2.HTTPError, ProviderError):
        async with asyncio.timeout(DRAIN_LIMIT_S):
            async for _ in body:
                pass
