"""For those who run the gateway: is it there, does it take calls, what has it counted.

    GET  /healthz     200 while the process answers
    GET  /readyz      503 while it drains, or is full and two other workers are not
    GET  /metrics     on this machine only, or on a port of its own
    POST /v1/drain    take no new calls from now on; for those with the scope `control`

Draining by request does not end the process: that is the signal's business, which then waits only for what is left
of the time calls have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.front_desk import FrontDesk
from gateway.metrics import Metrics
from gateway.realtime.directory import Directory


@dataclass(slots=True)
class Doors:
    """Whether calls are let in: closed for good when the gateway begins to stop."""

    closed_at_s: float | None = None
    """None: they are open. Seconds of the desk's clock."""
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all calls are gone: nobody is kept any more by who only watches."""

    @property
    def are_open(self) -> bool:
        return self.closed_at_s is None

    def close(self, desk: FrontDesk) -> None:
        """Take no new calls and sessions; those there are go on."""
        if self.closed_at_s is None:
            self.closed_at_s = desk.now()
            desk.metrics.draining.set(1)


def routes(
    desk: FrontDesk, doors: Doors, directory: Directory, refuse: Callable[[Request], Response | None]
) -> list[Route]:
    """To be mounted at the root. `refuse`: what to answer to somebody who may not have it drain."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def live_here() -> dict[str, int]:
        return {"calls": desk.store.here, "sessions": directory.seated}

    async def drain(request: Request) -> Response:
        if (refusal := refuse(request)) is not None:
            return refusal
        doors.close(desk)
        return JSONResponse({"status": "draining", **live_here()}, 202)

    async def readyz(_request: Request) -> Response:
        live = live_here()
        if not doors.are_open:
            return JSONResponse({"status": "draining", **live}, 503)
        # While all are full the answer is 200: a balancer with nobody to ask would answer callers with an error.
        if desk.gate.steers_away():
            return JSONResponse({"status": "full", **live}, 503)
        return JSONResponse({"status": "ready" if desk.gate.judge().is_admitted else "full", **live})

    async def metrics(request: Request) -> Response:
        # With no port of their own, the metrics are for this machine alone: a proxy in front adds the header.
        peer = request.client.host if request.client else ""
        if desk.settings.metrics_port or peer not in ("127.0.0.1", "::1") or "x-forwarded-for" in request.headers:
            return PlainTextResponse("Set SWITCHBOARD_METRICS_PORT and ask there.\n", 404)
        return metrics_page(desk.metrics)

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/v1/drain", drain, methods=["POST"]),
    ]


def metrics_app(metrics: Metrics) -> Starlette:
    """What listens on the metrics' own port."""

    async def answer(_request: Request) -> Response:
        return metrics_page(metrics)

    return Starlette(routes=[Route("/metrics", answer, methods=["GET"])])


def metrics_page(metrics: Metrics) -> Response:
    body, content_type = metrics.render()
    return Response(body, media_type=content_type)
