"""The control API's steering part: what is asked of a call that streams, here or on another worker.

    POST /v1/calls/{call_sid}/say         {"text": "…", "interrupts": false}
    POST /v1/calls/{call_sid}/whisper     {"text": "…", "answer": false}
    POST /v1/calls/{call_sid}/transfer    {"to": "sales", "farewell": "…"}
    POST /v1/calls/{call_sid}/hangup      {"farewell": "…"}
    POST /v1/calls/{call_sid}/recording/pause
    POST /v1/calls/{call_sid}/recording/resume
    GET  /v1/workers

Answered with 200 and what is done, or 202 if it waits for its turn. 404: no such call. 409: it has no stream just
now; with `Retry-After` it will. 503: its worker did not answer. Needs the scope `control`, as all of the API does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.calls.orders import (
    AnyOrder,
    Done,
    HangUp,
    Outcome,
    PauseRecording,
    Refused,
    ResumeRecording,
    Say,
    Transfer,
    Whisper,
)
from gateway.control import in_json, refusal_of, refuse, refuse_as
from gateway.control_listening import listen_route
from gateway.credentials.door import Door
from gateway.errors import JsonRefused
from gateway.reach import Reach
from gateway.realtime.json_body import read_json

MOST_BODY_BYTES: Final = 16 * 1024
"""The longest order, each of its characters escaped."""

_Kind: TypeAlias = (
    type[Say] | type[Whisper] | type[Transfer] | type[HangUp] | type[PauseRecording] | type[ResumeRecording]
)

_KINDS: Final[dict[str, _Kind]] = {
    "say": Say,
    "whisper": Whisper,
    "transfer": Transfer,
    "hangup": HangUp,
    "recording/pause": PauseRecording,
    "recording/resume": ResumeRecording,
}

_NEEDS_NO_BODY: Final = frozenset({HangUp, PauseRecording, ResumeRecording})


def routes(reach: Reach, door: Door) -> list[BaseRoute]:
    """To be mounted at the root."""

    def guarded(act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return refusal_of(door, request) or await act(request)

        return answer

    def ordered(kind: _Kind) -> Callable[[Request], Awaitable[Response]]:
        async def act(request: Request) -> Response:
            try:
                order = await _read(request, kind)
            except JsonRefused as refused:
                code, message = refused.reason, str(refused)
                return refuse(refused.status_code, "invalid_request_error", code, message, refused.param)
            return _told(await reach.order(request.path_params["call_sid"], order))

        return act

    async def list_workers(_request: Request) -> Response:
        workers, are_all = await reach.workers()
        return in_json(200, {"workers": workers, "are_all": are_all})

    return [
        *(
            Route(f"/v1/calls/{{call_sid}}/{name}", guarded(ordered(kind)), methods=["POST"])
            for name, kind in _KINDS.items()
        ),
        listen_route(reach, door),
        Route("/v1/workers", guarded(list_workers), methods=["GET"]),
    ]


async def _read(request: Request, kind: _Kind) -> AnyOrder:
    """Raises `JsonRefused`."""
    body = await read_json(request, may_be_empty=kind in _NEEDS_NO_BODY, most_bytes=MOST_BODY_BYTES)
    body.refuse_unknown(kind.__struct_fields__)
    fields: dict[str, Any] = body.fields
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `$.")
        param = place.rstrip("`") or None
        where = f"'{param}': " if param else ""
        raise JsonRefused(400, "invalid_value", f"Invalid value: {where}{words}.", param) from error


def _told(outcome: Outcome) -> Response:
    match outcome:
        case Done(status="paused" | "recording" as status, is_kept=is_kept):
            return in_json(200, {"status": status, "is_paused": status == "paused", "is_kept": is_kept})
        case Done(status=status):
            return in_json(202 if outcome.is_waiting else 200, {"status": status})
        case Refused():
            return refuse_as(outcome)
