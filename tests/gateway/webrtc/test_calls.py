"""All peer connections of a process, with sessions that do what the test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway.credentials.credential import Credential, Kind, Scope
from gateway.errors import CredentialRefused, Refusal
from gateway.realtime.directory import Directory
from gateway.realtime.own_session import Opening
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from gateway.webrtc import calls as module
from gateway.webrtc.addresses import Addresses
from gateway.webrtc.calls import RtcCalls, open_calls
from gateway.webrtc.connection import RtcConnection
from gateway.webrtc.link import LinkFailed, LinkSetup, make_certificate
from gateway.webrtc.offer import read_offer
from pipeline.dialects import Dialect
from pipeline.events.config import SessionConfig
from tests.gateway.webrtc.offers import CHROMIUM
from tests.gateway.webrtc.support import LIMIT_S
from tests.webrtc.support import open_files

pytestmark = pytest.mark.anyio

OFFER = read_offer(CHROMIUM)
SETUP = LinkSetup(addresses=Addresses(("127.0.0.1",)), certificate=make_certificate())


@dataclass
class House:
    """A studio of two seats for each owner."""

    directory: Directory = field(default_factory=lambda: Directory(2))

    @property
    def studio(self) -> Studio:
        return cast(Studio, self)


def opening(number: int = 1, owner: str = "acme") -> Opening:
    return Opening(
        dialect=Dialect.GA,
        credential=Credential(owner=owner, scopes=frozenset({Scope.REALTIME}), kind=Kind.KEY),
        config=SessionConfig(),
        session_id=f"sess_{number}",
        call_id=f"rtc_{number}",
        plays=True,
    )


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[RtcConnection]:
    """Sessions that last until they are finished; these are their lines."""
    held: list[RtcConnection] = []

    async def hold(_studio: Studio, _opening: Opening, connect: Any) -> None:
        connection = connect.__self__
        held.append(connection)
        await connection._over.wait()

    monkeypatch.setattr(module, "hold", hold)
    return held


async def gone(house: House) -> None:
    async with asyncio.timeout(LIMIT_S):
        while house.directory.seated:  # noqa: ASYNC110 - as few tasks as there are
            await asyncio.sleep(0)


async def test_an_offer_is_answered_and_its_session_held_in_its_seat(lines: list[RtcConnection]) -> None:
    house, files = House(), open_files()
    async with open_calls(house.studio, SETUP) as calls:
        answered = await calls.open(OFFER, opening())
        assert (answered.call_id, answered.session_id) == ("rtc_1", "sess_1")
        assert "127.0.0.1" in answered.sdp
        assert house.directory.seated == 1
        await asyncio.sleep(0)
        lines[0].finish(SessionEnd.HUNG_UP)
        await gone(house)
    assert open_files() == files


async def test_calls_that_are_left_are_ended_with_the_gateway(lines: list[RtcConnection]) -> None:
    house = House()
    async with open_calls(house.studio, SETUP) as calls:
        for number in range(2):
            await calls.open(OFFER, opening(number))
    assert [line.end for line in lines] == [SessionEnd.STOPPING] * 2
    assert house.directory.seated == 0


async def test_a_key_without_a_seat_is_refused_before_anything_is_opened(lines: list[RtcConnection]) -> None:
    house, redeemed = House(), list[str]()
    async with open_calls(house.studio, SETUP) as calls:
        for number in range(2):
            await calls.open(OFFER, opening(number))
        files = open_files()
        with pytest.raises(Refusal) as refusal:
            await calls.open(OFFER, opening(3), lambda: redeemed.append("used"))
        assert (refusal.value.status_code, open_files(), redeemed) == (429, files, [])
        await calls.open(OFFER, opening(4, "other"), lambda: redeemed.append("used"))
        assert redeemed == ["used"]


async def test_what_was_used_up_meanwhile_opens_nothing(lines: list[RtcConnection]) -> None:
    def redeem() -> None:
        raise CredentialRefused(401, "unusable", "It was used before.")

    house, files = House(), open_files()
    async with open_calls(house.studio, SETUP) as calls:
        with pytest.raises(CredentialRefused):
            await calls.open(OFFER, opening(), redeem)
        assert (house.directory.seated, open_files(), lines) == (0, files, [])


@pytest.mark.parametrize(
    "fault", [LinkFailed("192.0.2.7 is not ours"), ZeroDivisionError(), asyncio.CancelledError()]
)
async def test_an_offer_that_cannot_be_answered_leaves_nothing(
    lines: list[RtcConnection], fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: RtcConnection) -> str:
        raise fault

    monkeypatch.setattr(RtcConnection, "answer", fail)
    house, files = House(), open_files()
    async with open_calls(house.studio, SETUP) as calls:
        with pytest.raises(BaseException) as raised:
            await calls.open(OFFER, opening())
        if isinstance(fault, LinkFailed):
            assert isinstance(raised.value, Refusal)
            assert raised.value.status_code == 503
            assert "192.0.2.7" not in str(raised.value)
        else:
            assert raised.value is fault
        assert (house.directory.seated, open_files(), lines) == (0, files, [])


async def test_a_fault_of_ours_in_one_call_ends_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hold(_studio: Studio, asked: Opening, connect: Any) -> None:
        if asked.session_id == "sess_1":
            raise ZeroDivisionError
        await connect.__self__._over.wait()

    monkeypatch.setattr(module, "hold", hold)
    house = House()
    async with open_calls(house.studio, SETUP) as calls:
        for number in (1, 2):
            await calls.open(OFFER, opening(number))
        async with asyncio.timeout(LIMIT_S):
            while house.directory.seated > 1:  # noqa: ASYNC110 - the first call's task
                await asyncio.sleep(0)
        assert isinstance(calls, RtcCalls)
        assert house.directory.seated == 1
    assert "fault of ours" in caplog.text
