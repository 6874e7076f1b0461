from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.cli.call_events import Fields, JournalClosed, event_lines, follow_journal, sound_zero_s
from tests.gateway.cli.recorded import ZERO_S, happened, told

pytestmark = pytest.mark.anyio

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def journal(answer: Answer) -> AsyncIterator[str]:
    """A server that answers everything so, at its address."""

    async def adapted(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        return await answer(request)  # type: ignore[arg-type]  # a low-level server has no web.Request

    runner = web.ServerRunner(web.Server(adapted), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def read_all(url: str) -> list[tuple[str, Fields]]:
    async with asyncio.timeout(10):
        return [event async for event in follow_journal(url, "sesame", "CA1")]


async def test_events_come_one_by_one_wherever_the_network_cuts_them() -> None:
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((str(request.path_qs), request.headers["Authorization"]))
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"event":"a","at_s":1}\n{"eve', b'nt":"b","te', b'xt":"x"}\n'):
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    async with journal(answer) as url:
        assert await read_all(url) == [("a", {"at_s": 1}), ("b", {"text": "x"})]
    assert asked == [("/v1/calls/CA1/events?follow=1&wait_s=5", "Bearer sesame")]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, "", "another SWITCHBOARD_TOKEN"),
        (403, "", "control API is closed"),
        (404, '{"error":{"code":"call_not_found"}}', "does not know the call"),
        (404, "Not Found", "keeps no journal as Switchboard does (HTTP 404)"),
        (200, "<html>", "broke off"),
        (200, "{}", "broke off"),
    ],
)
async def test_a_journal_that_cannot_be_followed_says_why(status: int, body: str, words: str) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body + "\n")

    async with journal(answer) as url:
        with pytest.raises(JournalClosed) as closed:
            await read_all(url)
    assert words in str(closed.value)


async def test_a_gateway_that_is_not_there_has_no_journal(unused_port: int) -> None:
    with pytest.raises(JournalClosed) as closed:
        await read_all(f"http://127.0.0.1:{unused_port}")
    assert "broke off" in str(closed.value)


async def test_both_records_become_one_by_time_with_one_time_tokens_masked() -> None:
    token = "/twilio/media/abcdefghijklmnop"
    happenings = (
        happened("twiml", -5, text=f"<Stream url='ws://x{token}'/>"),
        happened("stream.opened", 0, url=f"ws://x{token}"),
        happened("connected", 0),
        happened("caller.speaks", 20, text="+15550100001"),
    )
    entries = (told("stream.started", 10, at_s=77.0), told("speech.started", 30, audio_start_ms=9))
    lines = event_lines(happenings, entries)
    assert [line["event"] for line in lines] == [
        "twiml",
        "stream.opened",
        "connected",
        "stream.started",
        "caller.speaks",
        "speech.started",
    ]
    assert "abcdef" not in json.dumps(lines)
    assert lines[3] == {
        "event": "stream.started",
        "source": "gateway",
        "at_ms": 10.0,
        "at_s": ZERO_S + 0.01,
        "gateway_s": 77.0,
    }
    assert (lines[4]["source"], lines[4]["text"]) == ("simulator", "+15550100001")


async def test_a_call_without_a_stream_is_timed_from_its_beginning() -> None:
    assert sound_zero_s(()) is None
    assert event_lines((), ()) == []
    lines = event_lines((happened("webhook", 5, url="http://x"),), (told("call.started", 9),))
    assert [line["at_ms"] for line in lines] == [5.0, 9.0]
