"""The short way for frames: the same messages in the same order as by the long way, however the bytes are cut.

Twice: byte by byte on a transport of the test's own, with uvicorn's plain protocol as the judge, and over a real
server with the `websockets` client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from gateway.fast_lane import EXTENSION, Direct, FastLane
from tests.virtual_time import settle, virtual_loop

LONGEST = 1_000
"""Bytes a message may have on the servers of these tests."""

MASK = b"\x11\x22\x33\x44"

LIKE_A_FRAME = b"\x81\x80\x81\x80"
"""A mask that looks like the head of a text frame, for whoever begins to read at the wrong place."""

HANDSHAKE = (
    b"GET /stream HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked(payload: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def frame(
    opcode: int,
    payload: bytes,
    *,
    final: bool = True,
    form: int = 0,
    is_masked: bool = True,
    reserved: int = 0,
    key: bytes = MASK,
) -> bytes:
    """A client's frame (RFC 6455, section 5.2), written by hand: `form` 126 or 127 forces a longer length."""
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    bit = 0x80 if is_masked else 0
    length = len(payload)
    if form == 127 or length >= 1 << 16:
        head += bytes([bit | 127]) + length.to_bytes(8, "big")
    elif form == 126 or length >= 126:
        head += bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([bit | length])
    return head + (key + masked(payload, key) if is_masked else payload)


def text(words: str, **how: Any) -> bytes:
    return frame(Opcode.TEXT, words.encode(), **how)


def close(code: int = 1000) -> bytes:
    return frame(Opcode.CLOSE, code.to_bytes(2, "big"))


class Wire(asyncio.Transport):
    """What the protocol writes to, and whether it has hung up."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads = True
        self.is_closed = False
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whoever had it before."""
        return asyncio.Protocol()


@dataclass
class Heard:
    """What an application got by one of the two ways."""

    texts: list[bytes] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    """Everything but texts: binary messages and the end."""
    answered: bytes = b""
    """What the server wrote after the handshake."""
    is_closed: bool = False

    def hear(self, payload: bytes | bytearray) -> None:
        self.texts.append(bytes(payload))


class Connection:
    """One connection at a protocol, and an application that takes all it gets."""

    def __init__(
        self, protocol: type[WebSocketsSansIOProtocol], *, listens: bool, takes_binary: bool = False
    ) -> None:
        config = uvicorn.Config(
            self._app,
            ws=protocol,
            ws_max_size=LONGEST,
            ws_per_message_deflate=False,
            log_config=None,
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
        )
        config.load()
        self.heard = Heard()
        self.wire = Wire()
        self.listens = listens
        self.takes_binary = takes_binary
        self.may_listen = asyncio.Event()
        self.may_listen.set()
        self.direct: Direct | None = None
        self.protocol = protocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.wire)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.direct = scope["extensions"].get(EXTENSION)
        await self.may_listen.wait()
        if self.listens:
            assert self.direct is not None
            self.direct.listen(self.heard.hear, takes_binary=self.takes_binary)
        while True:
            message = await receive()
            if "text" in message:
                self.heard.texts.append(message["text"].encode())
            else:
                self.heard.others.append(message.get("bytes") or (message["type"], message.get("code")))
            if message["type"] == "websocket.disconnect":
                return

    async def shake_hands(self) -> None:
        self.protocol.data_received(HANDSHAKE)
        await settle()
        assert self.wire.written.startswith(b"HTTP/1.1 101 ")
        self.wire.written = b""

    async def read(self, chunks: Sequence[bytes]) -> Heard:
        """All that the application heard of these reads."""
        for chunk in chunks:
            if self.wire.is_closed:
                break
            self.protocol.data_received(chunk)
            await settle()
        self.heard.answered, self.heard.is_closed = self.wire.written, self.wire.is_closed
        return self.heard

    async def hang_up(self) -> None:
        self.protocol.connection_lost(None)
        await settle()


def read(protocol: type[WebSocketsSansIOProtocol], chunks: Sequence[bytes]) -> Heard:
    """What one connection makes of these reads."""

    async def main() -> Heard:
        connection = Connection(protocol, listens=protocol is FastLane)
        await connection.shake_hands()
        heard = await connection.read(chunks)
        await connection.hang_up()
        return heard

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        return runner.run(main())


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges) if a < b]


WORDS = st.sampled_from(["", "a", "hello", "é💥", "x" * 125, "y" * 126, "z" * 300, "w" * LONGEST])


@st.composite
def fragmented(draw: st.DrawFn, key: bytes) -> list[bytes]:
    """One text in several frames, perhaps with a ping between two of them."""
    pieces = draw(st.lists(st.sampled_from(["", "in ", "pieces ", "p" * 130]), min_size=2, max_size=4))
    opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
    frames = [frame(opcode, pieces[0].encode(), final=False, key=key)]
    for number, piece in enumerate(pieces[1:], start=2):
        if draw(st.booleans()):
            frames.append(frame(Opcode.PING, b"between", key=key))
        frames.append(frame(Opcode.CONT, piece.encode(), final=number == len(pieces), key=key))
    return frames


def streams(key: bytes) -> st.SearchStrategy[list[list[bytes]]]:
    """What a peer that keeps to the protocol may send; the frames of one message stand together."""
    message = st.one_of(
        WORDS.map(lambda words: [text(words, key=key)]),
        WORDS.map(lambda words: [text(words, key=key)]),
        WORDS.map(lambda words: [text(words, form=126, key=key)]),
        WORDS.map(lambda words: [text(words, form=127, key=key)]),
        st.binary(max_size=125).map(lambda payload: [frame(Opcode.PING, payload, key=key)]),
        st.just([frame(Opcode.PONG, b"unasked", key=key)]),
        st.binary(max_size=200).map(lambda payload: [frame(Opcode.BINARY, b"b" + payload, key=key)]),
        fragmented(key),
    )
    return st.lists(message, max_size=12)


FORBIDDEN = {
    "not masked": (text("hello", is_masked=False), 1002),
    "not masked, long": (text("x" * 300, is_masked=False), 1002),
    "too long": (text("x" * (LONGEST + 1)), 1009),
    "too long by its head": (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + MASK, 1009),
    "too long in pieces": (
        text("x" * LONGEST, final=False) + frame(Opcode.CONT, b"y"),
        1009,
    ),
    "reserved bit": (text("hello", reserved=4), 1002),
    "unknown opcode": (frame(3, b"hello"), 1002),
    "continues nothing": (frame(Opcode.CONT, b"hello"), 1002),
    "begins within another": (text("in ", final=False) + text("hello"), 1002),
    "ping in pieces": (frame(Opcode.PING, b"", final=False), 1002),
    "long ping": (frame(Opcode.PING, bytes(126)), 1002),
    "close without a code": (frame(Opcode.CLOSE, b"\x03"), 1002),
}


def closing(code: int) -> bytes:
    """How a server's close frame with this code begins, length aside."""
    return code.to_bytes(2, "big")


CUTS = st.lists(st.integers(0, 6_000), max_size=40)


@given(frames=st.sampled_from([MASK, LIKE_A_FRAME, bytes(4)]).flatmap(streams), cuts=CUTS, ends=st.booleans())
@example(frames=[[text("hello")]] * 3, cuts=list(range(40)), ends=False)
@example(frames=[[text("hello", key=LIKE_A_FRAME)]] * 2, cuts=[2], ends=False)
@example(frames=[[text("hello", key=LIKE_A_FRAME)]] * 2, cuts=[6], ends=False)
@example(frames=[[text("x" * 300, key=LIKE_A_FRAME)]] * 2, cuts=[4], ends=False)
@example(frames=[[text("x", form=127, key=LIKE_A_FRAME)]] * 2, cuts=[10], ends=False)
@example(frames=[[frame(Opcode.PING, b"", key=LIKE_A_FRAME)]] * 2, cuts=[2], ends=False)
def test_however_a_stream_of_frames_is_cut_the_same_is_heard_as_by_the_long_way(
    frames: list[list[bytes]], cuts: list[int], ends: bool
) -> None:
    whole = [part for group in frames for part in group] + ([close()] if ends else [])
    expected = read(WebSocketsSansIOProtocol, whole)
    assert read(FastLane, cut(b"".join(whole), cuts)) == expected
    assert expected.is_closed == ends


@pytest.mark.parametrize(("bad", "code"), FORBIDDEN.values(), ids=FORBIDDEN)
@given(frames=st.lists(WORDS, max_size=4), cuts=CUTS)
def test_what_the_protocol_forbids_ends_the_connection_as_by_the_long_way(
    bad: bytes, code: int, frames: list[str], cuts: list[int]
) -> None:
    good = [text(words) for words in frames]
    chunks = cut(b"".join(good) + bad + text("not heard any more"), cuts)
    heard, judged = read(FastLane, chunks), read(WebSocketsSansIOProtocol, chunks)
    assert (heard.answered, heard.is_closed) == (judged.answered, judged.is_closed)
    assert heard.others == judged.others == [("websocket.disconnect", code)]
    assert heard.answered[2:4] == closing(code)
    # The library forgets the good frames that came in one read with the bad one.
    said = [words.encode() for words in frames]
    assert judged.texts == said[: len(judged.texts)]
    assert heard.texts == said[: max(len(judged.texts), len(heard.texts))]


@given(places=CUTS, pieces=st.booleans())
def test_what_is_no_utf_8_is_for_the_listener_to_judge_and_ends_nothing(places: list[int], pieces: bool) -> None:
    # The one thing the long way forbids (1007) and this does not: one bad frame never ends a call.
    bad = frame(Opcode.TEXT, b"\xff\xfe")
    if pieces:
        bad = frame(Opcode.TEXT, b"\xff", final=False) + frame(Opcode.CONT, b"\xfe")
    heard = read(FastLane, cut(bad + text("hello"), places))
    assert heard.texts == [b"\xff\xfe", b"hello"]
    assert not heard.is_closed


def in_virtual_time(
    test: Callable[[Connection], Any], *, listens: bool = True, waits: bool = False, takes_binary: bool = False
) -> None:
    """Runs a test on one connection of the fast lane whose hands are shaken."""

    async def main() -> None:
        connection = Connection(FastLane, listens=listens, takes_binary=takes_binary)
        if waits:
            connection.may_listen.clear()
        await connection.shake_hands()
        await test(connection)
        await connection.hang_up()

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())


def test_messages_that_waited_are_heard_first_and_in_order_when_somebody_listens() -> None:
    async def test(connection: Connection) -> None:
        early = [text("one"), frame(Opcode.BINARY, b"b"), text("two")]
        await connection.read([b"".join(early)])
        read = [connection.wire.reads]
        connection.may_listen.set()
        await settle()
        assert [*read, connection.wire.reads] == [False, True]
        await connection.read([text("three")])
        assert connection.heard.texts == [b"one", b"two", b"three"]
        assert connection.heard.others == [b"b"]

    in_virtual_time(test, waits=True)


@given(place=st.integers(1, len(text("x" * 300)) - 1))
@example(place=2)
@example(place=4)
@example(place=8)
def test_half_a_frame_that_waited_is_heard_whole(place: int) -> None:
    async def test(connection: Connection) -> None:
        stream = text("x" * 300, key=LIKE_A_FRAME)
        await connection.read([stream[:place]])
        connection.may_listen.set()
        await settle()
        await connection.read([stream[place:], text("more")])
        assert connection.heard.texts == [b"x" * 300, b"more"]

    in_virtual_time(test, waits=True)


LONG = 1 << 16
"""Bytes from which a frame's length takes 64 bits."""


def direct_of(connection: Connection) -> Direct:
    assert connection.direct is not None
    return connection.direct


@given(
    sizes=st.lists(st.sampled_from([0, 300, LONG - 1, LONG, LONG + 1, LONG + 4_099]), min_size=1, max_size=5),
    opcode=st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
    cuts=st.lists(st.integers(0, 400_000), max_size=12),
    near=st.integers(0, 15),
)
@example(sizes=[LONG, LONG], opcode=Opcode.TEXT, cuts=[13], near=14)
def test_long_messages_are_heard_whole_and_in_order_however_they_are_cut(
    sizes: list[int], opcode: Opcode, cuts: list[int], near: int
) -> None:
    said = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    stream = b"".join(frame(opcode, payload, key=LIKE_A_FRAME) for payload in said)

    async def test(connection: Connection) -> None:
        direct_of(connection).allow(LONG + 5_000)
        heard = await connection.read(cut(stream, [*cuts, near]))
        assert heard.texts == said
        assert not heard.others and not heard.is_closed

    in_virtual_time(test, takes_binary=True)


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("limit", [LONG + 100, LONGEST - 100])
def test_a_connection_may_be_allowed_messages_of_another_size(limit: int, over: int) -> None:
    async def test(connection: Connection) -> None:
        direct_of(connection).allow(limit)
        heard = await connection.read([text("x" * (limit + over))])
        if over > 0:
            assert heard.others == [("websocket.disconnect", 1009)]
        else:
            assert [len(words) for words in heard.texts] == [limit + over]

    in_virtual_time(test)


def test_half_a_long_message_that_waited_is_heard_whole() -> None:
    async def test(connection: Connection) -> None:
        direct_of(connection).allow(2 * LONG)
        stream = text("x" * LONG)
        await connection.read([stream[:1_000]])
        connection.may_listen.set()
        await settle()
        await connection.read([stream[1_000:], text("more")])
        assert connection.heard.texts == [b"x" * LONG, b"more"]

    in_virtual_time(test, waits=True)


def test_the_rest_of_a_long_message_is_read_past_once_we_have_closed() -> None:
    async def test(connection: Connection) -> None:
        direct_of(connection).allow(2 * LONG)
        stream = text("x" * LONG)
        await connection.read([stream[:1_000]])
        await connection.protocol.send({"type": "websocket.close", "code": 1000, "reason": ""})
        await connection.read([stream[1_000:] + close()])
        assert connection.heard.texts == []
        assert connection.wire.is_closed  # at once, by the client's answer

    in_virtual_time(test)


def test_binary_messages_keep_their_place_among_the_others_for_who_takes_them() -> None:
    async def test(connection: Connection) -> None:
        said = [text("one"), frame(Opcode.BINARY, b"two"), text("three"), frame(Opcode.BINARY, b"four" * 100)]
        await connection.read([b"".join(said[:2])])
        connection.may_listen.set()
        await settle()
        await connection.read([b"".join(said[2:])])
        assert connection.heard.texts == [b"one", b"two", b"three", b"four" * 100]
        assert connection.heard.others == []

    in_virtual_time(test, waits=True, takes_binary=True)


def test_a_listener_that_pauses_hears_nothing_until_it_resumes_and_then_all_in_order() -> None:
    async def test(connection: Connection) -> None:
        direct = direct_of(connection)
        heard: list[bytes] = []

        def hear(payload: bytes | bytearray) -> None:
            heard.append(bytes(payload))
            if len(heard) % 3 == 0:
                direct.pause()

        direct.listen(hear)
        said = [str(number).encode() for number in range(8)]
        stream = b"".join(text(words.decode()) for words in said)
        await connection.read([stream[:20]])
        assert (heard, connection.wire.reads) == (said[:2], True)
        await connection.read([stream[20:-10], stream[-10:]])  # a transport may have read ahead
        assert (heard, connection.wire.reads) == (said[:3], False)
        direct.resume()
        assert (heard, connection.wire.reads) == (said[:6], False)
        direct.resume()
        assert (heard, connection.wire.reads) == (said, True)

    in_virtual_time(test)


def test_a_listener_that_pauses_over_what_had_waited_is_not_read_to() -> None:
    async def test(connection: Connection) -> None:
        direct = direct_of(connection)
        await connection.read([text("one")])
        assert not connection.wire.reads
        direct.listen(lambda _: direct.pause())
        assert not connection.wire.reads
        direct.resume()
        assert connection.wire.reads

    in_virtual_time(test, listens=False, waits=True)


@pytest.mark.parametrize("pauses", [True, False])
def test_an_answer_to_a_ping_that_waits_behind_what_we_do_not_read_is_waited_for(pauses: bool) -> None:
    async def test(connection: Connection) -> None:
        direct, config = direct_of(connection), connection.protocol.config
        assert config.ws_ping_interval and config.ws_ping_timeout
        if pauses:
            direct.pause()
        await asyncio.sleep(config.ws_ping_interval + config.ws_ping_timeout + 1)
        assert connection.wire.is_closed is not pauses
        if pauses:
            await asyncio.sleep(2 * config.ws_ping_timeout)
            assert not connection.wire.is_closed
            direct.resume()
            await asyncio.sleep(2 * config.ws_ping_timeout)
            assert connection.wire.is_closed  # it was read to, and has not answered

    in_virtual_time(test)


def test_reading_stays_on_while_somebody_listens() -> None:
    async def test(connection: Connection) -> None:
        for chunk in cut(text("hello") * 20, range(0, 220, 7)):
            connection.protocol.data_received(chunk)
            assert connection.wire.reads
        assert len(connection.heard.texts) == 20

    in_virtual_time(test)


def test_without_a_listener_messages_come_by_the_long_way() -> None:
    async def test(connection: Connection) -> None:
        heard = await connection.read([text("one") + text("two")[:3], text("two")[3:]])
        assert heard.texts == [b"one", b"two"]

    in_virtual_time(test, listens=False)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_what_is_sent_now_is_a_frame_as_the_library_writes_it(length: int) -> None:
    async def test(connection: Connection) -> None:
        assert connection.direct is not None
        words: list[str | bytes] = ["w" * length, "é", b"bytes"]
        assert connection.direct.send_now(words)
        payloads = [word if isinstance(word, bytes) else word.encode() for word in words]
        expected = [Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[]) for payload in payloads]
        assert connection.wire.written == b"".join(expected)

    in_virtual_time(test)


def test_nothing_is_sent_now_to_a_peer_that_does_not_read() -> None:
    async def test(connection: Connection) -> None:
        assert connection.direct is not None
        connection.protocol.pause_writing()
        assert not connection.direct.send_now(["hello"])
        assert connection.wire.written == b""
        connection.protocol.resume_writing()
        assert connection.direct.send_now(["hello"])

    in_virtual_time(test)


def test_a_connection_that_is_cut_does_not_wait_for_its_peer() -> None:
    async def test(connection: Connection) -> None:
        assert connection.direct is not None
        connection.direct.cut()
        assert connection.wire.is_aborted

    in_virtual_time(test)


def test_nothing_is_sent_now_before_the_handshake_is_answered() -> None:
    async def main() -> None:
        connection = Connection(FastLane, listens=True)
        connection.protocol.data_received(HANDSHAKE)
        assert isinstance(connection.protocol, FastLane)
        assert not connection.protocol.send_now(["hello"])
        assert connection.wire.written == b""
        await settle()
        await connection.hang_up()

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("ending", ["the peer closes", "we close", "it breaks"])
def test_nothing_is_sent_now_nor_heard_after_the_end(ending: str) -> None:
    async def test(connection: Connection) -> None:
        assert connection.direct is not None
        match ending:
            case "the peer closes":
                connection.protocol.data_received(close())
            case "we close":
                await connection.protocol.send({"type": "websocket.close", "code": 1000, "reason": ""})
            case _:
                connection.protocol.connection_lost(OSError("broken"))
                connection.protocol.connections.add(connection.protocol)
        written = connection.wire.written
        assert not connection.direct.send_now(["hello"])
        assert connection.wire.written == written
        if ending != "it breaks":
            connection.protocol.data_received(text("late"))
            assert connection.heard.texts == []

    in_virtual_time(test)


def test_a_message_in_pieces_that_ends_after_we_closed_is_not_heard() -> None:
    async def test(connection: Connection) -> None:
        await connection.read([text("in ", final=False)])
        await connection.protocol.send({"type": "websocket.close", "code": 1000, "reason": ""})
        connection.protocol.data_received(frame(Opcode.CONT, b"pieces"))
        assert connection.heard.texts == []

    in_virtual_time(test)


def test_a_handshake_that_is_refused_offers_nothing() -> None:
    async def main() -> None:
        connection = Connection(FastLane, listens=True)
        connection.protocol.data_received(HANDSHAKE.replace(b"Version: 13", b"Version: 7"))
        assert connection.wire.written.startswith(b"HTTP/1.1 400 ")
        assert connection.wire.is_closed
        assert connection.direct is None

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())


# Over a real server, with a real client.


class Echo:
    """Sends every text back at once, the short way or the long one."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        direct: Direct = scope["extensions"][EXTENSION]

        def echo(words: bytes | bytearray) -> None:
            assert direct.send_now([words.decode()])

        direct.listen(echo)
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        self.ends.append(message.get("code"))


@asynccontextmanager
async def echoing() -> AsyncGenerator[tuple[ClientConnection, Echo], None]:
    """A client of a server of its own."""
    app = Echo()
    config = uvicorn.Config(
        app, port=0, ws=FastLane, ws_max_size=LONGEST, ws_per_message_deflate=False, log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with connect(f"ws://127.0.0.1:{port}/stream", compression=None) as client, asyncio.timeout(20):
            yield client, app
    finally:
        server.should_exit = True
        await server.shutdown()


@pytest.mark.anyio
async def test_a_real_client_hears_its_own_words_in_order() -> None:
    async with echoing() as (client, app):
        said = ["", "hello", "é💥", "x" * 126, "y" * LONGEST, *map(str, range(200))]
        for words in said:
            await client.send(words)
        assert [await client.recv() for _ in said] == said
        await client.send(["in ", "three ", "pieces"])
        assert await client.recv() == "in three pieces"
        await client.send(b"bytes")
        assert await client.recv() == b"bytes"
        await (await client.ping())
        await client.send("still there")
        assert await client.recv() == "still there"
        await client.close(4000, "enough")
        while not app.ends:  # noqa: ASYNC110 - the server's end of it; bounded by the timeout around
            await asyncio.sleep(0)
        assert app.ends == [4000]


@pytest.mark.anyio
async def test_a_real_client_that_says_too_much_is_told_so() -> None:
    async with echoing() as (client, _):
        await client.send("x" * (LONGEST + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
