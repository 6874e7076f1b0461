"""A call whose end is told to another worker than the one that streams it."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

import httpx2
import pytest
from twilio.request_validator import RequestValidator

from tests.calls.fleet import running_fleet
from tests.calls.steered import live_call, url_of
from tests.calls.support import ACCOUNT_SID, AUTH_TOKEN, FROM, TO, cascade

pytestmark = pytest.mark.anyio


async def test_the_stream_ends_in_good_order(caplog: pytest.LogCaptureFixture) -> None:
    async with running_fleet(2, providers=cascade()) as fleet, live_call(fleet) as call:
        form = {
            "CallSid": call.sid,
            "AccountSid": ACCOUNT_SID,
            "From": FROM,
            "To": TO,
            "CallStatus": "completed",
            "Direction": "inbound",
            "SequenceNumber": "9",
        }
        signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{fleet.url}/twilio/status", form)
        async with httpx2.AsyncClient() as client:
            answer = await client.post(
                f"{url_of(call.other)}/twilio/status",
                content=urlencode(form),
                headers={
                    "X-Twilio-Signature": signature,
                    "Content-Type": "application/x-www-form-urlencoded",
                },
            )
        assert answer.status_code == 204
        await fleet.until(lambda: not call.holder.calls)
        await call.result()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
