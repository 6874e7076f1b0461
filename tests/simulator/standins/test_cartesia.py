"""Cartesia's stand-in, judged by Cartesia's own SDK and by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cartesia import AsyncCartesia
from cartesia.types.websocket_response import Chunk, Done, Error, FlushDone, Timestamps
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.standins.cartesia import CartesiaStandin, app
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

LIMIT_S = 20
REQUEST: dict[str, Any] = {
    "context_id": "c",
    "model_id": "sonic-3",
    "transcript": "One two.",
    "voice": {"mode": "id", "id": "v"},
    "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
    "add_timestamps": True,
}


@asynccontextmanager
async def connected(
    standin: Any, path: str = "/tts/websocket", **headers: str
) -> AsyncGenerator[ClientConnection, None]:
    asked = {"Authorization": "Bearer k", "cartesia-version": "2026-08-14"} | headers
    async with (
        asyncio.timeout(LIMIT_S),
        served(standin) as host,
        connect(f"ws://{host}{path}", additional_headers=asked, max_size=None, proxy=None) as socket,
    ):
        yield socket


async def refused(standin: Any, path: str = "/tts/websocket", **headers: str) -> int:
    """The HTTP status of a handshake that fails."""
    asked = {"Authorization": "Bearer k", "cartesia-version": "2026-08-14"} | headers
    async with asyncio.timeout(LIMIT_S), served(standin) as host:
        with pytest.raises(InvalidStatus) as status:
            await connect(f"ws://{host}{path}", additional_headers=asked, proxy=None)
    return status.value.response.status_code


async def sent(socket: ClientConnection, **changes: object) -> None:
    await socket.send(json.dumps({**REQUEST, **changes}))


async def until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Messages up to one of this `kind`."""
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != kind:
        messages.append(json.loads(await socket.recv()))
    return messages


async def test_the_official_sdk_speaks_to_it_unmodified() -> None:
    async with asyncio.timeout(LIMIT_S), served(app(Faults())) as host:
        client = AsyncCartesia(api_key="k", base_url=f"http://{host}", websocket_base_url=f"ws://{host}")
        async with client.tts.websocket_connect() as connection:
            context = connection.context(
                model_id="sonic-3.5",
                voice="6ccbfb76-1fc6-48f7-b71d-91ac6298247b",
                output_format={"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
                add_timestamps=True,
                max_buffer_delay_ms=0,
            )
            await context.push("The road ")
            await context.push("goes on.")
            await context.no_more_inputs()
            received = [message async for message in context.receive()]
        await client.close()

    assert [type(message) for message in received if not isinstance(message, Chunk)] == [
        Timestamps,
        FlushDone,
        Timestamps,
        FlushDone,
        Done,
    ]
    words = [message.word_timestamps for message in received if isinstance(message, Timestamps)]
    assert words[1] is not None and words[1].words == ["goes", "on."]
    assert words[1].start == pytest.approx([0.55, 0.75])
    audio = b"".join(message.audio or b"" for message in received if isinstance(message, Chunk))
    assert len(audio) == 24_000 * 2 * 950 // 1000


async def test_the_official_sdk_understands_its_errors() -> None:
    async with asyncio.timeout(LIMIT_S), served(app(Faults())) as host:
        client = AsyncCartesia(api_key="k", base_url=f"http://{host}", websocket_base_url=f"ws://{host}")
        async with client.tts.websocket_connect() as connection:
            context = connection.context(output_format={"container": "raw", "encoding": "mp3", "sample_rate": 8000})
            await context.send(transcript="x", voice="v")
            error = [message async for message in context.receive()][-1]
        await client.close()

    assert isinstance(error, Error) and error.status_code == 400
    assert "encoding" in error.error


async def test_contexts_speak_side_by_side() -> None:
    async with connected(CartesiaStandin(Faults())) as socket:
        await sent(socket, context_id="a", transcript="one two three four")
        await sent(socket, context_id="b", transcript="five six seven eight")
        messages = await until(socket, "done") + await until(socket, "done")

    chunks = [message["context_id"] for message in messages if message["type"] == "chunk"]
    assert chunks != sorted(chunks)
    assert chunks.count("a") == chunks.count("b") > 1


async def test_a_cancelled_context_says_no_more() -> None:
    standin = CartesiaStandin(Faults(), pace=1.0)
    async with connected(standin) as socket:
        await sent(socket, context_id="long", transcript="one two three four five six seven eight")
        await until(socket, "chunk")
        await socket.send('{"context_id": "long", "cancel": true}')
        await socket.send('{"context_id": "nobody", "cancel": true}')
        await sent(socket, context_id="next", transcript="nine", add_timestamps=False)
        messages = await until(socket, "done")

    assert standin.cancelled == ["long"]
    assert {message["type"] for message in messages if message["context_id"] == "next"} == {"chunk", "done"}
    assert not any(message["type"] == "done" for message in messages if message["context_id"] == "long")


async def test_a_context_expires_after_its_last_sound() -> None:
    standin = CartesiaStandin(Faults(), expires_s=0.01)
    async with connected(standin) as socket:
        await sent(socket, **{"continue": True})
        await until(socket, "done")
        await sent(socket, **{"continue": True})
        error = (await until(socket, "error"))[-1]

    assert standin.expired == ["c"]
    assert error["message"] == "the context has expired"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"context_id": None}, "context_id is required"),
        ({"model_id": ""}, "model_id is missing"),
        ({"transcript": None}, "transcript is missing"),
        ({"voice": {"mode": "id"}}, "voice is missing"),
        ({"output_format": None}, "output_format.container is missing"),
        ({"output_format": {**REQUEST["output_format"], "sample_rate": 9}}, "output_format.sample_rate is missing"),
    ],
)
async def test_a_wrong_message_is_answered_by_an_error(changes: dict[str, Any], what: str) -> None:
    async with connected(CartesiaStandin(Faults())) as socket:
        await sent(socket, **changes)
        error = json.loads(await socket.recv())

        assert (error["type"], error["status_code"]) == ("error", 400)
        assert what in error["message"]
        await socket.send("no json")
        assert json.loads(await socket.recv())["message"] == "context_id is required"


async def test_inputs_of_one_context_may_not_differ() -> None:
    async with connected(CartesiaStandin(Faults())) as socket:
        await sent(socket, **{"continue": True})
        await sent(socket, model_id="sonic-2", **{"continue": True})

        assert "differ in model_id" in (await until(socket, "error"))[-1]["message"]


@pytest.mark.parametrize(("fault", "status"), [(Fault.REFUSE, 401), (Fault.TOO_MANY, 429), (Fault.BROKEN, 500)])
async def test_faults_of_the_handshake(fault: Fault, status: int) -> None:
    assert await refused(CartesiaStandin(Faults(then=[fault]))) == status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/tts/websocket", {"Authorization": ""}, 401),
        ("/tts/websocket", {"cartesia-version": ""}, 400),
        ("/elsewhere", {}, 404),
    ],
)
async def test_who_may_not_come_in_is_told(path: str, headers: dict[str, str], status: int) -> None:
    assert await refused(CartesiaStandin(Faults()), path, **headers) == status


async def test_http_finds_nothing_here() -> None:
    async with asyncio.timeout(LIMIT_S), served(CartesiaStandin(Faults())) as host:
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(f"GET /tts/bytes HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("fault", [Fault.CLOSE_1006, Fault.CLOSE_1011])
async def test_a_connection_can_end_in_the_middle(fault: Fault) -> None:
    async with connected(CartesiaStandin(Faults(then=[fault]))) as socket:
        await sent(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, "done")
    assert (closed.value.rcvd.code if closed.value.rcvd else 1006) == int(fault.value[-4:])


async def test_a_big_chunk_is_as_big_as_it_says() -> None:
    async with connected(CartesiaStandin(Faults(then=[Fault.BIG_CHUNK]))) as socket:
        await sent(socket)
        assert len(json.loads(await socket.recv())["data"]) > 10 * 1024 * 1024
