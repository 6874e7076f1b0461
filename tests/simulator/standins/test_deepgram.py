from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.standins.deepgram import SCRIPT, app, deepgram_app
from simulator.standins.deepgram_wire import BIG_CHUNK_BYTES, GARBAGE
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served
from simulator.standins.tone import hum_ulaw

pytestmark = pytest.mark.anyio

TIMEOUT_S = 30
KEY = {"Authorization": "Token k"}
SOUND = {"encoding": "mulaw", "sample_rate": "8000"}
QUERIES = {
    "/v1/listen": {"model": "nova-3", "interim_results": "true", **SOUND},
    "/v2/listen": {"model": "flux-general-en", **SOUND},
}
ENDINGS = {"/v1/listen": "Finalize", "/v2/listen": "ForceEndTurn"}

BOTH = pytest.mark.parametrize("path", list(QUERIES))


def line(at: str, path: str, **headers: str) -> AbstractAsyncContextManager[ClientConnection]:
    url = f"ws://{at}{path}?{urlencode(QUERIES.get(path, {}))}"
    return connect(url, additional_headers=headers or KEY, max_size=2 * BIG_CHUNK_BYTES)


async def speak(websocket: ClientConnection, path: str, words: int) -> None:
    await websocket.send(hum_ulaw(words))
    await websocket.send(json.dumps({"type": ENDINGS[path]}))


def text_of(message: dict[str, Any]) -> str | None:
    """What was understood, if `message` says so for good."""
    if message.get("from_finalize"):
        return str(message["channel"]["alternatives"][0]["transcript"])
    return str(message["transcript"]) if message.get("event") == "EndOfTurn" else None


async def final_text(websocket: ClientConnection) -> str:
    while (text := text_of(json.loads(await websocket.recv()))) is None:
        pass
    return text


async def all_texts(websocket: ClientConnection) -> list[str]:
    """Everything until the connection is closed, as it came."""
    texts: list[str] = []
    try:
        while True:
            texts.append(str(await websocket.recv()))
    except ConnectionClosed:
        return texts


@BOTH
async def test_transcripts_come_in_order_and_over_again(path: str) -> None:
    standin = deepgram_app(["one", "two"], Faults())
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S), line(at, path) as websocket:
        texts = []
        for _ in range(3):
            await speak(websocket, path, 1)
            texts.append(await final_text(websocket))
    assert texts == ["one", "two", "one"]
    [heard] = standin.heard
    assert bytes(heard.audio) == hum_ulaw(1) * 3
    assert heard.messages == [{"type": ENDINGS[path]}] * 3
    assert heard.query == {name: [value] for name, value in QUERIES[path].items()}
    assert (heard.path, heard.authorization) == (path, KEY["Authorization"])


@BOTH
async def test_it_has_a_script_of_its_own(path: str) -> None:
    async with served(app(Faults(), delay_s=0.01)) as at, asyncio.timeout(TIMEOUT_S), line(at, path) as websocket:
        await speak(websocket, path, 1)
        assert await final_text(websocket) == SCRIPT[0]


@BOTH
@pytest.mark.parametrize(("fault", "status"), [(Fault.REFUSE, 401), (Fault.TOO_MANY, 429), (Fault.BROKEN, 500)])
async def test_a_handshake_fails_as_told_and_the_next_one_does_not(path: str, fault: Fault, status: int) -> None:
    faults = Faults(then=[fault])
    async with served(deepgram_app(SCRIPT, faults)) as at, asyncio.timeout(TIMEOUT_S):
        with pytest.raises(InvalidStatus) as raised:
            async with line(at, path):
                pass
        async with line(at, path) as websocket:
            await speak(websocket, path, 1)
            assert await final_text(websocket) == SCRIPT[0]
    assert raised.value.response.status_code == status
    assert faults.taken == [fault, Fault.NONE]


@BOTH
async def test_a_fault_of_an_utterance_waits_for_its_voice(path: str) -> None:
    faults = Faults(then=[Fault.ZERO_AUDIO])
    async with served(deepgram_app(SCRIPT, faults)) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path):
            pass
        assert faults.taken == []


@BOTH
@pytest.mark.parametrize("headers", [{"Authorization": "Token "}, {"Authorization": "Basic k"}, {"X-Key": "k"}])
async def test_without_a_key_nobody_is_let_in(path: str, headers: dict[str, str]) -> None:
    standin = deepgram_app(SCRIPT, Faults())
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S):
        with pytest.raises(InvalidStatus) as raised:
            async with line(at, path, **headers):
                pass
    assert raised.value.response.status_code == 401
    assert standin.heard == []


@pytest.mark.parametrize(("path", "status"), [("/v1/listen?model=", 400), ("/v2/listen?x=1", 400), ("/v3", 404)])
async def test_an_address_that_makes_no_sense_is_refused(path: str, status: int) -> None:
    async with served(deepgram_app(SCRIPT, Faults())) as at, asyncio.timeout(TIMEOUT_S):
        with pytest.raises(InvalidStatus) as raised:
            async with connect(f"ws://{at}{path}", additional_headers=KEY):
                pass
    assert raised.value.response.status_code == status


async def test_a_plain_request_is_not_found() -> None:
    async with served(deepgram_app(SCRIPT, Faults())) as at, asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(*at.split(":"))
        writer.write(b"GET /v1/listen HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_a_connection_nobody_uses_is_closed() -> None:
    async with served(deepgram_app(SCRIPT, Faults(), idle_s=0.01)) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, "/v1/listen") as websocket:
            await websocket.wait_closed()
    assert (websocket.close_code, (websocket.close_reason or "")[:8]) == (1011, "NET-0001")


@BOTH
async def test_a_hanging_service_says_nothing_of_what_it_hears(path: str) -> None:
    async with served(deepgram_app(SCRIPT, Faults(Fault.HANG))) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path) as websocket:
            await speak(websocket, path, 3)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await all_texts(websocket) if path == "/v1/listen" else await final_text(websocket)


@BOTH
async def test_a_stalled_service_begins_and_never_ends(path: str) -> None:
    texts: list[str] = []
    async with served(deepgram_app(["one two three"], Faults(Fault.STALL))) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path) as websocket:
            await speak(websocket, path, 3)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    while True:
                        texts.append(str(await websocket.recv()))
    assert '"one two"' in texts[-1]
    assert all(text_of(json.loads(text)) is None for text in texts)


@BOTH
@pytest.mark.parametrize(("fault", "code"), [(Fault.CLOSE_1006, 1006), (Fault.CLOSE_1011, 1011)])
async def test_a_connection_breaks_half_way(path: str, fault: Fault, code: int) -> None:
    async with served(deepgram_app(["one two three"], Faults(fault))) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path) as websocket:
            await websocket.send(hum_ulaw(3))
            texts = await all_texts(websocket)
    assert websocket.close_code == code
    assert '"one"' in texts[-1]


@BOTH
async def test_zero_audio_is_nothing_understood(path: str) -> None:
    async with served(deepgram_app(["one"], Faults(then=[Fault.ZERO_AUDIO]))) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path) as websocket:
            await speak(websocket, path, 2)
            if path == "/v1/listen":
                assert await final_text(websocket) == ""
            await speak(websocket, path, 1)
            assert await final_text(websocket) == "one"


@BOTH
async def test_garbage_is_no_json(path: str) -> None:
    async with served(deepgram_app(["one"], Faults(Fault.GARBAGE))) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path) as websocket:
            await speak(websocket, path, 1)
            texts = [str(await websocket.recv())]
            while texts[-1] != GARBAGE:
                texts.append(str(await websocket.recv()))
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(GARBAGE)


@BOTH
async def test_a_big_chunk_holds_everything_and_ten_megabytes(path: str) -> None:
    async with served(deepgram_app(["one"], Faults(Fault.BIG_CHUNK))) as at, asyncio.timeout(TIMEOUT_S):
        async with line(at, path) as websocket:
            await websocket.send(hum_ulaw(1))
            while len(text := str(await websocket.recv())) < BIG_CHUNK_BYTES:
                pass
    assert '"one"' in text[:10_000]


@BOTH
async def test_a_slow_drip_arrives_in_full(path: str) -> None:
    standin = deepgram_app(["one two three"], Faults(Fault.SLOW_DRIP), drip_s=0.01)
    async with served(standin) as at, asyncio.timeout(TIMEOUT_S), line(at, path) as websocket:
        await speak(websocket, path, 3)
        assert await final_text(websocket) == "one two three"
