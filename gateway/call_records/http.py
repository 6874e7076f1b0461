"""The control API's part about call records: that of a call which ended lately, and those nobody took.

    GET  /v1/calls/{call_sid}/record
    GET  /v1/call-records/undelivered                       which were given up, and why
    GET  /v1/call-records/undelivered/{call_sid}            the body that was not taken
    POST /v1/call-records/undelivered/{call_sid}/retry      tries it again

Who may ask is decided by whoever mounts it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.call_records.office import RecordsOffice, remembered_by
from gateway.call_records.outbox import OutboxUnavailable
from gateway.call_records.record import record_of
from gateway.calls.store import CallStore
from gateway.errors import StoreUnavailable
from gateway.redis.errors import RedisUnavailable
from twiml.errors import shorten

Refuse: TypeAlias = Callable[[Request], Response | None]
"""What to answer to somebody who may not ask; None if they may."""

Act: TypeAlias = Callable[[Request], Awaitable[Response]]


def routes(store: CallStore, office: RecordsOffice | None, now: Callable[[], float], refuse: Refuse) -> list[Route]:
    """To be mounted at the root. `office` is None where no record is sent."""

    def guarded(act: Act) -> Act:
        async def answer(request: Request) -> Response:
            if (refusal := refuse(request)) is not None:
                return refusal
            try:
                return await act(request)
            except (StoreUnavailable, RedisUnavailable, OutboxUnavailable):
                message = "Records cannot be read just now. Ask again in a moment."
                return _error(503, "server_error", "records_unavailable", message)

        return answer

    async def record(request: Request) -> Response:
        return await _record(store, request)

    async def undelivered(request: Request) -> Response:
        dead = [] if office is None else await office.outbox.dead()
        return _json(
            200, {"undelivered": [_shown(one.call_sid, one.died_at_s, one.tries, one.why) for one in dead]}
        )

    async def body(request: Request) -> Response:
        text = None if office is None else await office.outbox.dead_body(request.path_params["call_sid"])
        return (
            _nothing(request) if text is None else Response(text, headers=_PRIVATE, media_type="application/json")
        )

    async def retry(request: Request) -> Response:
        call_sid = request.path_params["call_sid"]
        if office is None or not await office.outbox.revive(call_sid, now()):
            return _nothing(request)
        office.deliveries.look()
        return _json(202, {"call_sid": call_sid})

    base = "/v1/call-records/undelivered"
    return [
        Route("/v1/calls/{call_sid}/record", guarded(record), methods=["GET"]),
        Route(base, guarded(undelivered), methods=["GET"]),
        Route(f"{base}/{{call_sid}}", guarded(body), methods=["GET"]),
        Route(f"{base}/{{call_sid}}/retry", guarded(retry), methods=["POST"]),
    ]


_PRIVATE = {"Cache-Control": "no-store"}


async def _record(store: CallStore, request: Request) -> Response:
    call_sid = request.path_params["call_sid"]
    call = await store.find(call_sid)
    if call is None:
        message = f"There is no call {shorten(call_sid)}. A record is here for some minutes after the call."
        return _error(404, "invalid_request_error", "call_not_found", message, "call_sid")
    if call.is_live:
        message = "The call has not ended. GET /v1/calls/{call_sid}/events tells what happens in it."
        return _error(409, "invalid_request_error", "call_not_ended", message, "call_sid")
    journal = await store.journal(call_sid)
    told = [] if journal is None else await journal.read()
    return _json(200, record_of(call, [*told, *remembered_by(store)(call_sid)]))


def _shown(call_sid: str, died_at_s: float, tries: int, why: str) -> dict[str, Any]:
    return {"call_sid": call_sid, "given_up_at_s": round(died_at_s, 3), "tries": tries, "why": why}


def _nothing(request: Request) -> Response:
    call_sid = shorten(request.path_params["call_sid"])
    message = f"No record of {call_sid} was given up. GET /v1/call-records/undelivered lists those there are."
    return _error(404, "invalid_request_error", "record_not_found", message, "call_sid")


def _error(status_code: int, type: str, code: str, message: str, param: str | None = None) -> Response:
    return _json(status_code, {"error": {"type": type, "code": code, "message": message, "param": param}})


def _json(status_code: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status_code, _PRIVATE, "application/json")
