"""Admission: who may speak to the webhooks and open a media socket, and what everybody else is told."""

from __future__ import annotations

import asyncio
import io

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from gateway import logs
from gateway.calls import store
from gateway.media_stream import stream as media_stream
from simulator.caller import HangUp, Listen, Say
from simulator.signature import SIGNATURE_HEADER, sign
from tests.calls.raw_line import ask, connection_of, form, new_call, offered, raw_line
from tests.calls.support import AUTH_TOKEN, cascade, clip, documents, running_gateway
from tests.fakes import FakeTranscriber, FakeVoice

pytestmark = pytest.mark.anyio

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'


async def refusal(url: str, call_sid: str = "", signature: str | None = None) -> int | None:
    """How the handshake at `url` is refused: the HTTP status; None if it is not."""
    try:
        async with raw_line(url, call_sid, signature=signature):
            return None
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_a_webhook_signed_with_another_token_is_told_which_url_was_checked() -> None:
    async with running_gateway(providers=cascade()) as house, aiohttp.ClientSession() as session:
        for path in ("/twilio/voice", "/twilio/stream-ended", "/twilio/status", "/twilio/fallback"):
            url, fields = house.url + path, form(new_call())
            headers = {SIGNATURE_HEADER: sign("0" * 32, url, fields)}
            async with session.post(url, data=fields, headers=headers) as response:
                words = await response.text()
            assert response.status == 403, path
            assert f"Checked over {url} with 1 auth token" in words
            assert AUTH_TOKEN not in words


async def test_a_media_socket_needs_twilios_signature_before_it_is_opened() -> None:
    async with running_gateway(providers=cascade()) as house:
        call_sid = new_call()
        url = await offered(house.url, call_sid)
        forged = (sign("0" * 32, url), sign(AUTH_TOKEN, url + "x"), "", "nonsense", "ä")
        assert [await refusal(url, signature=one) for one in forged] == [403] * len(forged)
        # None of these has used up the token.
        assert await refusal(url) is None
        assert house.sample("webhook_rejected_total", reason="media_bad_signature") == len(forged)


async def test_a_token_opens_one_socket_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_gateway(providers=cascade()) as house:
        call_sid = new_call()
        superseded, url = await offered(house.url, call_sid), await offered(house.url, call_sid)
        nowhere = url.rpartition("/")[0]
        unknown = [f"{nowhere}/", nowhere, f"{nowhere}/{'A' * 43}", url[:-1], f"{url}/", superseded]
        assert [await refusal(one) for one in unknown] == [403] * len(unknown)
        assert await refusal(url) is None
        assert await refusal(url) == 403
        monkeypatch.setattr(store, "TOKEN_LIFE_S", 0.0)
        assert await refusal(await offered(house.url, new_call())) == 403
        reasons = {
            reason: house.sample("webhook_rejected_total", reason=f"media_{reason}")
            for reason in ("unknown", "used", "expired")
        }
    assert reasons == {"unknown": 3, "used": 1, "expired": 1}


async def test_of_many_sockets_racing_for_one_token_exactly_one_wins() -> None:
    async with running_gateway(providers=cascade()) as house:
        call_sid = new_call()
        url = await offered(house.url, call_sid)
        refused = await asyncio.gather(*(refusal(url) for _ in range(20)))
    assert sorted(refused, key=str) == [403] * 19 + [None]


async def test_the_token_of_another_call_opens_no_provider() -> None:
    transcriber, voice = FakeTranscriber(), FakeVoice()
    async with running_gateway(providers=cascade(transcriber=transcriber, voice=voice)) as house:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), new_call()) as line:
            await line.begin()
            assert await line.close_code() == 1008
        # The call itself has lost nothing: Twilio asks what is next and is given another stream.
        back = f"{house.url}/twilio/stream-ended?generation=1"
        url = connection_of(await ask(back, call_sid, CallStatus="in-progress")).stream.url
        assert (transcriber.asked, voice.asked) == ([], [])
        async with raw_line(url, call_sid) as line:
            await line.begin()
            await line.until("media")
    assert len(voice.asked) == 1


async def test_a_socket_that_comes_to_the_point_after_a_newer_one_was_offered_is_closed() -> None:
    voice = FakeVoice()
    async with running_gateway(providers=cascade(voice=voice)) as house:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid) as line:
            await offered(house.url, call_sid)
            await line.begin()
            assert await line.close_code() == 1008
    assert voice.asked == []


async def test_a_socket_without_a_start_is_closed_and_opens_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_stream, "START_LIMIT_S", 0.2)
    voice = FakeVoice()

    async def close_code(said: tuple[str, ...]) -> int:
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid) as line:
            for message in said:
                await line.send(message)
            return await line.close_code()

    async with running_gateway(providers=cascade(voice=voice)) as house:
        openings = (
            (),
            (CONNECTED,),
            ("rubbish", "{}"),
            ('{"event":"media"}',) * 80,
            (CONNECTED, '{"event":"stop"}'),
        )
        codes = await asyncio.gather(*(close_code(said) for said in openings))
    assert codes == [1008] * len(openings)
    assert voice.asked == []


async def test_no_token_is_ever_logged() -> None:
    """At the lowest level, uvicorn and the libraries included; the simulator, in the same process, as well."""
    output = io.StringIO()
    undo = logs.configure("debug", "json", output=output)
    try:
        async with running_gateway(providers=cascade()) as house:
            result = await house.call(Listen(quiet_ms=100), Say(clip("no")), HangUp())
            url = await offered(house.url, new_call())
            assert [await refusal(url, signature="nonsense"), await refusal(url), await refusal(url)] == [
                403,
                None,
                403,
            ]
    finally:
        undo()
    tokens = [part.split('"')[0] for text in documents(result) for part in text.split("/twilio/media/")[1:]]
    tokens.append(url.rpartition("/")[2])
    logged = output.getvalue()
    assert len(tokens) == 2
    assert "/twilio/media/" in logged
    assert [token for token in [*tokens, AUTH_TOKEN] if token in logged] == []
