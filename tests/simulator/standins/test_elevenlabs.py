"""ElevenLabs' stand-in, judged by ElevenLabs' own SDK and by hand."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from elevenlabs.client import ElevenLabs
from elevenlabs.types import AudioOutputMulti, FinalOutputMulti
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.standins.elevenlabs import MOST_CONTEXTS, ElevenLabsStandin, app
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

LIMIT_S = 20
MULTI = "/v1/text-to-speech/v/multi-stream-input?output_format=ulaw_8000"
AT_ONCE = MULTI + "&auto_mode=true"


@asynccontextmanager
async def connected(standin: Any, path: str = AT_ONCE, key: str = "k") -> AsyncGenerator[ClientConnection, None]:
    async with (
        asyncio.timeout(LIMIT_S),
        served(standin) as host,
        connect(f"ws://{host}{path}", additional_headers={"xi-api-key": key}, max_size=None, proxy=None) as socket,
    ):
        yield socket


async def send(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


async def until_final(socket: ClientConnection) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while not messages or not messages[-1].get("isFinal"):
        messages.append(json.loads(await socket.recv()))
    return messages


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(char for said in messages for char in (said.get("alignment") or {}).get("chars", []))


@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning")  # the SDK asks for it
async def test_the_official_sdk_speaks_to_it() -> None:
    def convert(host: str) -> bytes:
        client = ElevenLabs(api_key="k")
        speech = client.text_to_speech
        # The SDK forces wss, for which a stand-in has no certificate; it has no other way to be told.
        speech._ws_base_url = f"ws://{host}"
        return b"".join(
            speech.convert_realtime("v", text=iter(["Hello ", "there."]), model_id="m", output_format="pcm_16000")
        )

    async with asyncio.timeout(LIMIT_S), served(app(Faults())) as host:
        audio = await asyncio.to_thread(convert, host)

    assert len(audio) == 16_000 * 2 * 600 // 1000


async def test_its_messages_are_those_of_the_official_sdk() -> None:
    async with connected(ElevenLabsStandin(Faults())) as socket:
        await send(
            socket,
            {"text": " ", "context_id": "c"},
            {"text": "One two. ", "context_id": "c"},
            {"context_id": "c", "flush": True},
            {"context_id": "c", "close_context": True},
        )
        *spoken, final = await until_final(socket)

    assert FinalOutputMulti.model_validate(final).model_dump(by_alias=True)["contextId"] == "c"
    for message in spoken:
        output = AudioOutputMulti.model_validate(message)
        assert base64.b64decode(output.audio)
    assert text_of(spoken) == "One two. "


async def test_times_are_relative_to_the_chunk_that_has_them() -> None:
    async with connected(ElevenLabsStandin(Faults(), lead_ms=0)) as socket:
        await send(
            socket, {"text": "ab cd", "context_id": "c", "flush": True}, {"context_id": "c", "close_context": True}
        )
        messages = await until_final(socket)

    alignments = [message["alignment"] for message in messages[:-1]]
    assert [alignment["charStartTimesMs"][0] for alignment in alignments if alignment] == [0, 33, 0, 33]


async def test_without_auto_mode_text_waits_for_enough_of_it_or_a_flush() -> None:
    async with connected(ElevenLabsStandin(Faults()), MULTI) as socket:
        await send(
            socket,
            {"text": "one ", "context_id": "little"},
            {"text": "word " * 24, "context_id": "much"},
            {"context_id": "little", "flush": True},
            {"context_id": "little", "close_context": True},
        )
        messages = await until_final(socket)

    assert text_of([message for message in messages if message["contextId"] == "little"]) == "one "
    assert text_of([message for message in messages if message["contextId"] == "much"]).startswith("word ")


async def test_a_context_that_is_closed_unflushed_says_no_more() -> None:
    standin = ElevenLabsStandin(Faults(), pace=1.0)
    async with connected(standin) as socket:
        await send(socket, {"text": "one two three four five six", "context_id": "c"})
        await socket.recv()
        await send(
            socket, {"context_id": "c", "close_context": True}, {"context_id": "nobody", "close_context": True}
        )
        messages = await until_final(socket)

    assert standin.cut_short == ["c"]
    assert len(messages) < 10


async def test_a_connection_can_be_closed_when_all_is_said() -> None:
    async with connected(ElevenLabsStandin(Faults()), MULTI) as socket:
        await send(
            socket, {"text": "", "context_id": "c"}, {"text": "one", "context_id": "c"}, {"close_socket": True}
        )
        assert text_of(await until_final(socket)) == "one "
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (["no json"], "invalid_input_message"),
        (['{"text": 7}'], "invalid_input_message"),
        (['{"text": " "}', '{"text": "a", "voice_settings": {"speed": 1}}'], "invalid_voice_settings"),
        (
            [json.dumps({"text": " ", "context_id": str(number)}) for number in range(MOST_CONTEXTS + 1)],
            "max_active_conversations",
        ),
    ],
)
async def test_a_wrong_message_ends_the_connection(messages: list[str], error: str) -> None:
    async with connected(ElevenLabsStandin(Faults())) as socket:
        for message in messages:
            await socket.send(message)
        assert json.loads(await socket.recv())["error"] == error
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


async def test_the_single_context_refuses_wrong_messages_too() -> None:
    async with connected(ElevenLabsStandin(Faults()), AT_ONCE.replace("multi-", "")) as socket:
        await socket.send('{"text": 7}')
        assert json.loads(await socket.recv())["error"] == "invalid_input_message"


async def test_a_peer_of_the_single_context_may_go_at_any_time() -> None:
    standin = ElevenLabsStandin(Faults(), pace=1.0)
    async with connected(standin, AT_ONCE.replace("multi-", "")) as socket:
        await send(socket, {"text": " "}, {"text": "one two three "})
        assert "contextId" not in json.loads(await socket.recv())
        await socket.close()

    assert [message["text"] for message in standin.sent] == [" ", "one two three "]


async def test_silence_of_the_peer_ends_the_connection() -> None:
    async with connected(ElevenLabsStandin(Faults()), AT_ONCE + "&inactivity_timeout=0.01") as socket:
        assert json.loads(await socket.recv())["error"] == "input_timeout_exceeded"


@pytest.mark.parametrize(
    ("fault", "path", "key", "status"),
    [
        (Fault.REFUSE, AT_ONCE, "k", 401),
        (Fault.TOO_MANY, AT_ONCE, "k", 429),
        (Fault.BROKEN, AT_ONCE, "k", 500),
        (Fault.NONE, AT_ONCE, "", 401),
        (Fault.NONE, "/v1/text-to-speech/v/multi-stream-input", "k", 400),
        (Fault.NONE, "/elsewhere", "k", 404),
    ],
)
async def test_who_may_not_come_in_is_told(fault: Fault, path: str, key: str, status: int) -> None:
    async with asyncio.timeout(LIMIT_S), served(ElevenLabsStandin(Faults(then=[fault]))) as host:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{host}{path}", additional_headers={"xi-api-key": key}, proxy=None)
    assert refused.value.response.status_code == status


async def test_http_finds_nothing_here() -> None:
    async with asyncio.timeout(LIMIT_S), served(ElevenLabsStandin(Faults())) as host:
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(f"GET /v1/voices HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.close()
        await writer.wait_closed()


async def test_a_connection_can_vanish_in_the_middle() -> None:
    async with connected(ElevenLabsStandin(Faults(then=[Fault.CLOSE_1006]))) as socket:
        await send(socket, {"text": "one two three", "context_id": "c"})
        with pytest.raises(ConnectionClosed) as closed:
            await until_final(socket)
    assert closed.value.rcvd is None
