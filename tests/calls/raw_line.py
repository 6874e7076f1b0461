"""A media stream by hand: for peers that lie, send rubbish, stop reading, or are not Twilio at all."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulator.messages import MessageWriter
from simulator.signature import SIGNATURE_HEADER, sign
from simulator.sound import Codec
from simulator.twiml_reader import Connect, read_twiml
from simulator.webhook import Answer, Webhooks, call_form
from tests.calls.support import ACCOUNT_SID, AUTH_TOKEN, FROM, LIMIT_S, TO


def new_call() -> str:
    return f"CA{secrets.token_hex(16)}"


def form(call_sid: str, **fields: str) -> dict[str, str]:
    """The fields of a webhook of this call."""
    status = fields.pop("CallStatus", "ringing")
    known = call_form(call_sid=call_sid, account_sid=ACCOUNT_SID, from_number=FROM, to_number=TO, status=status)
    return known | fields


async def ask(url: str, call_sid: str, **fields: str) -> Answer:
    """A webhook, signed as Twilio signs it. Raises `WebhookFailed` if it is not answered by 2xx."""
    async with aiohttp.ClientSession() as session:
        return await Webhooks(session, AUTH_TOKEN, timeout_s=LIMIT_S).ask(url, "POST", form(call_sid, **fields))


def connection_of(answer: Answer) -> Connect:
    """The `<Connect>` of a document that offers a stream."""
    document = read_twiml(answer.body, content_type=answer.content_type, base_url=answer.url)
    verb = document.verbs[0]
    assert isinstance(verb, Connect), f"expected <Connect>, got {answer.body!r}"
    return verb


async def offered(url: str, call_sid: str) -> str:
    """A call comes in at the gateway at `url`: the address of the stream it is offered."""
    return connection_of(await ask(f"{url}/twilio/voice", call_sid)).stream.url


@dataclass
class RawLine:
    """The carrier's end of one media socket."""

    socket: ClientConnection
    call_sid: str
    stream_sid: str = field(default_factory=lambda: f"MZ{secrets.token_hex(16)}")

    def __post_init__(self) -> None:
        self.write = MessageWriter(ACCOUNT_SID, self.call_sid, self.stream_sid)

    async def begin(self) -> None:
        await self.send(self.write.connected())
        await self.send(self.write.start(Codec.PCMU, {}))

    async def send(self, message: str | bytes) -> None:
        """A text message, of any bytes at all."""
        await self.socket.send(message, text=True)

    async def press(self, keys: str) -> None:
        for key in keys:
            await self.send(self.write.dtmf(key))

    async def until(self, event: str, count: int = 1, *, returns_marks: bool = False) -> dict[str, Any]:
        """Read until `count` messages of that kind have come; the last. Marks may be returned: all was played."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                if returns_marks and message["event"] == "mark":
                    await self.send(self.write.mark(message["mark"]["name"]))
                count -= message["event"] == event
                if not count:
                    return message

    async def close_code(self) -> int:
        """Read until the gateway closes: its code, 1006 for none."""
        async with asyncio.timeout(LIMIT_S):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd is not None else 1006


@asynccontextmanager
async def raw_line(
    url: str, call_sid: str, *, signature: str | None = None, sock: socket.socket | None = None
) -> AsyncGenerator[RawLine, None]:
    """Opens the stream at `url`, signed, and sends nothing yet. Raises `InvalidStatus` if it is refused."""
    connection = await connect(
        url,
        additional_headers={SIGNATURE_HEADER: sign(AUTH_TOKEN, url) if signature is None else signature},
        compression=None,
        proxy=None,
        ping_interval=None,
        open_timeout=LIMIT_S,
        close_timeout=0.5,
        sock=sock,
    )
    try:
        yield RawLine(connection, call_sid)
    finally:
        connection.transport.abort()
        await connection.wait_closed()
