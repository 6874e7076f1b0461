"""The webhooks of a call, as Twilio asks them: which fields, signed how, and what counts as no answer.

Sources: https://www.twilio.com/docs/voice/twiml#request-parameters,
https://www.twilio.com/docs/voice/api/call-resource#statuscallback, https://www.twilio.com/docs/usage/security
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urldefrag, urlencode

import aiohttp
from yarl import URL

from simulator.errors import WebhookFailed
from simulator.signature import SIGNATURE_HEADER, sign

RETRIEVAL_FAILURE = 11200
CONNECTION_FAILURE = 11205
HTTP_ERROR = 11217
TIMEOUT_S = 15
"""Twilio's default for the whole of a webhook."""
USER_AGENT = "TwilioProxy/1.1 (simulated)"
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"
API_VERSION = "2010-04-01"


@dataclass(frozen=True, slots=True)
class Asked:
    """A webhook to ask: where, how, and with which fields beyond those of the call."""

    url: str
    method: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer."""

    url: str
    status: int
    content_type: str
    body: bytes


def call_form(*, call_sid: str, account_sid: str, from_number: str, to_number: str, status: str) -> dict[str, str]:
    """The fields every voice webhook of an inbound call has. A call that was not forwarded has no ForwardedFrom."""
    form = {
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
        "CallSid": call_sid,
        "CallStatus": status,
        "CallToken": f'{{"parentCallInfoToken":"{call_sid}"}}',
        "Called": to_number,
        "Caller": from_number,
        "Direction": "inbound",
        "From": from_number,
        "To": to_number,
    }
    for prefix, number in (
        ("From", from_number),
        ("To", to_number),
        ("Caller", from_number),
        ("Called", to_number),
    ):
        form |= {f"{prefix}City": "", f"{prefix}State": "", f"{prefix}Zip": ""}
        form[f"{prefix}Country"] = "US" if number.startswith("+1") else ""
    if from_number.startswith("+1"):
        form["StirVerstat"] = "TN-Validation-Passed-A"
    return form


class Webhooks:
    """Asks signed webhooks over one HTTP session, which its owner closes."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        auth_token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        new_token: Callable[[], str] = lambda: str(uuid.uuid4()),
        copies: int = 1,
        has_same_token: bool = True,
    ) -> None:
        """`copies`: how often each is asked, one after the other, under one idempotency token or several."""
        self._session = session
        self._auth_token = auth_token
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._new_token = new_token
        self._copies = copies
        self._has_same_token = has_same_token

    async def ask(self, url: str, method: str, form: Mapping[str, str]) -> Answer:
        """POST the form, or GET with the form as query; the answer to the last copy. Redirects are not followed.

        Raises `WebhookFailed`: 11200 no answer in time or a broken one, 11205 no connection, 11217 not 2xx.
        """
        address = urldefrag(url).url  # Twilio keeps its connection overrides behind the #
        body: str | None = urlencode(form)
        signed: Mapping[str, str] = form
        if method == "GET":
            address += ("&" if "?" in address else "?") + urlencode(form)
            body, signed = None, {}
        headers = {
            SIGNATURE_HEADER: sign(self._auth_token, address, signed),
            IDEMPOTENCY_HEADER: self._new_token(),
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        for _ in range(self._copies - 1):
            await self._exchange(url, method, address, body, headers)
            if not self._has_same_token:
                headers[IDEMPOTENCY_HEADER] = self._new_token()
        return await self._exchange(url, method, address, body, headers)

    async def _exchange(
        self, url: str, method: str, address: str, body: str | None, headers: Mapping[str, str]
    ) -> Answer:
        try:
            async with self._session.request(
                method,
                URL(address, encoded=True),  # byte for byte what was signed
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except TimeoutError as error:
            message = f"{url} did not answer within {self._timeout.total:g} s"
            raise WebhookFailed(RETRIEVAL_FAILURE, message, url) from error
        except aiohttp.ClientConnectorError as error:
            raise WebhookFailed(CONNECTION_FAILURE, f"{url}: {error}", url) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise WebhookFailed(RETRIEVAL_FAILURE, f"{url}: {error or type(error).__name__}", url) from error
        if not 200 <= response.status < 300:
            shown = content[:200].decode(errors="replace").strip()
            raise WebhookFailed(HTTP_ERROR, f"{url} answered {response.status}: {shown}", url)
        return Answer(url, response.status, response.headers.get("Content-Type", ""), content)
