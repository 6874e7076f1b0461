"""Cross-origin requests: what a browser asks before, and needs to see in the answer.

(Realtime reference, section E.1.) Answered only where the page's origin is allowed; the browser keeps every other
answer from the page.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.origins import Origins

ALLOWED_HEADERS: Final = "Authorization, Content-Type, X-OpenAI-Agents-SDK, OpenAI-Beta"
EXPOSED_HEADERS: Final = "Location, Retry-After"
MAX_AGE_S: Final = 600
"""How long a browser need not ask again; an operator's change to the list is seen soon."""


def preflight(request: Request, origins: Origins, methods: Collection[str]) -> Response:
    """The answer to `OPTIONS`. Raises `CredentialRefused` (403) for a page that may not ask."""
    origins.check(request.headers.get("origin"))
    response = Response(status_code=204, headers={"Allow": ", ".join((*methods, "OPTIONS"))})
    if "origin" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
    return response


def shared(request: Request, origins: Origins, response: Response) -> Response:
    """The same response, readable by the page that asked if its origin is allowed."""
    origin = request.headers.get("origin")
    response.headers["Vary"] = "Origin"
    if origin is not None and origins.allow(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response
