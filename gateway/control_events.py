"""The control API's watching part: what happens, live, in one call or in all of them.

    GET /v1/calls/{call_sid}/events[?follow=1][&since=N][&wait_s=SECONDS]
    GET /v1/events[?follow=1][&since=ID]

One JSON object a line. Each of `/v1/events` has an `id`, from which to go on after a break, on whichever worker.
They come as server-sent events where `Accept` asks for that, and `Last-Event-ID` is then as good as `since`
(https://html.spec.whatwg.org/multipage/server-sent-events.html). Followers are let go of when the gateway leaves.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.calls.feed import Place, place_of
from gateway.calls.journal import JournalEvent
from gateway.control import guarded, no_call, refuse
from gateway.credentials.door import Door
from gateway.front_desk import FrontDesk
from twiml.errors import shorten

WAIT_LIMIT_S: Final = 60.0
"""The longest a request may wait for a call that does not exist yet."""

QUIET_S: Final = 15.0
"""After so long without an event, who watches all calls gets an empty line: proxies cut what is long silent."""

JSON_LINES: Final = "application/x-ndjson"
SENT_EVENTS: Final = "text/event-stream"

_COUNT = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3})?")
_encode = msgspec.json.Encoder(enc_hook=str).encode


def routes(desk: FrontDesk, leaving: asyncio.Event, door: Door | None = None) -> list[Route]:
    """To be mounted at the root. `leaving`: nothing more comes, and followers shall go."""
    own_door = door or Door(desk.settings, now=time.time)
    of_one, of_all = partial(_of_one_call, leaving), partial(_of_all_calls, leaving)
    return [
        Route("/v1/calls/{call_sid}/events", guarded(desk, own_door, of_one), methods=["GET"]),
        Route("/v1/events", guarded(desk, own_door, of_all), methods=["GET"]),
    ]


async def _of_one_call(leaving: asyncio.Event, desk: FrontDesk, request: Request) -> Response:
    call_sid = request.path_params["call_sid"]
    query = request.query_params
    since, wait_s = query.get("since", "0"), query.get("wait_s", "0")
    if not _COUNT.fullmatch(since):
        message = f"since: expected a whole number from 0, got {shorten(since)}"
        return refuse(400, "invalid_request_error", "invalid_value", message, "since")
    if not _SECONDS.fullmatch(wait_s) or float(wait_s) > WAIT_LIMIT_S:
        message = f"wait_s: expected seconds from 0 to {WAIT_LIMIT_S:g}, got {shorten(wait_s)}"
        return refuse(400, "invalid_request_error", "invalid_value", message, "wait_s")
    journal = await desk.store.journal(call_sid)
    if journal is None:
        try:
            async with asyncio.timeout(float(wait_s)):
                await desk.store.arrival(call_sid)
        except TimeoutError:
            return no_call(call_sid)
        journal = await desk.store.journal(call_sid)
        assert journal is not None, "a store keeps a call and its journal together"
    if query.get("follow") == "1":
        return _streamed(_watched(journal.follow(int(since)), leaving, quiet_s=None), _line, JSON_LINES)
    return _whole(await journal.read(int(since)), _line, JSON_LINES)


async def _of_all_calls(leaving: asyncio.Event, desk: FrontDesk, request: Request) -> Response:
    sends_events = SENT_EVENTS in request.headers.get("accept", "")
    asked = request.query_params.get("since") or request.headers.get("last-event-id", "")
    try:
        since: Place | None = place_of(asked) if asked else None
    except ValueError:
        message = f"since: expected the id of an event of /v1/events, got {shorten(asked)}"
        return refuse(400, "invalid_request_error", "invalid_value", message, "since")
    as_text, kind = (_sent_event, SENT_EVENTS) if sends_events else (_line, JSON_LINES)
    if sends_events or request.query_params.get("follow") == "1":
        return _streamed(_watched(desk.store.feed.follow(since), leaving, quiet_s=QUIET_S), as_text, kind)
    return _whole(await desk.store.feed.read(since), as_text, kind)


def _streamed(
    events: AsyncGenerator[JournalEvent | None, None], as_text: Callable[[JournalEvent | None], bytes], kind: str
) -> Response:
    async def text() -> AsyncGenerator[bytes, None]:
        async with aclosing(events):
            async for event in events:
                yield as_text(event)

    # nginx would collect some kilobytes before it passed any of it on.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(text(), media_type=kind, headers=headers)


def _whole(events: list[JournalEvent], as_text: Callable[[JournalEvent | None], bytes], kind: str) -> Response:
    body = b"".join(as_text(event) for event in events)
    return Response(body, media_type=kind, headers={"Cache-Control": "no-store"})


async def _watched(
    events: AsyncGenerator[JournalEvent, None], leaving: asyncio.Event, *, quiet_s: float | None
) -> AsyncGenerator[JournalEvent | None, None]:
    """The events until the gateway leaves, and None wherever there was none for so long."""
    left = asyncio.ensure_future(leaving.wait())
    coming: asyncio.Future[JournalEvent | None] | None = None
    async with aclosing(events):
        try:
            while True:
                coming = coming or asyncio.ensure_future(_next(events))
                await asyncio.wait((coming, left), timeout=quiet_s, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    event, coming = coming.result(), None
                    if event is None:
                        return
                    yield event
                elif left.done():
                    return
                else:
                    yield None
        finally:
            left.cancel()
            if coming is not None:
                coming.cancel()
                await asyncio.wait((coming,))


async def _next(events: AsyncGenerator[JournalEvent, None]) -> JournalEvent | None:
    """None: there are no more."""
    async for event in events:
        return event
    return None


def _line(event: JournalEvent | None) -> bytes:
    return b"\n" if event is None else _encode(event) + b"\n"


def _sent_event(event: JournalEvent | None) -> bytes:
    if event is None:
        return b":\n\n"
    named = f"id: {event['id']}\n".encode() if "id" in event else b""
    return named + b"data: " + _encode(event) + b"\n\n"
