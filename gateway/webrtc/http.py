"""The signalling endpoints of WebRTC: an offer comes by HTTP, and is answered.

    POST /v1/realtime/calls[?model=]         an offer as SDP, multipart or JSON
    POST /v1/realtime[?model=]               the same, as the beta had it
    POST /v1/realtime/webrtc                 {"sdp", "sessionConfig"} → {"sdp", "sessionId"}

(Realtime reference, sections A.2 and E.1.) Who asks is looked at before what they ask. How offers are read and
answered, others know.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.credentials.credential import Credential, Scope
from gateway.credentials.origins import Origins
from gateway.errors import ConfigRefused, Refusal
from gateway.realtime.agent_session import config_for
from gateway.realtime.call_routes import OFFER_PATHS
from gateway.realtime.coming_back import taken_back
from gateway.realtime.handshake import Wanted, signalled
from gateway.realtime.kept_sessions import new_session_id
from gateway.realtime.offer_body import OfferBody, read_offer_body
from gateway.realtime.own_session import Opening
from gateway.realtime.route import route
from gateway.realtime.studio import Studio
from gateway.webrtc.calls import Answered, RtcCalls
from gateway.webrtc.offer import read_offer
from pipeline.dialects import Dialect


def routes(calls: Callable[[], RtcCalls], origins: Origins) -> list[Route]:
    """The endpoints, to be mounted at the root. `calls` are there once the application has started."""
    return [route(path, "POST", origins, partial(_call, calls)) for path in OFFER_PATHS]


async def _call(running: Callable[[], RtcCalls], request: Request) -> Response:
    calls = running()
    try:
        return await _answered(calls, request)
    except (Refusal, ConfigRefused) as refused:
        reason = refused.reason if isinstance(refused, Refusal) else refused.code
        calls.studio.metrics.realtime_refused.labels(reason).inc()
        raise


async def _answered(calls: RtcCalls, request: Request) -> Response:
    studio = calls.studio
    credential = _admitted(studio, request, starts_session=False)  # before anything is read
    body = await read_offer_body(request)
    offer = read_offer(body.sdp)
    wanted = signalled(
        request.scope,
        credential,
        is_json=body.answers_in == "json",
        session=body.session,
        serves_beta=studio.settings.realtime_beta,
    )
    async with taken_back(studio, request.query_params.get("session_id"), wanted.credential) as kept:
        config = config_for(
            wanted,
            studio.agent,
            studio.limits,
            serves_mcp=studio.serves_mcp,
            kept=kept.conversation if kept else None,
            session=body.session,
            toolbox=studio.toolbox,
        )
        opening = Opening(
            dialect=wanted.dialect,
            credential=wanted.credential,
            config=config,
            session_id=new_session_id(),
            call_id=studio.make_id("rtc"),
            plays=True,
            is_configured=body.session is not None or credential.session is not None or wanted.is_agents,
            is_agents=wanted.is_agents,
            kept=kept,
        )
        # Asked again, because reading took time; and what may be used once is used up by what can be answered only.
        redeem = partial(_admitted, studio, request, starts_session=True)
        answered = await calls.open(offer, opening, redeem)
    return _told(answered, body, wanted)


def _admitted(studio: Studio, request: Request, *, starts_session: bool) -> Credential:
    if not studio.admits():
        raise Refusal(503, "draining", "This gateway is stopping and begins no sessions. Try again.")
    address = request.client.host if request.client else ""
    credential = studio.door.admit(
        request.headers.raw, request.url.query, address=address, starts_session=starts_session
    )
    credential.demand(Scope.REALTIME)
    return credential


def _told(answered: Answered, body: OfferBody, wanted: Wanted) -> Response:
    """In the form that was asked in (Realtime reference, section A.2)."""
    location = f"{OFFER_PATHS[0]}/{answered.call_id}"
    if wanted.dialect is Dialect.SEED:
        shown = {"sdp": answered.sdp, "sessionId": answered.session_id}
        return Response(msgspec.json.encode(shown), 200, {"Location": location}, "application/json")
    if body.answers_in == "json":
        told = {"id": answered.call_id, "sdp": answered.sdp, "ice_servers": []}
        return Response(msgspec.json.encode(told), 201, {"Location": location}, "application/json")
    return Response(answered.sdp, 201, {"Location": location}, "application/sdp")
