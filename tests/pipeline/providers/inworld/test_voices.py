"""Which voices a workspace has, and that nobody waits long to hear it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipeline.providers.inworld.voices import PATH, KnownVoices
from pipeline.providers.source import Source
from simulator.standins.serving import served
from tests.pipeline.providers.inworld.places import KEY, source_at

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listing(*pages: Any, status: int = 200) -> AsyncGenerator[tuple[Source, list[Request]], None]:
    asked: list[Request] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked.append(request)
        page = pages[min(len(asked), len(pages)) - 1]
        body = page if isinstance(page, str) else json.dumps(page)
        await Response(body, status)(scope, receive, send)

    async with served(app) as address:
        yield source_at(address), asked


def page(*names: str, following: str = "") -> dict[str, Any]:
    return {"voices": [{"voiceId": name, "displayName": "Other"} for name in names], "nextPageToken": following}


async def test_the_list_is_asked_for_once_with_the_key() -> None:
    async with listing(page("Dennis", "mine__voice")) as (source, asked):
        voices = KnownVoices(source)
        assert await voices.has("mine__voice")
        assert not await voices.has("alloy") and not await voices.has("Other")
    assert [(request.url.path, request.headers["authorization"]) for request in asked] == [(PATH, f"Basic {KEY}")]


async def test_all_pages_are_read() -> None:
    async with listing(page("one", following="a&b"), page("two")) as (source, asked):
        assert await KnownVoices(source).has("two")
    assert [request.query_params.get("pageToken") for request in asked] == [None, "a&b"]


async def test_pages_without_end_are_not_read_without_end() -> None:
    async with listing(page("one", following="on")) as (source, asked):
        assert await KnownVoices(source).has("one")
    assert len(asked) == 20


@pytest.mark.parametrize("listed", ["[", [], {"voices": 7}, {"voices": [7, {"voiceId": 7}]}, {}])
async def test_a_list_that_makes_no_sense_has_no_voice(listed: Any) -> None:
    async with listing(listed) as (source, _):
        assert not await KnownVoices(source).has("Dennis")


async def test_after_a_failure_the_next_answer_does_not_wait_again() -> None:
    async with listing(page("Dennis"), status=302) as (source, asked):
        voices = KnownVoices(source)
        assert not await voices.has("Dennis") and not await voices.has("Dennis")
    assert len(asked) == 1


async def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        voices = KnownVoices(source_at(f"127.0.0.1:{silent.getsockname()[1]}"))
        assert not await voices.has("Dennis")
