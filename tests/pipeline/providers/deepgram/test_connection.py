from __future__ import annotations

import asyncio
import json
import re
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from deepgram.core.api_error import ApiError
from deepgram.listen.v1.socket_client import AsyncV1SocketClient
from websockets.exceptions import InvalidMessage
from websockets.utils import accept_key

from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.provider import ProviderError
from pipeline.providers.deepgram import connection, transcriber
from pipeline.providers.deepgram.connection import (
    MAX_POOLS,
    Pools,
    is_open,
    listen_v1,
    listen_v2,
    provider_errors,
    sound_query,
)
from simulator.standins.deepgram import deepgram_app
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served
from tests.pipeline.providers.deepgram.calls import KEY, SCRIPT, saying, source, spoken, voice
from tests.pipeline.providers.streams import TIMEOUT_S, all_of

pytestmark = pytest.mark.anyio

PROMPT_S = 5
"""Far more than it takes here, and half of what the library would wait by itself."""

BOTH = pytest.mark.parametrize("model", ["nova-3", "flux"])


@BOTH
@pytest.mark.parametrize(
    ("fault", "is_retryable"), [(Fault.REFUSE, False), (Fault.TOO_MANY, True), (Fault.BROKEN, True)]
)
async def test_a_refused_handshake_tells_whether_it_may_pass(model: str, fault: Fault, is_retryable: bool) -> None:
    async with served(deepgram_app(SCRIPT, Faults(fault))) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        with pytest.raises(ProviderError) as raised:
            await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert raised.value.retryable is is_retryable
    assert KEY not in "".join(traceback.format_exception(raised.value))


@BOTH
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.CLOSE_1006, "1006"),
        (Fault.CLOSE_1011, "1011"),
        (Fault.GARBAGE, "not JSON"),
        (Fault.BIG_CHUNK, "cannot be read"),
    ],
)
async def test_a_connection_that_breaks_in_an_utterance_may_be_better_next_time(
    model: str, fault: Fault, words: str
) -> None:
    faults = Faults(then=[fault])
    async with served(deepgram_app(SCRIPT, faults)) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        await deepgram.prepare()
        with pytest.raises(ProviderError, match=words) as raised:
            await all_of(deepgram.transcribe(spoken(voice(4)), format=PCMU, language=None))
        again = await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert raised.value.retryable
    assert again[-1].text == SCRIPT[1]


@BOTH
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_a_service_that_says_no_more_is_waited_for_until_somebody_loses_patience(
    model: str, fault: Fault
) -> None:
    async with served(deepgram_app(SCRIPT, Faults(fault))) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await all_of(deepgram.transcribe(spoken(voice(4)), format=PCMU, language=None))
        await deepgram.aclose()


@BOTH
async def test_a_slow_service_is_heard_to_the_end(model: str) -> None:
    async with served(deepgram_app(SCRIPT, Faults(Fault.SLOW_DRIP), drip_s=0.01)) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        heard = await all_of(deepgram.transcribe(spoken(voice(4)), format=PCMU, language=None))
        await deepgram.aclose()
    assert heard[-1].text == SCRIPT[0]


@BOTH
async def test_sound_where_text_was_due_is_a_fault(model: str) -> None:
    async with served(saying(b"\x00\x00")) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        with pytest.raises(ProviderError, match="2 bytes") as raised:
            await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert raised.value.retryable


@BOTH
async def test_a_goodbye_that_nobody_asked_for_is_a_fault(model: str) -> None:
    async with served(saying(close=1000)) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        with pytest.raises(ProviderError, match="closed with 1000") as raised:
            await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
        await deepgram.aclose()
    assert raised.value.retryable


@BOTH
async def test_a_fault_of_the_sound_is_not_taken_for_one_of_the_service(model: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield voice(1)
        raise LookupError("ours")

    async with served(deepgram_app(SCRIPT, Faults(Fault.HANG))) as at:
        deepgram = cast(Any, transcriber(source(at, model)))
        with pytest.raises(LookupError, match="ours"):
            await all_of(deepgram.transcribe(broken(), format=PCMU, language=None))
        await deepgram.aclose()


@BOTH
async def test_a_server_that_is_not_there_may_be_there_next_time(model: str) -> None:
    async with served(deepgram_app(SCRIPT, Faults())) as at:
        pass
    deepgram = cast(Any, transcriber(source(at, model)))
    with pytest.raises(ProviderError, match="cannot be reached") as raised:
        await all_of(deepgram.transcribe(spoken(voice(1)), format=PCMU, language=None))
    await deepgram.aclose()
    assert raised.value.retryable


@pytest.mark.parametrize(
    ("error", "is_retryable"),
    [
        (ApiError(status_code=400), False),
        (ApiError(status_code=403), False),
        (ApiError(status_code=404), False),
        (ApiError(status_code=408), True),
        (ApiError(status_code=429), True),
        (ApiError(status_code=503), True),
        (ApiError(), False),
        (InvalidMessage("no HTTP"), True),
        (OSError("unreachable"), True),
        (json.JSONDecodeError("no JSON", "", 0), True),
    ],
)
def test_each_error_of_the_library_becomes_one_of_ours(error: Exception, is_retryable: bool) -> None:
    with pytest.raises(ProviderError) as raised, provider_errors("deepgram/nova-3"):
        raise error
    assert raised.value.retryable is is_retryable
    assert raised.value.provider == "deepgram/nova-3"


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_base_url_may_be_of_either_kind(scheme: str) -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at:
        there = replace(source(at, "nova-3"), base_url=f"{scheme}://{at}/")
        query = sound_query("deepgram", PCMU) | {"model": "nova-3"}
        async with listen_v1(there).connect(**query) as socket:
            assert is_open(socket)
    assert [connection.path for connection in standin.heard] == ["/v1/listen"]


@pytest.mark.parametrize("url", ["api.deepgram.com", "ftp://api.deepgram.com", "https://"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ProviderError, match="base URL") as raised:
        listen_v2(replace(source("", "flux"), base_url=url))
    assert not raised.value.retryable


def test_without_a_base_url_the_service_itself_is_asked() -> None:
    client = cast(Any, listen_v2(replace(source("", "flux"), base_url="")))
    environment = client._raw_client._client_wrapper.get_environment()
    assert environment.production == "wss://api.deepgram.com"


async def test_a_connection_the_service_closed_is_known_to_be_closed() -> None:
    async with served(deepgram_app(SCRIPT, Faults(), idle_s=0.01)) as at:
        query = sound_query("deepgram", PCMU) | {"model": "nova-3"}
        async with asyncio.timeout(TIMEOUT_S), listen_v1(source(at, "nova-3")).connect(**query) as socket:
            await cast(Any, socket)._websocket.wait_closed()
            assert not is_open(socket)


async def test_a_handshake_that_takes_too_long_is_left_at_once() -> None:
    async with tcp_server(lambda request: b"") as at, asyncio.timeout(PROMPT_S):
        pool = await pools_at(at).pool(PCMU, None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), pool.lease():
                pass
        await pool.aclose()


async def test_a_goodbye_that_nobody_returns_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CLOSE_LIMIT_S", 0.01)
    async with tcp_server(accepting) as at, asyncio.timeout(PROMPT_S):
        pools = pools_at(at)
        async with (await pools.pool(PCMU, None)).lease() as lease:
            assert is_open(lease.connection)
        await cast(Any, lease.connection)._websocket.wait_closed()
        await pools.aclose()


async def test_a_handshake_that_is_through_as_it_is_given_up_leaves_nothing_open() -> None:
    async with served(deepgram_app(SCRIPT, Faults())) as at, asyncio.timeout(PROMPT_S):
        context = listen_v1(source(at, "nova-3")).connect(model="nova-3", **sound_query("deepgram", PCMU))
        sockets: list[AsyncV1SocketClient] = []

        async def open_and_be_cancelled() -> AsyncV1SocketClient:
            sockets.append(await context.__aenter__())
            waiting.cancel()
            return sockets[0]

        waiting = asyncio.ensure_future(connection._without_patience(open_and_be_cancelled()))
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await cast(Any, sockets[0])._websocket.wait_closed()
        await context.__aexit__(None, None, None)


@asynccontextmanager
async def tcp_server(answer: Callable[[bytes], bytes]) -> AsyncGenerator[str, None]:
    """One that answers a request once, and never anything after it."""
    lines: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for line in lines:
            line.transport.abort()


def accepting(request: bytes) -> bytes:
    """A WebSocket is accepted (RFC 6455, section 4.2.2)."""
    [key] = re.findall(rb"(?i)sec-websocket-key: (\S+)", request)
    proof = accept_key(key.decode())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {proof}\r\n\r\n"
    ).encode()


def pools_at(at: str) -> Pools[AsyncV1SocketClient]:
    client = listen_v1(source(at, "nova-3"))

    def connect(format: AudioFormat, language: str | None) -> AbstractAsyncContextManager[AsyncV1SocketClient]:
        return client.connect(model="nova-3", language=language, **sound_query("deepgram", format))

    return Pools("deepgram", connect, keep_alive=AsyncV1SocketClient.send_keep_alive)


async def test_a_connection_that_waits_is_kept_alive() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S):
        pools = pools_at(at)
        pool = await pools.pool(PCMU, None)
        async with pool.lease() as lease:
            await pools._kept_alive(lease.connection)
            await lease.connection.send_close_stream()
            async for _ in lease.connection:
                pass
        with pytest.raises(ProviderError, match="closed with 1000"):
            await pools._kept_alive(lease.connection)
        await pools.aclose()
    assert [message["type"] for message in standin.heard[0].messages] == ["KeepAlive", "CloseStream"]


async def test_only_so_many_languages_have_connections_at_once() -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S):
        pools = pools_at(at)
        first = await pools.pool(PCMU, "x0")
        await first.prepare()
        assert first.waiting == 1
        for number in range(1, MAX_POOLS):
            await pools.pool(PCMU, f"x{number}")
        assert await pools.pool(PCMU, "x0") is first
        await pools.pool(PCMU, "one-more")
        assert first.waiting == 0
        assert await pools.pool(PCMU, "x0") is not first
        await pools.aclose()
