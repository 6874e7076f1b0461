from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    WEBRTC_BINARY,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatChunk,
    SackChunk,
    ShutdownChunk,
    tsn_plus_one,
)

from gateway.webrtc import data_channel
from gateway.webrtc.data_channel import MOST_MESSAGE_BYTES, MOST_PIECES, MOST_STREAMS, ROOM_BYTES, WINDOW_BYTES
from gateway.webrtc.link_end import LinkEnd
from tests.gateway.webrtc.support import LIMIT_S, Pair, connected, until

pytestmark = pytest.mark.anyio


def theirs(pair: Pair) -> RTCSctpTransport:
    sctp = pair.peer.sctp
    assert sctp is not None
    return sctp


def ours(pair: Pair) -> RTCSctpTransport:
    channel = pair.link._channel
    assert channel is not None
    return channel._sctp


def piece(
    sctp: RTCSctpTransport, data: bytes, flags: int, *, stream: int | None = None, protocol: int = WEBRTC_STRING
) -> DataChunk:
    """The next piece of data the client's association would send, made by hand."""
    chunk = DataChunk(flags=flags)
    chunk.tsn = sctp._local_tsn
    chunk.stream_id = next(iter(sctp._data_channels)) if stream is None else stream
    chunk.stream_seq = sctp._outbound_stream_seq.get(chunk.stream_id, 0)
    chunk.protocol, chunk.user_data = protocol, data
    sctp._local_tsn = tsn_plus_one(sctp._local_tsn)
    return chunk


async def whole(pair: Pair, data: bytes, **more: Any) -> None:
    sctp = theirs(pair)
    await sctp._send_chunk(piece(sctp, data, SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG, **more))


async def send_until(pair: Pair, make: Callable[[int], Chunk], most: int) -> int:
    """Send what `make` makes until the link ends; how many it took."""
    for number in range(most):
        await theirs(pair)._send_chunk(make(number))
        for _ in range(2):  # asyncio reads one datagram on each turn, and the socket's buffer ends
            await asyncio.sleep(0)
        if pair.heard.ends:
            return number
    await until(lambda: bool(pair.heard.ends))
    return most


async def test_text_and_bytes_come_as_bytes_and_text_goes() -> None:
    async with connected() as pair:
        assert pair.events is not None
        for message in ("héllo", b"\x00\xff", "", b"", "last"):
            pair.events.send(message)
        pair.link.send_text("ça va")
        await until(lambda: len(pair.heard.messages) == 5 and pair.received == ["ça va"])
        assert pair.heard.messages == ["héllo".encode(), b"\x00\xff", b"", b"", b"last"]
        assert (pair.heard.channels, pair.heard.ends) == (1, [])


async def test_text_that_is_no_utf_8_is_passed_on_as_it_came() -> None:
    async with connected() as pair:
        await whole(pair, b"\xff\xfe")
        await until(lambda: pair.heard.messages == [b"\xff\xfe"])
        assert pair.heard.ends == []


async def test_the_longest_message_passes_and_a_longer_one_ends_the_session() -> None:
    async with connected() as pair:
        assert pair.events is not None
        theirs(pair)._remote_max_message_size = 0
        pair.events.send("x" * MOST_MESSAGE_BYTES)
        await until(lambda: len(pair.heard.messages) == 1)
        pair.events.send("x" * (MOST_MESSAGE_BYTES + 1))
        await until(lambda: bool(pair.heard.ends))
        assert [len(message) for message in pair.heard.messages] == [MOST_MESSAGE_BYTES]
        assert pair.heard.ends == [LinkEnd.TOO_LARGE]


async def test_a_message_without_an_end_is_not_kept_for_ever() -> None:
    async with connected() as pair:
        sctp = theirs(pair)
        count = await send_until(
            pair, lambda number: piece(sctp, bytes(1_000), SCTP_DATA_FIRST_FRAG * (number == 0)), 1_000
        )
        assert pair.heard.ends == [LinkEnd.TOO_LARGE]
        assert count * 1_000 <= 3 * WINDOW_BYTES
        (stream,) = ours(pair)._inbound_streams.values()
        held = sum(len(chunk.user_data) for chunk in stream.reassembly)
        assert held <= WINDOW_BYTES + MOST_MESSAGE_BYTES + 1_000


async def test_a_message_in_pieces_of_one_byte_is_not_kept_for_ever() -> None:
    async with connected() as pair:
        sctp = theirs(pair)
        await send_until(pair, lambda number: piece(sctp, b"x", SCTP_DATA_FIRST_FRAG * (number == 0)), 4_000)
        assert pair.heard.ends == [LinkEnd.TOO_LARGE]
        (stream,) = ours(pair)._inbound_streams.values()
        assert len(stream.reassembly) <= 2 * MOST_PIECES + 1


async def test_behind_a_gap_only_a_window_is_held_and_all_comes_when_it_is_filled() -> None:
    async with connected() as pair:
        sctp = theirs(pair)
        missing = piece(sctp, b"first", SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG | SCTP_DATA_UNORDERED)
        flags = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG
        chunks = [piece(sctp, bytes(1_000), flags) for _ in range(2 * WINDOW_BYTES // 1_000)]
        for later, chunk in enumerate(chunks):
            chunk.stream_seq = later + 1  # waits for the one before
        first = chunks[0]
        for chunk in chunks[1:]:
            await sctp._send_chunk(chunk)
            await asyncio.sleep(0)
        await until(lambda: ours(pair)._advertised_rwnd < 1_000)
        assert ours(pair)._advertised_rwnd >= 0
        assert (pair.heard.messages, pair.heard.ends) == ([], [])
        await sctp._send_chunk(missing)
        first.stream_seq = 0
        await sctp._send_chunk(first)
        await until(lambda: len(pair.heard.messages) >= 2)
        assert pair.heard.messages[0] == b"first"
        assert pair.heard.ends == []


async def test_a_peer_may_use_only_so_many_streams() -> None:
    async with connected() as pair:
        sctp = theirs(pair)
        flags = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG
        await send_until(pair, lambda number: piece(sctp, b"x", flags, stream=2 * number), 100)
        assert pair.heard.ends == [LinkEnd.TOO_LARGE]
        assert len(ours(pair)._inbound_streams) == MOST_STREAMS


async def test_a_forward_of_streams_that_are_not_there_makes_none() -> None:
    async with connected() as pair:
        forward = ForwardTsnChunk()
        forward.cumulative_tsn = tsn_plus_one(ours(pair)._last_received_tsn or 0)
        forward.streams = [(stream, 1) for stream in range(250)]
        before = set(ours(pair)._inbound_streams)
        await theirs(pair)._send_chunk(forward)
        await until(lambda: ours(pair)._last_received_tsn == forward.cumulative_tsn)
        assert set(ours(pair)._inbound_streams) == before


async def test_an_acknowledgement_of_what_was_never_sent_is_passed_over() -> None:
    async with connected() as pair:
        assert pair.events is not None
        sack = SackChunk()
        sack.cumulative_tsn = ours(pair)._last_sacked_tsn
        sack.advertised_rwnd = 100_000
        sack.gaps = [(1, 65_535)] * 250  # aiortc walks 16 million numbers for each
        for _ in range(20):
            await theirs(pair)._send_chunk(sack)
        pair.events.send("still there")
        await until(lambda: pair.heard.messages == [b"still there"])


async def test_a_parameter_without_a_length_stops_nobody() -> None:
    class Endless(Chunk):
        type = HeartbeatChunk.type

    async with connected() as pair:
        assert pair.events is not None
        await theirs(pair)._send_chunk(Endless(body=b"\x00\x01\x00\x00"))
        pair.events.send("still there")
        await until(lambda: pair.heard.messages == [b"still there"])


async def test_sctp_that_makes_no_sense_ends_the_session(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as pair:
        stream = next(iter(theirs(pair)._data_channels))
        opening = bytes([3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])  # of a channel that is open
        await whole(pair, opening, stream=stream, protocol=WEBRTC_DCEP)
        await until(lambda: bool(pair.heard.ends))
        assert pair.heard.ends == [LinkEnd.PEER_LEFT]
        assert "SCTP that cannot be read" in caplog.text


async def test_data_before_the_association_is_up_is_not_taken() -> None:
    async with connected() as pair:
        ours(pair)._last_received_tsn = None
        await whole(pair, b"early")
        await theirs(pair)._send_chunk(ShutdownChunk())
        await until(lambda: ours(pair)._association_state is not ours(pair).State.ESTABLISHED)
        assert pair.heard.messages == []


@pytest.mark.parametrize("label", ["other", "oai-events "])
async def test_a_channel_with_another_label_is_closed(label: str) -> None:
    async with connected(label=label) as pair:
        events = pair.events
        assert events is not None
        await until(lambda: events.readyState == "closed")
        pair.link.send_text("nobody hears this")
        assert (pair.heard.channels, pair.heard.ends, pair.heard.messages) == (0, [], [])
        assert (pair.received, pair.link.waiting_bytes) == ([], 0)


async def test_a_second_channel_of_the_same_label_is_closed_and_the_first_goes_on() -> None:
    async with connected() as pair:
        assert pair.events is not None
        second = pair.peer.createDataChannel("oai-events")
        await until(lambda: second.readyState == "closed")
        pair.events.send("one")
        await until(lambda: pair.heard.messages == [b"one"])
        assert (pair.heard.channels, pair.heard.ends) == (1, [])


async def test_messages_of_another_stream_are_nobodys() -> None:
    async with connected() as pair:
        assert pair.events is not None
        await whole(pair, b"stray", stream=40, protocol=WEBRTC_BINARY)
        await whole(pair, b"ours")
        await until(lambda: pair.heard.messages == [b"ours"])


async def test_a_channel_that_the_peer_closes_ends_the_session() -> None:
    async with connected() as pair:
        assert pair.events is not None
        pair.events.close()
        await until(lambda: bool(pair.heard.ends))
        assert pair.heard.ends == [LinkEnd.PEER_LEFT]


async def test_room_is_waited_for_while_much_is_on_its_way() -> None:
    async with connected() as pair:
        await pair.link.room()
        for _ in range(20):
            pair.link.send_text("x" * 16_000)
        assert pair.link.waiting_bytes > ROOM_BYTES
        async with asyncio.timeout(LIMIT_S):
            await pair.link.room()
            assert pair.link.waiting_bytes <= ROOM_BYTES
            await pair.link.sent()
        assert pair.link.waiting_bytes == 0
        assert pair.received == ["x" * 16_000] * 20


async def test_who_waits_for_room_is_let_go_when_the_link_ends() -> None:
    async with connected() as pair:
        for _ in range(20):
            pair.link.send_text("x" * 16_000)
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(pair.link.room())
            tasks.create_task(pair.link.sent())
            await asyncio.sleep(0)
            await pair.link.close()
        pair.link.send_text("nobody hears this")


async def test_a_message_past_what_the_peer_takes_is_refused() -> None:
    async with connected(
        change=lambda sdp: sdp.replace("max-message-size:262144", "max-message-size:1000")
    ) as pair:
        assert pair.link.most_message_bytes == 1_000
        pair.link.send_text("x" * 1_000)
        with pytest.raises(ValueError, match="1001 bytes"):
            pair.link.send_text("x" * 1_001)
        await until(lambda: pair.received == ["x" * 1_000])


async def test_what_comes_after_the_end_is_not_passed_on() -> None:
    async with connected() as pair:
        channel = pair.link._channel
        assert channel is not None
        channel.let_go()
        await whole(pair, b"late")
        await channel._take_message(0, WEBRTC_STRING, b"late")
        channel._end(LinkEnd.TOO_LARGE)
        assert (pair.heard.messages, pair.heard.ends) == ([], [])


async def test_sending_on_a_connection_that_is_gone_is_no_fault() -> None:
    async with connected() as pair:
        sctp = ours(pair)
        await pair.link.close()
        await sctp.transport._send_data(b"abc")


def test_the_limits_fit_together() -> None:
    assert WINDOW_BYTES >= 2 * MOST_MESSAGE_BYTES
    assert data_channel.LABEL == "oai-events"
