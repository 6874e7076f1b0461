"""A side-band that stays with its call: what becomes of the client's socket between two streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from starlette.types import Message

from gateway.calls.errand import ErrandEnd
from gateway.calls.orders import NOT_STREAMING, OVER
from gateway.credentials.credential import ALL_SCOPES, Credential, Kind
from gateway.credentials.door import OPERATOR
from gateway.errors import Refusal
from gateway.fast_lane import Direct
from gateway.realtime import followed_call
from gateway.realtime.directory import Directory
from gateway.realtime.followed_call import MOST_WAITING, FollowedCall
from gateway.realtime.handshake import Wanted
from gateway.realtime.studio import Studio
from pipeline.dialects import Dialect

pytestmark = pytest.mark.anyio

SID = f"CA{1:032x}"
WANTED = Wanted(dialect=Dialect.GA, credential=Credential(owner=OPERATOR, scopes=ALL_SCOPES, kind=Kind.KEY))
LIMIT_S = 20.0
WAIT = Refusal(503, NOT_STREAMING.code, "not yet")
GONE = Refusal(404, OVER.code, "over")


class Leg:
    """The errand to one stream of the call: what comes from there, and what went there."""

    def __init__(self, *says: bytes) -> None:
        self._says = list(says)
        self.got: list[bytes] = []
        self.has_got = asyncio.Event()
        self.waits_for = 0

    async def get(self) -> bytes | None:
        while len(self.got) < self.waits_for:
            self.has_got.clear()
            await self.has_got.wait()
        return self._says.pop(0) if self._says else None

    def send(self, data: bytes) -> None:
        self.got.append(data)
        self.has_got.set()

    def end(self) -> None:
        self.waits_for = 0
        self.has_got.set()


class Client:
    """The socket's other end."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[Message] = asyncio.Queue()
        self.told: list[Message] = []
        self.is_stuck = False

    async def send(self, message: Message) -> None:
        if self.is_stuck and message["type"] == "websocket.close":
            await asyncio.Event().wait()
        self.told.append(message)

    @property
    def close(self) -> tuple[int, str]:
        assert [one["type"] for one in self.told].count("websocket.close") == 1
        return self.told[-1]["code"], self.told[-1]["reason"]


def followed(*answers: Leg | Refusal, admits: bool = True) -> FollowedCall:
    """`answers`: what the way elsewhere leads to, time after time."""
    waiting = list(answers)

    @asynccontextmanager
    async def one(answer: Leg | Refusal) -> AsyncGenerator[ErrandEnd, None]:
        if isinstance(answer, Refusal):
            raise answer
        yield cast(ErrandEnd, answer)

    def elsewhere(call_sid: str, _dialect: Dialect) -> AbstractAsyncContextManager[ErrandEnd]:
        assert call_sid == SID
        return one(waiting.pop(0))

    studio = cast(Studio, SimpleNamespace(directory=Directory(), admits=lambda: admits))
    return FollowedCall(studio, SID, WANTED, elsewhere)


async def held(call: FollowedCall, client: Client, direct: Direct | None = None) -> None:
    async with asyncio.timeout(LIMIT_S):
        await call.find()
        await call.hold(client.says.get, client.send, direct)


def texts(client: Client) -> list[str]:
    return [one["text"] for one in client.told if one["type"] == "websocket.send"]


def closing(code: int, reason: str) -> bytes:
    return b"c" + code.to_bytes(2, "big") + reason.encode()


async def test_the_socket_stays_open_from_stream_to_stream_and_closes_with_the_call() -> None:
    client = Client()
    await held(followed(Leg(b"tone"), WAIT, Leg(b"ttwo", closing(1000, "session_over")), WAIT, GONE), client)
    assert texts(client) == ["one", "two"]
    assert client.close == (1000, "session_over")


async def test_any_other_end_is_passed_on_as_it_is() -> None:
    client = Client()
    await held(followed(Leg(closing(1008, "slow_reader"))), client)
    assert client.close == (1008, "slow_reader")


async def test_what_the_client_sends_meanwhile_goes_to_the_next_stream() -> None:
    client, last = Client(), Leg(closing(1009, "message_too_big"))
    last.waits_for = MOST_WAITING + 2
    for number in range(last.waits_for):
        client.says.put_nowait({"type": "websocket.receive", "text": str(number)})
    lost = Leg()
    await held(followed(lost, WAIT, last), client)
    assert lost.got + last.got == [str(number).encode() for number in range(last.waits_for)]


async def test_a_call_that_nobody_picks_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_call, "FOLLOW_LIMIT_S", 0.0)
    client = Client()
    await held(followed(Leg(), *[WAIT] * 100), client)
    assert client.close == (1001, "worker_lost")


async def test_a_worker_that_leaves_sends_the_client_away() -> None:
    client = Client()
    await held(followed(Leg(), WAIT, admits=False), client)
    assert client.close == (1001, "server_stopping")


async def test_who_is_gone_is_not_followed_for() -> None:
    client = Client()
    client.says.put_nowait({"type": "websocket.disconnect", "code": 1006})
    silent = Leg(b"tx")
    silent.waits_for = 1
    await held(followed(silent), client)
    assert texts(client) == ["x"]


async def test_a_place_that_is_not_to_be_had_is_refused_at_once() -> None:
    with pytest.raises(Refusal, match="over"):
        await followed(GONE).find()


async def test_a_client_that_takes_not_even_the_close_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_call, "STUCK_S", 0.01)
    client, cuts = Client(), []
    client.is_stuck = True
    direct = cast(Direct, SimpleNamespace(cut=lambda: cuts.append("cut")))
    await held(followed(Leg(), GONE), client, direct)
    await held(followed(Leg(), GONE), client)
    assert cuts == ["cut"]


async def test_a_place_that_is_given_up_is_free_again() -> None:
    call = followed(Leg())
    await call.find()
    await call.leave()
