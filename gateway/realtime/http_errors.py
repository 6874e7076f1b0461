"""Refusals over HTTP, as one body that both families of clients can read.

    {"code": 401, "message": "…", "error": {"message": "…", "type": "…", "param": null, "code": "invalid_api_key"}}

OpenAI's clients read `error`, Inworld's `code` and `message` (Realtime reference, section H.1).
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from gateway.errors import ConfigRefused, CredentialRefused, JsonRefused, Refusal

_TYPES = {401: "invalid_request_error", 403: "permission_error", 429: "rate_limit_error"}


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """As OpenAI has it."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """As Inworld has it, with OpenAI's inside."""

    code: int
    """The HTTP status."""
    message: str
    error: ErrorDetail


def error_response(status_code: int, code: str, message: str, param: str | None = None) -> Response:
    """A refusal; what type of error it is follows from its status."""
    usual = "server_error" if status_code >= 500 else "invalid_request_error"
    detail = ErrorDetail(message=message, type=_TYPES.get(status_code, usual), param=param, code=code)
    body = ErrorBody(code=status_code, message=message, error=detail)
    return Response(msgspec.json.encode(body), status_code, media_type="application/json")


def response_to(refused: Refusal | ConfigRefused) -> Response:
    """The answer to what was refused."""
    match refused:
        case ConfigRefused():
            return error_response(400, refused.code, str(refused), refused.param)
        case JsonRefused():
            return error_response(refused.status_code, refused.reason, str(refused), refused.param)
        case CredentialRefused():
            response = error_response(refused.status_code, refused.code, str(refused))
            if refused.status_code == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            if refused.retry_after_s is not None:
                response.headers["Retry-After"] = str(refused.retry_after_s)
            return response
        case _:
            return error_response(refused.status_code, refused.reason, str(refused))
