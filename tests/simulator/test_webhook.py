from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from simulator.errors import WebhookFailed
from simulator.webhook import Webhooks, call_form
from tests.simulator.throwaway_gateway import AUTH_TOKEN, ThrowawayGateway, running, twiml

pytestmark = pytest.mark.anyio


async def fault_of(url: str, timeout_s: float = 5) -> WebhookFailed:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(WebhookFailed) as failed:
            await Webhooks(session, AUTH_TOKEN, timeout_s=timeout_s).ask(url, "POST", {})
    return failed.value


async def test_a_get_carries_the_form_as_its_query_and_is_signed_over_the_whole_address() -> None:
    gateway = ThrowawayGateway(pages={"/voice": lambda form: twiml("")})
    async with running(gateway), aiohttp.ClientSession() as session:
        webhooks = Webhooks(session, AUTH_TOKEN, new_token=lambda: "token-1")
        answer = await webhooks.ask(f"{gateway.url}/voice?a=%20b#rc=2", "GET", {"To": "+1 5"})
        await webhooks.ask(f"{gateway.url}/voice", "GET", {"To": "+15"})
    method, path, _, headers = gateway.requests[0]
    assert (method, path) == ("GET", "/voice?a=%20b&To=%2B1+5")
    assert RequestValidator(AUTH_TOKEN).validate(f"{gateway.url}{path}", {}, headers["X-Twilio-Signature"])
    assert headers["I-Twilio-Idempotency-Token"] == "token-1"
    assert (answer.status, answer.body, answer.content_type) == (200, b"<Response></Response>", "text/xml")
    assert gateway.requests[1][1] == "/voice?To=%2B15"


async def test_a_post_with_signs_in_its_values_is_signed_as_the_gateway_reads_it() -> None:
    gateway = ThrowawayGateway(pages={"/voice": lambda form: twiml("")})
    async with running(gateway), aiohttp.ClientSession() as session:
        await Webhooks(session, AUTH_TOKEN).ask(f"{gateway.url}/voice", "POST", {"Name": "ä & b=+c", "Z": ""})
    _, path, form, headers = gateway.requests[0]
    assert form == {"Name": "ä & b=+c", "Z": ""}
    assert RequestValidator(AUTH_TOKEN).validate(f"{gateway.url}{path}", form, headers["X-Twilio-Signature"])


@pytest.mark.parametrize("status", [302, 403, 500])
async def test_any_answer_but_2xx_is_11217_with_what_was_said(status: int) -> None:
    def page(form: dict[str, str]) -> web.Response:
        return web.Response(status=status, text="signed the wrong address")

    async with running(ThrowawayGateway(pages={"/voice": page})) as gateway:
        fault = await fault_of(f"{gateway.url}/voice")
    assert fault.code == 11217 and f"answered {status}: signed the wrong" in str(fault)
    assert fault.url == f"{gateway.url}/voice"


async def test_nobody_listening_is_11205() -> None:
    async with running(ThrowawayGateway()) as gateway:
        url = gateway.url
    assert (await fault_of(url)).code == 11205


async def test_a_gateway_that_is_silent_hangs_up_or_has_no_address_is_11200() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        if b"silent" in first:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        silent = await fault_of(f"{url}/silent", timeout_s=0.05)
        assert (silent.code, "did not answer within 0.05 s" in str(silent)) == (11200, True)
        assert (await fault_of(f"{url}/closes")).code == 11200
        assert (await fault_of("not an address")).code == 11200


def test_a_call_from_abroad_or_from_nobody_has_no_american_fields() -> None:
    form = call_form(
        call_sid="CA1", account_sid="AC1", from_number="anonymous", to_number="+4930123456", status="ringing"
    )
    assert form["FromCountry"] == form["ToCountry"] == "" and "StirVerstat" not in form


@pytest.mark.parametrize("has_same_token", [True, False])
async def test_copies_are_asked_one_after_the_other_and_the_last_answer_counts(has_same_token: bool) -> None:
    answers = iter(("<Say>first</Say>", "<Say>second</Say>"))
    gateway = ThrowawayGateway(pages={"/voice": lambda form: twiml(next(answers))})
    tokens = iter(("token-1", "token-2"))
    async with running(gateway), aiohttp.ClientSession() as session:
        webhooks = Webhooks(
            session, AUTH_TOKEN, new_token=lambda: next(tokens), copies=2, has_same_token=has_same_token
        )
        answer = await webhooks.ask(f"{gateway.url}/voice", "POST", {"To": "+15"})
    assert b"second" in answer.body
    sent = [headers["I-Twilio-Idempotency-Token"] for _, _, _, headers in gateway.requests]
    assert sent == ["token-1", "token-1" if has_same_token else "token-2"]
