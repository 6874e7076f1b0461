"""What can be done to a Realtime session from outside it, and what is said where WebRTC is not served.

    POST /v1/realtime/calls/{id}/hangup      ends the session, by its id or its peer connection's

(Realtime reference, section A.2.) `accept`, `refer` and `reject` are of SIP, which is not spoken here.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.credentials.door import Door
from gateway.errors import Refusal
from gateway.realtime.directory import Directory
from gateway.realtime.route import route

OFFER_PATHS = ("/v1/realtime/calls", "/v1/realtime", "/v1/realtime/webrtc")
"""Where offers of WebRTC are posted: OpenAI's, its beta's, and the seed document's."""


def hang_up_route(door: Door, directory: Directory) -> Route:
    """Ends a session that its owner, or who may steer calls, names."""

    async def hang_up(request: Request) -> Response:
        address = request.client.host if request.client else ""
        credential = door.admit(request.headers.raw, request.url.query, address=address, starts_session=False)
        directory.hang_up(request.path_params["call_id"], credential)
        return Response()

    return route("/v1/realtime/calls/{call_id}/hangup", "POST", door.origins, hang_up)


def absent_routes(door: Door, why: str) -> list[Route]:
    """The endpoints of WebRTC where it is not served: each answers 501 and says why."""

    async def refuse(_request: Request) -> Response:
        raise Refusal(501, "webrtc_not_served", why)

    return [route(path, "POST", door.origins, refuse) for path in OFFER_PATHS]
