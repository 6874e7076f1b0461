"""The one data channel of a session, over aiortc's SCTP, with bounds that aiortc does not have.

A session's events go over the channel that the client creates under the label `oai-events` (Realtime reference,
section E.1). Messages are passed on whole, as the bytes they came as; nothing here reads them. The peer is
authenticated by now, and may still be hostile: it can hold back the last fragment of a message for ever, send
fragments of one byte, or acknowledge what was never sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiortc import RTCDataChannel, RTCDtlsTransport, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import (
    WEBRTC_BINARY,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    SackChunk,
)
from OpenSSL import SSL

from gateway.webrtc.inner_names import replace
from gateway.webrtc.link_end import LinkEnd
from gateway.webrtc.offer import Channel
from gateway.webrtc.sctp_packet import is_readable

logger = logging.getLogger(__name__)

LABEL: Final = "oai-events"

SCTP_PORT: Final = 5_000
"""Ours, as the answer tells it."""

MOST_MESSAGE_BYTES: Final = 65_536
"""Of the peer's messages, as the answer tells it: the limit of every other transport of the protocol, too."""

WINDOW_BYTES: Final = 131_072
"""Of the peer's data that may be held until it is complete and in order: two of the longest messages."""

MOST_PIECES: Final = 1_024
"""Held of one stream. A message of `MOST_MESSAGE_BYTES` has under 150 where fragments fill half a packet."""

MOST_STREAMS: Final = 64
"""Published clients open one."""

ROOM_BYTES: Final = 65_536
"""Waiting to be sent; with more, `room` waits. As much as one of the longest messages."""

_TSN_MODULO: Final = 2**32


class DataChannel:
    """See the module's docstring. `on_end` may be called more than once: the first reason is the one."""

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        offered: Channel,
        *,
        on_message: Callable[[bytes], None],
        on_open: Callable[[], None],
        on_end: Callable[[LinkEnd], None],
    ) -> None:
        self.most_message_bytes = offered.most_bytes
        """Of ours: what the peer takes."""
        self._remote_port = offered.sctp_port
        self._on_message = on_message
        self._on_open = on_open
        self._on_end = on_end
        self._channel: RTCDataChannel | None = None
        self._is_over = False
        self._is_up = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_sent = asyncio.Event()
        self._has_room.set()
        self._is_sent.set()
        self._sctp = sctp = RTCSctpTransport(dtls, port=SCTP_PORT)
        sctp._advertised_rwnd = WINDOW_BYTES
        sctp.on("datachannel", self._take_channel)
        self._read_packet, self._read_chunk, self._read_message = (
            sctp._handle_data,
            sctp._receive_chunk,
            sctp._receive,
        )
        self._send_data = dtls._send_data
        replace(sctp, "_handle_data", self._take_packet)
        replace(sctp, "_receive_chunk", self._take_chunk)
        replace(sctp, "_receive", self._take_message)
        replace(dtls, "_send_data", self._send_packet)

    # -- ours ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the association; back when it is up, or over. DTLS has to be up. Its caller sets the limit."""
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=self.most_message_bytes), self._remote_port)
        await self._is_up.wait()

    @property
    def waiting_bytes(self) -> int:
        """Of messages that the association has not yet begun to send."""
        return 0 if self._channel is None else self._channel.bufferedAmount

    def send_text(self, text: str) -> None:
        """One message; nothing while the channel is not open. Raises `ValueError` past `most_message_bytes`."""
        if self._is_over or self._channel is None or self._channel.readyState != "open":
            return
        self._channel.send(text)
        self._is_sent.clear()
        if self.waiting_bytes > ROOM_BYTES:
            self._has_room.clear()

    async def room(self) -> None:
        """Back when at most `ROOM_BYTES` wait, or when nothing will be sent any more."""
        await self._has_room.wait()

    async def sent(self) -> None:
        """Back when the peer has all that was sent, or when nothing will be sent any more."""
        await self._is_sent.wait()

    async def close(self) -> None:
        """Abort the association, if there is one, and let everybody go who waits."""
        self.let_go()
        await self._sctp.stop()

    def let_go(self) -> None:
        """Nothing comes or goes any more: everybody who waits may go on."""
        self._is_over = True
        for event in (self._is_up, self._has_room, self._is_sent):
            event.set()

    def _end(self, why: LinkEnd) -> None:
        if not self._is_over:
            self.let_go()
            self._on_end(why)

    async def _send_packet(self, data: bytes) -> None:
        """aiortc sends from tasks and timers that nobody waits for: a connection that is gone is told elsewhere."""
        try:
            await self._send_data(data)
        except (ConnectionError, SSL.Error):
            logger.debug("> SCTP, but the connection is gone")

    # -- the peer's ----------------------------------------------------------------------------------------------

    async def _take_packet(self, data: bytes) -> None:
        if self._is_over or not is_readable(data):
            return
        try:
            await self._read_packet(data)
        except Exception:
            # The edge of aiortc's reading task, which would end without a word. Its parser asserts and unpacks
            # without checks, so nearly always the peer is to blame; once for each session, as it ends with it.
            logger.warning("< SCTP that cannot be read; the session ends", exc_info=True)
            self._end(LinkEnd.PEER_LEFT)

    async def _take_chunk(self, chunk: Chunk) -> None:
        match chunk:
            case DataChunk():
                if not self._has_place(chunk):
                    self._sctp._sack_needed = self._sctp._last_received_tsn is not None
                    return
            case SackChunk():
                if sum(last - first + 1 for first, last in chunk.gaps) > len(self._sctp._sent_queue):
                    return  # of more than is on the way; to walk the gaps of one such packet takes seconds
            case ForwardTsnChunk():
                chunk.streams = [stream for stream in chunk.streams if stream[0] in self._sctp._inbound_streams]
        await self._read_chunk(chunk)
        if isinstance(chunk, DataChunk):
            self._judge(chunk.stream_id)
        self._note()

    def _has_place(self, chunk: DataChunk) -> bool:
        """Whether to take a piece; of what is not taken the peer hears nothing, and sends it again.

        "When a receiver's buffer is full, it SHOULD drop" what lies beyond the next in order (RFC 9260, section
        6.2); the next is always taken, as it is what the others wait for.
        """
        sctp = self._sctp
        last = sctp._last_received_tsn
        if last is None:
            return False
        is_known = chunk.stream_id in sctp._inbound_streams
        if not is_known and max(len(sctp._inbound_streams), len(sctp._data_channels)) >= MOST_STREAMS:
            self._end(LinkEnd.TOO_LARGE)
            return False
        if chunk.tsn == (last + 1) % _TSN_MODULO:
            return True
        return len(chunk.user_data) <= sctp._advertised_rwnd and len(sctp._sack_misordered) < MOST_PIECES

    def _judge(self, stream_id: int) -> None:
        """End with a peer whose message, still without its end, is longer than any may be."""
        sctp = self._sctp
        stream = sctp._inbound_streams.get(stream_id)
        pieces = 0 if stream is None else len(stream.reassembly)
        if sctp._advertised_rwnd < -MOST_MESSAGE_BYTES or pieces > 2 * MOST_PIECES:
            self._end(LinkEnd.TOO_LARGE)

    async def _take_message(self, stream_id: int, protocol: int, data: bytes) -> None:
        """Before aiortc decodes text: what is no UTF-8 is for the reader of messages to refuse."""
        if self._is_over:
            return
        if len(data) > MOST_MESSAGE_BYTES:
            logger.info("< a message of %d bytes, more than %d", len(data), MOST_MESSAGE_BYTES)
            self._end(LinkEnd.TOO_LARGE)
        elif protocol == WEBRTC_DCEP:
            await self._read_message(stream_id, protocol, data)
        elif self._channel is not None and stream_id == self._channel.id:
            # RFC 8831, section 6.6: an empty message is sent as one byte under an identifier of its own.
            self._on_message(data if protocol in (WEBRTC_STRING, WEBRTC_BINARY) else b"")

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or self._channel is not None:
            logger.info("= closing a data channel that is not the first %s", LABEL)
            channel.close()
            return
        self._channel = channel
        channel.on("close", lambda: self._end(LinkEnd.PEER_LEFT))
        self._on_open()

    def _note(self) -> None:
        """After a chunk of the peer: what has it changed?"""
        sctp = self._sctp
        if sctp._association_state is sctp.State.ESTABLISHED:
            self._is_up.set()
        elif sctp._association_state is sctp.State.CLOSED:
            self._end(LinkEnd.PEER_LEFT)  # aborted, or shut down
        if self.waiting_bytes <= ROOM_BYTES:
            self._has_room.set()
        if not (self.waiting_bytes or sctp._outbound_queue or sctp._sent_queue):
            self._is_sent.set()
