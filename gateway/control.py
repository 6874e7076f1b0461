"""The control API: which calls there are.

    GET /v1/calls[?ended=1]
    GET /v1/calls/{call_sid}                         with what its providers were used for so far

For operators and their programs: with SWITCHBOARD_TOKEN, or an API key or JWT with the scope `control`; closed
until there is one. What happens in calls is in `control_events.py`, what steers them in `control_orders.py`, and
listening in beside it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.calls.call import Call
from gateway.calls.orders import OUT_OF_REACH, Refused
from gateway.credentials.credential import Scope
from gateway.credentials.door import Door
from gateway.errors import CredentialRefused, StoreUnavailable
from gateway.front_desk import FrontDesk
from gateway.redis.errors import RedisUnavailable
from pipeline import costs
from twiml.errors import shorten
from twiml.numbers import mask

_TYPES = {403: "permission_error", 429: "rate_limit_error", 503: "server_error"}


class ApiError(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a refusal, in the shape of the Realtime protocol's errors."""

    type: str
    code: str
    message: str
    param: str | None = None


class CallSummary(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One call, as a list shows it."""

    call_sid: str
    state: str
    from_: str
    """Masked."""
    to: str
    agent: str
    seconds: float
    end_reason: str | None = None
    worker: str | None = None
    """The one that streams it, where there are several."""
    costs: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    """What was used, by provider; a list leaves it out."""


def routes(desk: FrontDesk, door: Door | None = None) -> list[Route]:
    """The control API, to be mounted at the root. Without a door it has one of its own, made from the settings."""
    own_door = door or Door(desk.settings, now=time.time)
    return [
        Route("/v1/calls", guarded(desk, own_door, _list_calls), methods=["GET"]),
        Route("/v1/calls/{call_sid}", guarded(desk, own_door, _call), methods=["GET"]),
    ]


def guarded(
    desk: FrontDesk, door: Door, act: Callable[[FrontDesk, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """For those who may ask, and while calls can be looked up."""

    async def answer(request: Request) -> Response:
        try:
            return refusal_of(door, request) or await act(desk, request)
        except (StoreUnavailable, RedisUnavailable):
            return refuse_as(OUT_OF_REACH)

    return answer


def refusal_of(door: Door, request: HTTPConnection) -> Response | None:
    """What to answer to somebody who may not ask; None if they may."""
    if not door.has_keys:
        message = (
            "The control API is closed. Set SWITCHBOARD_TOKEN and send it as `Authorization: Bearer`, or set "
            "SWITCHBOARD_API_KEYS and send a key with the scope `control`."
        )
        return refuse(403, "permission_error", "control_api_closed", message)
    address = request.client.host if request.client else ""
    try:
        door.identify(request.headers.raw, address=address).demand(Scope.CONTROL)
    except CredentialRefused as refused:
        return _refused(refused)
    return None


def _refused(refused: CredentialRefused) -> Response:
    if refused.status_code == 401:
        message = "Expected `Authorization: Bearer` with SWITCHBOARD_TOKEN or a key with the scope `control`."
        response = refuse(401, "authentication_error", "invalid_token", message)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    response = refuse(refused.status_code, "permission_error", refused.reason, str(refused))
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response


async def _list_calls(desk: FrontDesk, request: Request) -> Response:
    """Live calls; with `ended=1` also those that ended within the last minutes."""
    shows_ended = request.query_params.get("ended") == "1"
    now_s = desk.now()
    calls = [_summary(call, now_s) for call in await desk.store.calls() if call.is_live or shows_ended]
    return in_json(200, {"calls": calls})


async def _call(desk: FrontDesk, request: Request) -> Response:
    call = await desk.store.find(request.path_params["call_sid"])
    if call is None:
        return no_call(request.path_params["call_sid"])
    summary = _summary(call, desk.now())
    return in_json(200, msgspec.structs.replace(summary, costs=costs.shown(call.tally.used)))


_encoder = msgspec.json.Encoder(enc_hook=str)


def _summary(call: Call, now_s: float) -> CallSummary:
    return CallSummary(
        call_sid=call.call_sid,
        state=call.state.value,
        from_=mask(call.from_),
        to=call.to,
        agent=call.agent,
        seconds=round(call.seconds(now_s), 3),
        end_reason=call.end_reason,
        worker=call.holder or None,
    )


def no_call(call_sid: str) -> Response:
    message = f"There is no call {shorten(call_sid)}. GET /v1/calls lists those there are."
    return refuse(404, "invalid_request_error", "call_not_found", message, "call_sid")


def refuse(status_code: int, type: str, code: str, message: str, param: str | None = None) -> Response:
    return in_json(status_code, {"error": ApiError(type=type, code=code, message=message, param=param)})


def refuse_as(refused: Refused) -> Response:
    """What a call's worker refuses, or nobody could ask it."""
    kind = _TYPES.get(refused.status_code, "invalid_request_error")
    response = refuse(refused.status_code, kind, refused.code, refused.message, refused.param)
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response


def in_json(status_code: int, body: object) -> Response:
    return Response(_encoder.encode(body), status_code, media_type="application/json")
