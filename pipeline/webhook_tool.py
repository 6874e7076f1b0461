"""A user's own tool as an HTTPS webhook: the call goes out signed, the answer goes to the model.

The body is `{"tool": name, "arguments": {...}, "call": {...}}`. The signature is that of the Standard Webhooks
specification, version 1.0.0: HMAC-SHA256 over `id.timestamp.body` with the bytes behind `whsec_`, as base64 in
`webhook-signature: v1,...`. A receiver

1. refuses a `webhook-timestamp` (Unix seconds) more than five minutes off its own clock,
2. computes the signature over the *raw* body and compares it in constant time,
3. remembers each `webhook-id` for those five minutes, and refuses one that comes again.

In Python:

    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw_body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    genuine = hmac.compare_digest(expected, headers["webhook-signature"])
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from pipeline.egress.guard import Egress
from pipeline.egress.refusal import EgressRefused
from pipeline.egress.transport import guarded_client

log = logging.getLogger(__name__)

LIMIT_S = 5.0
"""For a whole call: words of apology must be heard within six seconds, and take one to be made."""
MOST_BYTES = 64 * 1024
"""Of an answer, as a model can use it."""
CONNECT_TRIES = 2
"""Connecting may be tried again: nothing was sent. A request never is: it may have been carried out."""
SHORTEST_KEY_BYTES, LONGEST_KEY_BYTES = 24, 64
"""Standard Webhooks, "Signature scheme"."""
_PREFIX = "whsec_"


class WebhookFailed(Exception):
    """The tool gave no answer. The message is fit for the model: it names the tool, and no address."""


class Signature:
    """Signs with one secret."""

    def __init__(self, secret: str) -> None:
        """`secret` is `whsec_` and base64. Raises ValueError that does not show it."""
        try:
            self._key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            self._key = b""
        is_sized = SHORTEST_KEY_BYTES <= len(self._key) <= LONGEST_KEY_BYTES
        if not secret.startswith(_PREFIX) or not is_sized:
            raise ValueError(
                f"a webhook secret is {_PREFIX} and the base64 of {SHORTEST_KEY_BYTES} to {LONGEST_KEY_BYTES} "
                "random bytes; make one with: openssl rand -base64 32"
            )

    def headers(self, id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
        signed = f"{id}.{timestamp_s}.".encode() + body
        digest = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        return {"webhook-id": id, "webhook-timestamp": str(timestamp_s), "webhook-signature": f"v1,{digest}"}


class WebhookTools:
    """Calls webhooks, for a whole process: `async with WebhookTools(egress, secret) as webhooks`."""

    def __init__(
        self,
        egress: Egress,
        secret: str,
        *,
        limit_s: float = LIMIT_S,
        now_s: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: f"msg_{secrets.token_urlsafe(18)}",
    ) -> None:
        """Raises ValueError for a bad secret. `now_s` is Unix time; `new_id` never gives the same id twice."""
        self._signature = Signature(secret)
        self._limit_s = limit_s
        self._now_s = now_s
        self._new_id = new_id
        self._http = guarded_client(egress, idle_limit_s=limit_s, most_bytes=MOST_BYTES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def call(self, url: str, name: str, arguments: Mapping[str, Any], call: Mapping[str, str]) -> str:
        """What the tool answers, JSON or text. `call` is what it may know of the call. Raises `WebhookFailed`."""
        body = json.dumps({"tool": name, "arguments": arguments, "call": call}, ensure_ascii=False).encode(
            errors="replace"
        )
        headers = self._signature.headers(self._new_id(), int(self._now_s()), body)
        headers["content-type"] = "application/json"
        try:
            async with asyncio.timeout(self._limit_s):
                response = await self._post(url, body, headers)
        except TimeoutError:
            raise WebhookFailed(f"{name} did not answer within {self._limit_s:g} seconds.") from None
        except EgressRefused as refused:
            log.warning("webhook of tool %s: %s", name, refused)
            raise WebhookFailed(f"{name} gave no usable answer ({refused.reason}).") from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            log.warning("webhook of tool %s: %s", name, type(error).__name__)
            raise WebhookFailed(f"{name} could not be reached.") from None
        return _read(name, response)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        for _ in range(CONNECT_TRIES - 1):
            try:
                return await self._http.post(url, content=body, headers=headers)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._http.post(url, content=body, headers=headers)


def _read(name: str, response: httpx2.Response) -> str:
    text = response.content.decode(errors="replace")
    if response.is_success:
        return text
    if response.is_redirect:
        raise WebhookFailed(f"{name} is configured with an address that has moved (HTTP {response.status_code}).")
    said = f": {text[:500]}" if text.strip() else "."
    raise WebhookFailed(f"{name} failed with HTTP {response.status_code}{said}")
