from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

import httpx2
import openai
import pytest
from starlette.requests import Request
from starlette.responses import Response

from pipeline.agent import Agent
from pipeline.provider import ProviderError
from pipeline.providers.openai import client as client_module
from pipeline.providers.openai.client import OPENAI_URL, Client, drain
from pipeline.providers.source import Source
from tests.pipeline.providers.openai.standing import answering, source_at

pytestmark = pytest.mark.anyio


async def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(ProviderError, match="no API key; set OPENAI_API_KEY"):
        Client(Source(name="openai", agent=Agent("a")))


async def test_a_server_of_ones_own_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    client = Client(Source(name="ollama", agent=Agent("a"), base_url="http://127.0.0.1:11434/v1"))
    assert client.sdk.api_key == "none"
    await client.aclose()


async def test_the_environment_does_not_say_where_the_server_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.example/v1")
    client = Client(source_at(""))
    assert str(client.sdk.base_url).rstrip("/") == OPENAI_URL
    await client.aclose()


@pytest.mark.parametrize(
    ("base_url", "is_openai"),
    [
        ("", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://api.groq.com/openai/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
async def test_openai_is_known_by_its_host(base_url: str, is_openai: bool) -> None:
    client = Client(source_at(base_url))
    assert client.is_openai is is_openai
    await client.aclose()


@pytest.mark.parametrize("base_url", ["localhost:8000", "ftp://x/v1", "http://", "http://x:port/v1"])
async def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(ProviderError, match="base URL") as refused:
        Client(source_at(base_url))
    assert not refused.value.retryable


async def test_the_key_of_a_server_of_ones_own_is_told_by_its_name() -> None:
    client = Client(Source(name="groq", agent=Agent("a"), api_key="k", base_url="http://127.0.0.1:1/v1"))
    response = httpx2.Response(401, request=httpx2.Request("POST", "http://127.0.0.1:1"))
    with pytest.raises(ProviderError, match=r"SWITCHBOARD_PROVIDER_KEYS \(groq=…\)"), client.errors():
        raise openai.AuthenticationError("no", response=response, body=None)
    await client.aclose()


async def test_a_connection_opened_beforehand_is_the_one_that_is_used() -> None:
    came: list[tuple[str, int]] = []

    async def answer(request: Request) -> Response:
        assert request.client is not None
        came.append((request.method, request.client.port))
        return Response(b"{}", media_type="application/json")

    async with answering(answer) as url:
        client = Client(source_at(url))
        await client.prepare()
        async with client.sdk.chat.completions.with_streaming_response.create(model="m", messages=[]) as response:
            await response.read()
        await client.aclose()
    assert [method for method, _ in came] == ["HEAD", "POST"]
    assert len({port for _, port in came}) == 1


async def test_that_nobody_is_there_to_prepare_for_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(source_at("http://127.0.0.1:1/v1"))
    with caplog.at_level(logging.WARNING):
        await client.prepare()
    await client.aclose()
    assert "no connection kept warm: openai: cannot be reached" in caplog.text


async def test_to_prepare_takes_no_longer_than_a_handshake_may(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_LIMIT_S", 0.01)

    async def hang(request: Request) -> Response:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response()

    async with answering(hang) as url:
        client = Client(source_at(url))
        async with asyncio.timeout(30):
            await client.prepare()
        await client.aclose()
    assert "no connection kept warm" in caplog.text


async def test_the_end_of_a_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "DRAIN_LIMIT_S", 0.01)

    async def never_ends() -> AsyncGenerator[bytes, None]:
        yield b"more"
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        await drain(never_ends())
