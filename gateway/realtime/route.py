"""A route of the Realtime protocol over plain HTTP: pages of other origins may ask, and refusals are JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.credentials.origins import Origins
from gateway.errors import ConfigRefused, Refusal
from gateway.realtime.cors import preflight, shared
from gateway.realtime.http_errors import response_to


def route(path: str, method: str, origins: Origins, answer: Callable[[Request], Awaitable[Response]]) -> Route:
    """`answer` may raise `Refusal` or `ConfigRefused`. Nothing is to be kept: what is told are credentials."""

    async def act(request: Request) -> Response:
        try:
            if request.method == "OPTIONS":
                response = preflight(request, origins, [method])
            else:
                response = await answer(request)
        except (Refusal, ConfigRefused) as refusal:
            response = response_to(refusal)
        response.headers["Cache-Control"] = "no-store"
        return shared(request, origins, response)

    return Route(path, act, methods=[method, "OPTIONS"])
