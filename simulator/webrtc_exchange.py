"""How published clients exchange offer and answer with a Realtime server: who posts what where, and reads what.

A `Shape` is one kind of client, `HABITS` what it does. Knows HTTP and no WebRTC: SDP goes through as text.

Sources: the OpenAI Realtime guide "Connect with WebRTC"; the Inworld Realtime API's `/v1/realtime/calls`,
`/v1/realtime/webrtc` and `/v1/realtime/ice-servers`; Realtime reference, sections A.2, E.1, F.3, F.7 and G.5.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from simulator.errors import SimulatorError

EXCHANGE_LIMIT_S: Final = 30
"""For one request. A server gathers in under a second."""
CALLS_PATH: Final = "/v1/realtime/calls"
ICE_SERVERS_PATH: Final = "/v1/realtime/ice-servers"
AGENTS_SDK: Final = "openai-agents-sdk.0.20.0"


class OfferRefused(SimulatorError):
    """The server answered a request with something that is no answer."""

    def __init__(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"the server answered {status}: {body[:300]}")
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def json(self) -> Any:
        """The body, when it is JSON, as errors are (Realtime reference, section H.1)."""
        return json.loads(self.body)


class Shape(enum.StrEnum):
    """Whose way of posting an offer."""

    OPENAI_SDP = "openai-sdp"
    OPENAI_MULTIPART = "openai-multipart"
    AGENTS_JS = "agents-js"
    INWORLD_JSON = "inworld-json"
    VISION_AGENTS = "vision-agents"
    SEED = "seed"


class Body(enum.Enum):
    """What an offer is posted as."""

    SDP = enum.auto()
    MULTIPART = enum.auto()
    JSON = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What one kind of client does."""

    path: str = CALLS_PATH
    body: Body
    accept: str
    session_key: str | None
    """Where the session's configuration goes in the request; None if it goes by `session.update`."""
    session_id_key: str | None = None
    """Where a JSON answer tells the session's id."""
    waits_for_candidates: bool = True
    """False for those that post before they have gathered: their offers hold no candidates."""
    asks_for_ice_servers: bool = False
    updates_within_s: float | None = None
    """Always sends a `session.update` when the channel opens, and gives up on `session.updated` after this."""
    headers: Mapping[str, str] = field(default_factory=dict)


HABITS: Final[Mapping[Shape, Habit]] = {
    Shape.OPENAI_SDP: Habit(body=Body.SDP, accept="application/sdp", session_key=None),
    Shape.OPENAI_MULTIPART: Habit(body=Body.MULTIPART, accept="application/sdp", session_key="session"),
    Shape.AGENTS_JS: Habit(
        body=Body.SDP,
        accept="*/*",
        session_key=None,
        waits_for_candidates=False,
        updates_within_s=5.0,
        headers={"X-OpenAI-Agents-SDK": AGENTS_SDK},
    ),
    Shape.INWORLD_JSON: Habit(
        body=Body.JSON, accept="application/json", session_key="session", asks_for_ice_servers=True
    ),
    Shape.VISION_AGENTS: Habit(
        body=Body.JSON,
        accept="application/json",
        session_key="session",
        waits_for_candidates=False,
        asks_for_ice_servers=True,
        updates_within_s=10.0,
    ),
    Shape.SEED: Habit(
        path="/v1/realtime/webrtc",
        body=Body.JSON,
        accept="application/json",
        session_key="sessionConfig",
        session_id_key="sessionId",
    ),
}


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server of `/v1/realtime/ice-servers`."""

    urls: tuple[str, ...]
    username: str | None
    credential: str | None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A 2xx answer to an offer."""

    status: int
    headers: Mapping[str, str]
    answer_sdp: str
    call_id: str | None
    """The end of `Location`, or `id` of a JSON answer."""
    session_id: str | None


class Exchange:
    """One client's requests to one server. `http` is closed by its owner."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        root_url: str,
        key: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`root_url` is the server's, without a path. `headers` go with each request and win over the usual."""
        self._http = http
        self._root_url = root_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        self._headers |= headers or {}

    async def ice_servers(self) -> list[IceServer]:
        """What the server tells of itself. Raises `OfferRefused` if it is not 2xx."""
        _, _, body = await self._ask("GET", ICE_SERVERS_PATH, {"Accept": "application/json"}, None)
        told = json.loads(body)
        servers = told.get("ice_servers") or told.get("iceServers") or []
        return [_ice_server(server) for server in servers]

    async def offer(
        self,
        sdp: str,
        shape: Shape,
        session: Mapping[str, Any] | None = None,
        model: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Exchanged:
        """Post an offer in a client's shape, with more in its address if there is a `query`.

        Raises `OfferRefused` if the answer is not 2xx, or holds no SDP.
        """
        habit = HABITS[shape]
        path, data = habit.path, _body(habit, sdp, _session(habit, session, model))
        asked = dict(query or {})
        if model is not None and habit.session_key is None:
            asked["model"] = model
        if asked:
            path += "?" + urlencode(asked)
        headers = {"Accept": habit.accept, **habit.headers}
        if habit.body is not Body.MULTIPART:  # its own carries the boundary
            headers["Content-Type"] = "application/sdp" if habit.body is Body.SDP else "application/json"
        status, answered, body = await self._ask("POST", path, headers, data)
        call_id = answered["Location"].rsplit("/", 1)[-1] if "Location" in answered else None
        if habit.body is not Body.JSON:
            return Exchanged(status, answered, body, call_id, None)
        told = json.loads(body)
        if not isinstance(told.get("sdp"), str):
            raise OfferRefused(status, body, answered)
        session_id = told.get(habit.session_id_key) if habit.session_id_key else None
        return Exchanged(status, answered, told["sdp"], told.get("id", call_id), session_id)

    async def hang_up(self, call_id: str) -> None:
        """`POST /v1/realtime/calls/{call_id}/hangup`. Raises `OfferRefused` if it is not 2xx."""
        await self._ask("POST", f"{CALLS_PATH}/{call_id}/hangup", {"Accept": "*/*"}, None)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], data: str | aiohttp.FormData | None
    ) -> tuple[int, Mapping[str, str], str]:
        async with self._http.request(
            method,
            self._root_url + path,
            headers={**headers, **self._headers},
            data=data,
            timeout=aiohttp.ClientTimeout(total=EXCHANGE_LIMIT_S),
            allow_redirects=False,
        ) as response:
            body = await response.text()
        if not 200 <= response.status < 300:
            raise OfferRefused(response.status, body, response.headers)
        return response.status, response.headers, body


def _session(habit: Habit, session: Mapping[str, Any] | None, model: str | None) -> dict[str, Any] | None:
    """The configuration that goes with the offer; None if there is none, or no place for it."""
    if habit.session_key is None or (session is None and model is None):
        return None
    if session is None:  # a session in the shape of OpenAI's says what it is; the seed's `sessionConfig` does not
        session = {"type": "realtime"} if habit.session_key == "session" else {}
    return {**session, **({} if model is None else {"model": model})}


def _body(habit: Habit, sdp: str, session: dict[str, Any] | None) -> str | aiohttp.FormData:
    if habit.body is Body.SDP:
        return sdp
    if habit.body is Body.JSON:
        assert habit.session_key is not None, "a JSON body has a place for the session"
        return json.dumps({"sdp": sdp} | ({} if session is None else {habit.session_key: session}))
    # A form of one part alone is multipart too, as `FormData` and the Python client make it.
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("sdp", sdp, content_type="application/sdp")
    if session is not None:
        form.add_field("session", json.dumps(session), content_type="application/json")
    return form


def _ice_server(told: Mapping[str, Any]) -> IceServer:
    urls = told.get("urls") or told.get("url") or ()
    return IceServer(
        (urls,) if isinstance(urls, str) else tuple(urls), told.get("username"), told.get("credential")
    )
