from __future__ import annotations

import asyncio
import base64
import json
import random
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from simulator import media_stream
from simulator.caller import Caller, HangUp, Listen, Step, Wait
from simulator.chronicle import Chronicle
from simulator.errors import StreamRefused
from simulator.handset import Handset
from simulator.media_stream import EndedBy, MediaStream, StreamEnd, StreamSetup, check_address
from simulator.network import Network
from simulator.sound import Codec
from tests.simulator.throwaway_gateway import AUTH_TOKEN, JumpingClock, tone

pytestmark = pytest.mark.anyio
SID = "MZ" + "2" * 32
Server = Callable[[ServerConnection], Awaitable[None]]


class Stream:
    """A media stream to a throw-away server, and what it told."""

    def __init__(self, url: str, *steps: Step, codec: Codec = Codec.PCMU, network: Network | None = None) -> None:
        self.clock = JumpingClock()
        self.chronicle = Chronicle(self.clock.now_s)
        self.caller = Caller(steps)
        self.setup = StreamSetup(
            url=url,
            track="inbound_track",
            parameters={"line": "main"},
            account_sid="AC1",
            call_sid="CA1",
            stream_sid=SID,
            auth_token=AUTH_TOKEN,
            codec=codec,
            network=network or Network(),
        )
        self.stream = MediaStream(self.setup, self.chronicle, self.clock, random.Random(1))
        self.until_s = float("inf")

    def pick_up(self, start_s: float, opened_ms: int) -> Handset:
        return Handset(self.caller, self.setup.codec, None, start_s=start_s, opened_ms=opened_ms)

    async def run(self) -> StreamEnd:
        async with asyncio.timeout(20):
            end, self.handset = await self.stream.run(await self.stream.open(), self.pick_up, until_s=self.until_s)
        return end

    def told(self, name: str) -> list[dict[str, Any]]:
        return [dict(one.detail) for one in self.chronicle.happenings if one.name == name]


@asynccontextmanager
async def serving(server: Server, **options: Any) -> AsyncIterator[str]:
    async with serve(server, "127.0.0.1", 0, close_timeout=0.2, **options) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/media/t0"


async def read(connection: ServerConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(await connection.recv()) for _ in range(count)]


async def read_all(connection: ServerConnection) -> list[dict[str, Any]]:
    return [json.loads(frame) async for frame in connection]


def message(event: str, body: object = None) -> str:
    return json.dumps({"event": event, "streamSid": SID} | ({} if body is None else {event: body}))


def media(audio: bytes) -> str:
    return message("media", {"payload": base64.b64encode(audio).decode()})


async def test_the_handshake_is_signed_over_the_socket_address() -> None:
    seen: list[Any] = []

    async def server(connection: ServerConnection) -> None:
        seen.append(connection.request)

    async with serving(server) as url:
        await Stream(url, Wait(1000), HangUp()).run()
    [request] = seen
    assert RequestValidator(AUTH_TOKEN).validate(url, {}, request.headers["X-Twilio-Signature"])
    assert "Sec-WebSocket-Extensions" not in request.headers


@pytest.mark.parametrize("codec", Codec)
async def test_the_callers_silence_is_sent_every_20_ms_in_the_streams_codec(codec: Codec) -> None:
    received: list[dict[str, Any]] = []

    async def server(connection: ServerConnection) -> None:
        received.extend(await read_all(connection))

    async with serving(server) as url:
        end = await Stream(url, Wait(200), HangUp(), codec=codec).run()
    assert end == StreamEnd(EndedBy.CALLER, None)
    assert [one["event"] for one in received] == ["connected", "start", *["media"] * 10, "stop"]
    assert received[1]["start"]["mediaFormat"]["encoding"] == codec.encoding
    assert received[1]["start"]["customParameters"] == {"line": "main"}
    media = [one["media"] for one in received if one["event"] == "media"]
    assert [one["timestamp"] for one in media] == [str(at) for at in range(0, 200, 20)]
    assert [one["chunk"] for one in media] == [str(at) for at in range(1, 11)]
    assert len({one["payload"] for one in media}) == 1
    assert [one["sequenceNumber"] for one in received[1:]] == [str(at) for at in range(1, 13)]


async def test_each_kind_of_wrong_message_is_complained_of_once_and_the_stream_goes_on() -> None:
    async def server(connection: ServerConnection) -> None:
        await read(connection, 2)
        wrongs: list[str | bytes] = [b"\x00", b"\x01", "hello", '{"event":"nonsense"}', message("mark")]
        for wrong in wrongs:
            await connection.send(wrong)
        await connection.send(message("mark", {"name": "right"}))
        while json.loads(await connection.recv())["event"] != "mark":
            pass

    async with serving(server) as url:
        stream = Stream(url, Wait(10_000), HangUp())
        assert await stream.run() == StreamEnd(EndedBy.GATEWAY, 1000)
    assert [one.code for one in stream.chronicle.complaints] == [31950, 31951]
    assert stream.told("stream.ended")[0]["rejected_messages"] == 5


async def test_a_gateway_that_breaks_off_ends_the_stream_and_what_was_buffered_is_never_heard() -> None:
    async def server(connection: ServerConnection) -> None:
        await read(connection, 2)
        for _ in range(10):
            await connection.send(media(tone(40)))
        await read(connection, 10)
        connection.transport.abort()

    async with serving(server) as url:
        stream = Stream(url, Wait(10_000), HangUp())
        assert await stream.run() == StreamEnd(EndedBy.GATEWAY, 1006)
    assert 0 < stream.handset.sound().heard_bytes < stream.handset.sound().received_bytes


async def test_a_stream_ends_at_the_calls_time_limit_with_a_stop() -> None:
    received: list[dict[str, Any]] = []

    async def server(connection: ServerConnection) -> None:
        received.extend(await read_all(connection))

    async with serving(server) as url:
        stream = Stream(url, Wait(60_000), HangUp())
        stream.until_s = stream.clock.now_s() + 1
        assert await stream.run() == StreamEnd(EndedBy.TIME_LIMIT, None)
    assert received[-1]["event"] == "stop"


async def test_lost_frames_leave_gaps_in_the_timestamps_and_none_in_the_numbers() -> None:
    received: list[dict[str, Any]] = []

    async def server(connection: ServerConnection) -> None:
        received.extend(await read_all(connection))

    async with serving(server) as url:
        stream = Stream(url, Wait(2_000), HangUp(), network=Network(loss=0.3))
        await stream.run()
    media = [one["media"] for one in received if one["event"] == "media"]
    lost = stream.told("stream.ended")[0]["lost_frames"]
    assert 0 < lost == 100 - len(media)
    assert [int(one["chunk"]) for one in media] == list(range(1, len(media) + 1))
    timestamps = [int(one["timestamp"]) for one in media]
    assert timestamps == sorted(timestamps) and timestamps != list(range(0, 20 * len(media), 20))


async def test_delay_holds_back_both_directions_and_marks_come_back_in_order() -> None:
    names: list[str] = []

    async def server(connection: ServerConnection) -> None:
        await read(connection, 2)
        for name in "abc":
            await connection.send(media(tone(100)))
            await connection.send(message("mark", {"name": name}))
        while len(names) < 3:
            got = json.loads(await connection.recv())
            if got["event"] == "mark":
                names.append(got["mark"]["name"])

    async with serving(server) as url:
        stream = Stream(url, Wait(60_000), HangUp(), network=Network(delay_ms=100, jitter_ms=200))
        await stream.run()
    assert names == ["a", "b", "c"]
    heard = next(one for one in stream.chronicle.happenings if one.name == "agent.heard")
    assert heard.at_ms >= 200


async def test_a_gateway_that_stops_reading_costs_frames_but_never_the_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_stream, "CLOSE_TIMEOUT_S", 0.1)
    finished = asyncio.Event()

    async def server(connection: ServerConnection) -> None:
        while not finished.is_set():  # speaks on, past the caller's hanging up, and never listens
            await connection.send(media(tone(20)))
            try:
                async with asyncio.timeout(0.01):
                    await finished.wait()
            except TimeoutError:
                pass

    async with serving(server, max_queue=1) as url:
        stream = Stream(url, Wait(60_000), HangUp())
        small = sockets.socket()
        small.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
        small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        host, port = url.split("/")[2].split(":")
        small.connect((host, int(port)))
        try:
            async with asyncio.timeout(20):
                socket = await connect(url, sock=small, compression=None, ping_interval=None)
                end, _ = await stream.stream.run(socket, stream.pick_up, until_s=float("inf"))
        finally:
            finished.set()
    assert end.by is EndedBy.CALLER
    assert stream.told("stream.ended")[0]["dropped_messages"] > 500
    assert stream.chronicle.duration_s >= 60


async def test_what_does_not_answer_the_handshake_is_refused_with_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_stream, "OPEN_TIMEOUT_S", 0.1)

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        if b"silent" in first:
            await reader.read()
        elif b"garbage" in first:
            writer.write(b"220 ftp ready\r\n\r\n")
        elif b"forbidden" in first:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        codes = {}
        for path in ("silent", "garbage", "forbidden", "closes"):
            with pytest.raises(StreamRefused) as refused:
                await Stream(f"ws://127.0.0.1:{port}/{path}", Listen()).stream.open()
            codes[path] = (refused.value.code, refused.value.http_status)
    assert codes == {
        "silent": (31901, None),
        "garbage": (31920, None),
        "forbidden": (31920, 403),
        "closes": (31920, None),
    }
    with pytest.raises(StreamRefused) as nobody:
        await Stream(f"ws://127.0.0.1:{port}/", Listen()).stream.open()
    assert nobody.value.code == 31902


@pytest.mark.parametrize(
    ("url", "track", "code"),
    [
        ("ws://voice.example.com/media", "inbound_track", 31922),
        ("http://127.0.0.1/media", "inbound_track", 31922),
        ("wss:///media", "inbound_track", 31923),
        ("wss://host:port/media", "inbound_track", 31923),
        ("wss://voice.example.com/media", "both_tracks", 31941),
    ],
)
async def test_an_address_or_track_twilio_would_not_take_is_refused(url: str, track: str, code: int) -> None:
    with pytest.raises(StreamRefused) as refused:
        check_address(url, track)
    assert refused.value.code == code


@pytest.mark.parametrize("url", ["wss://a.example/m", "ws://127.0.0.1:1/m", "ws://[::1]/m", "ws://localhost/m"])
async def test_wss_anywhere_and_ws_on_loopback_are_taken(url: str) -> None:
    check_address(url, "inbound_track")
