from __future__ import annotations

import asyncio

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from simulator.standins import http_answer
from simulator.standins.fault import Fault
from simulator.standins.http_answer import answer, refusal
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

PIECES = (b"one ", b"two ", b"three ", b"four")
BODY = b"".join(PIECES)


def app_with(fault: Fault, *pieces: bytes, kind: str = "audio/pcm", gap_s: float = 0.0) -> ASGIApp:
    async def respond(request: Request) -> Response:
        return await refusal(request, fault) or answer(request, fault, pieces, kind=kind, gap_s=gap_s)

    return Starlette(routes=[Route("/", respond)])


async def body_of(app: ASGIApp) -> tuple[bytes, type[BaseException] | None]:
    """What of the body came, and what went wrong then."""
    body = b""
    async with served(app) as place, httpx2.AsyncClient() as http:
        try:
            async with asyncio.timeout(30), http.stream("GET", f"http://{place}/") as response:
                async for piece in response.aiter_raw():
                    body += piece
        except httpx2.HTTPError as error:
            return body, type(error)
    return body, None


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.ODD_PCM, Fault.ZERO_AUDIO])
async def test_the_body_comes_whole_if_nothing_is_wrong_with_its_way(fault: Fault) -> None:
    assert await body_of(app_with(fault, *PIECES, gap_s=0.001)) == (BODY, None)


async def test_odd_pieces_are_odd() -> None:
    pieces = [
        piece
        async for piece in http_answer._on_its_way(Request({"type": "http"}), Fault.ODD_PCM, [bytes(4_000)], 0)
    ]
    assert b"".join(pieces) == bytes(4_000)
    assert {len(piece) % 2 for piece in pieces[:-1]} == {1}


async def test_a_torn_connection_breaks_the_transfer_half_way() -> None:
    body, wrong = await body_of(app_with(Fault.CLOSE_1006, *PIECES, kind="text/event-stream"))
    assert wrong in (httpx2.RemoteProtocolError, httpx2.ReadError)
    assert BODY[:8].startswith(body)


async def test_a_promised_length_is_not_kept() -> None:
    assert await body_of(app_with(Fault.CLOSE_1011, *PIECES)) == (BODY[:8], httpx2.RemoteProtocolError)


async def test_a_stream_of_events_ends_in_good_order_half_way() -> None:
    assert await body_of(app_with(Fault.CLOSE_1011, *PIECES, kind="text/event-stream")) == (BODY[:8], None)


async def test_a_single_piece_is_halved_itself() -> None:
    assert await body_of(app_with(Fault.CLOSE_1011, b"12345", kind="text/event-stream")) == (b"12", None)


async def test_one_that_stalls_stops_half_way_and_says_no_more() -> None:
    async with served(app_with(Fault.STALL, *PIECES)) as place, httpx2.AsyncClient() as http:
        async with http.stream("GET", f"http://{place}/") as response:
            pieces = response.aiter_raw()
            body = b""
            while len(body) < 8:
                body += await anext(pieces)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(pieces)
    assert body == BODY[:8]


async def test_one_that_hangs_does_not_even_say_how_it_went() -> None:
    async with served(app_with(Fault.HANG, *PIECES)) as place, httpx2.AsyncClient() as http:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await http.get(f"http://{place}/")


async def test_a_drip_is_all_of_it_in_tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answer, "DRIP_S", 0.0)
    monkeypatch.setattr(http_answer, "DRIP_BYTES", 3)
    assert await body_of(app_with(Fault.SLOW_DRIP, *PIECES)) == (BODY, None)


@pytest.mark.parametrize(("fault", "status"), [(Fault.REFUSE, 401), (Fault.TOO_MANY, 429), (Fault.BROKEN, 500)])
async def test_a_refusal_is_worded_as_openai_words_it(fault: Fault, status: int) -> None:
    async with served(app_with(fault, *PIECES)) as place, httpx2.AsyncClient() as http:
        response = await http.get(f"http://{place}/")
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert ("retry-after" in response.headers) == (status == 429)
