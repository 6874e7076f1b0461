"""How somebody is turned away at a Realtime WebSocket: by HTTP, or by an `error` event and a close code.

On OpenAI's paths clients expect the second, on Inworld's the first (Realtime reference, section A.5). Two things
are told by HTTP everywhere: that one may not (403, as OpenAI does), and that we are stopping (503), so that a
balancer or a retry finds another gateway.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from gateway.errors import ConfigRefused, CredentialRefused, Refusal
from gateway.realtime.handshake import is_inworlds, subprotocol_of
from gateway.realtime.http_errors import response_to
from pipeline.dialects import Dialect
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.wire import Wire

DENIAL = "websocket.http.response"
"""The ASGI extension to answer a handshake with an HTTP response of one's own."""

BY_HTTP = (403, 503)
BAD_CREDENTIAL = 3000
BAD_REQUEST = 4000
TRY_AGAIN_LATER = 1013
_REASON_BYTES = 123
"""Of a close frame (RFC 6455, section 5.5)."""


async def turn_away(
    refused: Refusal | ConfigRefused,
    dialect: Dialect,
    scope: Scope,
    receive: Receive,
    send: Send,
    make_id: Callable[[str], str],
) -> None:
    """Answer the handshake, and be done with the connection."""
    status = refused.status_code if isinstance(refused, Refusal) else 400
    if is_inworlds(scope) or status in BY_HTTP:
        if DENIAL in scope.get("extensions", {}):
            await response_to(refused)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})  # before accept: HTTP 403
        return
    kind, code, param, close_code = told_as(refused)
    detail = ErrorDetail(type=kind, message=str(refused), code=code, param=param)
    text = Wire(dialect, opened_at_s=0.0).encode(ErrorEvent(event_id=make_id("event"), error=detail))
    assert text is not None, "every dialect has errors"
    await send({"type": "websocket.accept", "subprotocol": subprotocol_of(scope)})
    await send({"type": "websocket.send", "text": text.decode()})
    await send({"type": "websocket.close", "code": close_code, "reason": f"{kind}.{code}"[:_REASON_BYTES]})


def told_as(refused: Refusal | ConfigRefused) -> tuple[str, str, str | None, int]:
    """Type, code and param of the `error`, and the code of the close frame behind it."""
    match refused:
        case ConfigRefused():
            return "invalid_request_error", refused.code, refused.param, BAD_REQUEST
        case CredentialRefused():
            return "invalid_request_error", refused.code, None, BAD_CREDENTIAL
        case Refusal(status_code=429):
            return "rate_limit_error", refused.reason, None, TRY_AGAIN_LATER
        case _:
            return "invalid_request_error", refused.reason, None, BAD_REQUEST
