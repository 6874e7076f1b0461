"""A stand-in behind a socket: it is there at once, and at the end nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

LIMIT_S = 30.0


async def test_it_answers_and_then_its_port_is_nobodys() -> None:
    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    async with asyncio.timeout(LIMIT_S), aiohttp.ClientSession() as session:
        async with served(Starlette(routes=[Route("/", hello)])) as host:
            async with session.get(f"http://{host}/") as answer:
                assert (await answer.text(), "date" in answer.headers) == ("hello", True)
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://{host}/")


async def test_at_the_end_a_socket_is_closed_with_a_word_and_an_answer_that_hangs_is_cut_off() -> None:
    asked, cancelled, codes = asyncio.Event(), asyncio.Event(), []

    async def hang(request: Request) -> Response:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await socket.receive_text()

    app = Starlette(routes=[Route("/hang", hang), WebSocketRoute("/ws", listen)])
    before = asyncio.all_tasks()
    async with asyncio.timeout(LIMIT_S), aiohttp.ClientSession() as session:
        async with served(app) as host:
            line = await session.ws_connect(f"ws://{host}/ws")

            async def hear() -> None:
                async for _ in line:
                    pass
                codes.append(line.close_code)

            hearing = asyncio.create_task(hear())
            hanging = asyncio.create_task(session.get(f"http://{host}/hang").__aenter__())
            await asked.wait()
        assert cancelled.is_set()
        with pytest.raises(aiohttp.ClientError):
            await hanging
        await hearing
        assert codes == [1012]
    assert asyncio.all_tasks() == before
