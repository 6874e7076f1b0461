"""Addresses, keys and errors: what is our fault, what is Inworld's, and whether to try again."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from pipeline.provider import ProviderError
from pipeline.providers.inworld.connection import Endpoint, Line, authorization, http_address, text_option
from pipeline.providers.source import Source
from simulator.standins.serving import cut, served
from tests.pipeline.providers.inworld.places import KEY, source_at

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def line_that_says(*texts: str | int) -> AsyncGenerator[Line, None]:
    """A number is the code the server closes with; 1006 is no goodbye at all."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        for text in texts:
            if text == 1006:
                cut(scope)
            elif isinstance(text, int):
                await websocket.close(text)
            else:
                await websocket.send_text(text)
        await websocket.receive()

    async with served(app) as address, Endpoint.of(source_at(address), "/path").open() as line:
        yield line


@asynccontextmanager
async def refusing(status: int) -> AsyncGenerator[Source, None]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.receive()
        await websocket.send_denial_response(JSONResponse({"message": f"not with {KEY}"}, status))

    async with served(app) as address:
        yield source_at(address)


@pytest.mark.parametrize(
    ("key", "header"),
    [
        (KEY, f"Basic {KEY}"),
        (f"{KEY}==\n", f"Basic {KEY}=="),
        ("eyJh.eyJz.sig-_", "Bearer eyJh.eyJz.sig-_"),
        (f"Basic {KEY}", f"Basic {KEY}"),
        ("Bearer token", "Bearer token"),
    ],
)
def test_a_key_is_sent_as_issued_and_a_token_as_bearer(key: str, header: str) -> None:
    assert authorization(source_at("", api_key=key)) == header


@pytest.mark.parametrize("key", ["two words", "clé", "Basic ", "line\nbreak"])
def test_what_is_no_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ProviderError, match="check INWORLD_API_KEY") as refused:
        authorization(source_at("", api_key=key))
    assert not refused.value.retryable
    assert key.strip() not in str(refused.value).replace("Basic", "") or not key.strip()


def test_a_missing_key_says_where_to_set_it() -> None:
    with pytest.raises(ProviderError, match="set INWORLD_API_KEY"):
        authorization(source_at("", api_key=""))
    named = Source(name="mine", agent=source_at("").agent)
    with pytest.raises(ProviderError, match=r"set SWITCHBOARD_PROVIDER_KEYS \(mine="):
        authorization(named)


@pytest.mark.parametrize(
    ("base_url", "address", "socket_url"),
    [
        ("", "https://api.inworld.ai", "wss://api.inworld.ai/path"),
        ("http://127.0.0.1:8/", "http://127.0.0.1:8", "ws://127.0.0.1:8/path"),
        ("https://proxy.example/inworld", "https://proxy.example/inworld", "wss://proxy.example/inworld/path"),
    ],
)
def test_the_address_is_inworlds_own_or_the_one_given(base_url: str, address: str, socket_url: str) -> None:
    source = Source(name="inworld", agent=source_at("").agent, api_key=KEY, base_url=base_url)
    assert http_address(source) == address
    assert Endpoint.of(source, "/path").url == socket_url


@pytest.mark.parametrize("base_url", ["api.inworld.ai", "wss://api.inworld.ai", "https://", "http://[::1"])
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    source = Source(name="inworld", agent=source_at("").agent, api_key=KEY, base_url=base_url)
    with pytest.raises(ProviderError, match="expected a base URL like https://api.inworld.ai") as refused:
        http_address(source)
    assert not refused.value.retryable


def test_an_option_has_to_be_what_it_can_be() -> None:
    source = source_at("", language="de", delivery="LOUD", temperature=1)
    assert text_option(source, "language") == "de"
    assert text_option(source, "voice") is None
    with pytest.raises(ProviderError, match="option 'delivery': expected one of STABLE, CREATIVE, got 'LOUD'"):
        text_option(source, "delivery", "STABLE", "CREATIVE")
    with pytest.raises(ProviderError, match="option 'temperature': expected a text, got 1"):
        text_option(source, "temperature")


def test_the_key_is_not_in_what_is_printed_of_an_endpoint() -> None:
    assert KEY not in repr(Endpoint.of(source_at(""), "/path"))


@pytest.mark.parametrize(
    ("status", "says", "retryable"),
    [
        (400, "refused the connection", False),
        (401, "refused the API key", False),
        (403, "does not allow this key", False),
        (404, "nothing at this address", False),
        (402, "HTTP 402", False),
        (408, "HTTP 408", True),
        (429, "too much to do", True),
        (500, "HTTP 500", True),
        (503, "HTTP 503", True),
    ],
)
async def test_a_refused_handshake_says_why_and_whether_to_try_again(
    status: int, says: str, retryable: bool
) -> None:
    async with refusing(status) as source:
        with pytest.raises(ProviderError, match=says) as refused:
            async with Endpoint.of(source, "/path").open():
                pytest.fail("opened")
    assert refused.value.retryable is retryable
    assert KEY not in str(refused.value)


async def test_a_server_that_is_not_there_may_be_there_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ProviderError, match="cannot be reached") as failed:
        async with Endpoint.of(source_at(address), "/path").open():
            pytest.fail("opened")
    assert failed.value.retryable


async def test_the_handshake_bears_the_key() -> None:
    came: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        came.append(Request({**scope, "type": "http", "method": "GET"}).headers["authorization"])
        await WebSocket(scope, receive, send).accept()

    async with served(app) as address, Endpoint.of(source_at(address), "/path").open():
        assert came == [f"Basic {KEY}"]


async def test_the_key_is_in_no_log_however_much_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with line_that_says('{"result": {}}') as line:
            await line.hear()
    assert KEY not in caplog.text


async def test_results_come_out_of_their_wrapping() -> None:
    status = {"code": 0, "message": "", "details": []}
    values: list[Any] = [{"result": {"a": 1, "status": status}}, {"b": 2}, {"result": {}}]
    texts = [json.dumps(value) for value in values]
    async with line_that_says(*texts, 1000) as line:
        assert await line.hear() == {"a": 1, "status": status}
        assert await line.hear() == {"b": 2}
        assert await line.hear() == {}
        assert await line.hear() is None
        assert not line.is_open


@pytest.mark.parametrize(
    ("value", "says", "retryable"),
    [
        ({"error": {"code": 3, "message": "bad voice"}}, r"failed \(gRPC 3\): bad voice", False),
        ({"result": {"status": {"code": 16, "message": f"key {KEY}"}}}, "key …", False),
        ({"result": {"status": {"code": 8}}}, r"failed \(gRPC 8\)$", True),
        ({"result": {"status": {"code": 14, "message": " "}}}, r"failed \(gRPC 14\)$", True),
        ({"error": {"message": "x" * 1_000}}, r"failed: x{200}$", True),
        ({"error": "odd"}, "failed: odd", True),
        ({"error": 7}, "failed$", True),
    ],
)
async def test_an_error_in_a_result_is_raised_with_its_reason(value: Any, says: str, retryable: bool) -> None:
    async with line_that_says(json.dumps(value)) as line:
        with pytest.raises(ProviderError, match=says) as failed:
            await line.hear()
    assert failed.value.retryable is retryable
    assert KEY not in str(failed.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ("[]", "a message that is not an object"),
        ('{"result": 1}', "a result that is not an object"),
        ("x" * (4 * 1024 * 1024 + 1), "sent a message of more than 4 MiB"),
    ],
)
async def test_nonsense_is_the_services_fault_and_may_pass(text: str, says: str) -> None:
    async with line_that_says(text) as line:
        with pytest.raises(ProviderError, match=says) as failed:
            await line.hear()
    assert failed.value.retryable


@pytest.mark.parametrize("code", [1006, 1011])
async def test_a_line_that_is_closed_badly_is_an_error(code: int) -> None:
    async with line_that_says(code) as line:
        with pytest.raises(ProviderError, match=f"closed \\({code}\\)") as failed:
            await line.hear()
        with pytest.raises(ProviderError, match="closed"):
            await line.say({})
    assert failed.value.retryable
