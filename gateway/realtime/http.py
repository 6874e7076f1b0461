"""The Realtime endpoints over plain HTTP: what a client is given before it opens a session.

    POST /v1/realtime/client_secrets                 an `ek_…`, with the session object it is bound to
    POST /v1/realtime/sessions                       the same in the beta's shape; lives a minute
    POST /v1/realtime/transcription_sessions         the same for a transcription session
    POST /auth/v1/tokens/token:generate              a JWT, for who signs as IW1-HMAC-SHA256 says
    POST /v1/sessionTokens/token:generate            the same, by its older name
    POST /auth/v1/tokens                             a JWT, for who sends an API key as `Basic`
    GET  /v1/realtime/ice-servers                    STUN and TURN servers, with credentials that expire

(Realtime reference, section A.2.) Who mints what: an API key with the scope `realtime` mints all; a JWT mints
client secrets, none living longer than itself; a client secret mints nothing. What a session object may hold is
another's business (`Configure`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.credentials.access_tokens import AccessToken
from gateway.credentials.client_secrets import LEAST_LIFE_S, MOST_LIFE_S, USUAL_LIFE_S, Grant
from gateway.credentials.credential import Credential, Kind, Scope
from gateway.credentials.door import Door
from gateway.credentials.shown import Scheme, what_is_shown
from gateway.errors import ConfigRefused, CredentialRefused, JsonRefused, Refusal
from gateway.realtime.cors import preflight, shared
from gateway.realtime.http_errors import response_to
from gateway.realtime.json_body import JsonBody, read_json, refused
from gateway.realtime.turn_credentials import servers_for
from gateway.settings import Settings
from pipeline.dialects import Dialect

Configure: TypeAlias = Callable[[object, Dialect, bool], dict[str, Any]]
"""The raw session object (None: all defaults), its dialect and whether it transcribes only, to the full echo.

Raises `ConfigRefused`.
"""

BETA_LIFE_S: Final = 60
"""Of a secret from `/v1/realtime/sessions`, as the beta had it."""

MOST_USES: Final = 1000
USUAL_TOKEN_TTL: Final = "300s"

_TTL = re.compile(r"([0-9]{1,5})s")
_MOST_RESOURCES = 16


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every route needs."""

    door: Door
    settings: Settings
    configure: Configure


Answer: TypeAlias = Callable[[_Desk, Request], Awaitable[Response]]


def routes(door: Door, settings: Settings, configure: Configure) -> list[Route]:
    """The endpoints, to be mounted at the root."""
    desk = _Desk(door, settings, configure)
    return [
        _route(desk, "/v1/realtime/client_secrets", "POST", _client_secret),
        _route(desk, "/v1/realtime/sessions", "POST", _beta_session),
        _route(desk, "/v1/realtime/transcription_sessions", "POST", _beta_transcription),
        _route(desk, "/auth/v1/tokens/token:generate", "POST", _signed_token),
        _route(desk, "/v1/sessionTokens/token:generate", "POST", _signed_token),
        _route(desk, "/auth/v1/tokens", "POST", _token),
        _route(desk, "/v1/realtime/ice-servers", "GET", _ice_servers),
    ]


def _route(desk: _Desk, path: str, method: str, answer: Answer) -> Route:
    async def act(request: Request) -> Response:
        try:
            if request.method == "OPTIONS":
                response = preflight(request, desk.door.origins, [method])
            else:
                response = await answer(desk, request)
        except (Refusal, ConfigRefused) as refusal:
            response = response_to(refusal)
        # What is answered here are credentials.
        response.headers["Cache-Control"] = "no-store"
        return shared(request, desk.door.origins, response)

    return Route(path, act, methods=[method, "OPTIONS"])


async def _client_secret(desk: _Desk, request: Request) -> Response:
    minter = _minter(desk, request)
    body = await read_json(request, may_be_empty=True)
    body.refuse_unknown(("expires_after", "session", "max_uses"))
    life_s, max_uses = _life_s(body), _max_uses(body)
    session = body.fields.get("session")
    is_transcription = isinstance(session, dict) and session.get("type") == "transcription"
    echo = desk.configure(session, Dialect.GA, is_transcription)
    value, grant = _mint(
        desk, minter, body, session, Dialect.GA, life_s=life_s, is_transcription=is_transcription, max_uses=max_uses
    )
    return _json({"value": value, "expires_at": grant.expires_at_s, "session": echo})


async def _beta_session(desk: _Desk, request: Request) -> Response:
    return await _beta(desk, request, is_transcription=False)


async def _beta_transcription(desk: _Desk, request: Request) -> Response:
    return await _beta(desk, request, is_transcription=True)


async def _beta(desk: _Desk, request: Request, *, is_transcription: bool) -> Response:
    minter = _minter(desk, request)
    if not desk.settings.realtime_beta:
        words = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
        raise JsonRefused(400, "beta_api_shape_disabled", words)
    body = await read_json(request, may_be_empty=True)
    echo = desk.configure(body.fields, Dialect.BETA, is_transcription)
    value, grant = _mint(
        desk, minter, body, body.fields, Dialect.BETA, life_s=BETA_LIFE_S, is_transcription=is_transcription
    )
    return _json({**echo, "client_secret": {"value": value, "expires_at": grant.expires_at_s}})


async def _signed_token(desk: _Desk, request: Request) -> Response:
    signer = desk.door.admit_signer(request.headers.raw, address=_address(request))
    signer.demand(Scope.REALTIME)
    body = await read_json(request, may_be_empty=True)
    if (key := body.text("key", signer.owner)) != signer.owner and signer.kind is not Kind.DEV:
        raise refused("key", key, "the ApiKey that signed")
    _check_resources(body)
    session_id = f"session-{desk.door.draw_id()}"
    text, token = desk.door.access_tokens.mint(
        signer.owner, {Scope.REALTIME}, life_s=desk.settings.jwt_max_s, session_id=session_id
    )
    expiry = _moment(token.expires_at_s)
    return _json({"token": text, "type": "Bearer", "expirationTime": expiry, "sessionId": session_id})


async def _token(desk: _Desk, request: Request) -> Response:
    minter = _basic_minter(desk, request)
    body = await read_json(request, may_be_empty=True)
    # Inworld's clients write either spelling, as JSON of protocol buffers may.
    fields = {_snake(name): value for name, value in body.fields.items()}
    body = JsonBody(fields, body.size_bytes)
    body.refuse_unknown(("single_use", "ttl", "client_reference_id"))
    is_single_use, reference = body.flag("single_use"), body.text("client_reference_id")
    text, token = desk.door.access_tokens.mint(
        minter.owner, {Scope.REALTIME}, life_s=_ttl_s(desk, body), is_single_use=is_single_use
    )
    return _json(_described(text, token, minter, reference))


async def _ice_servers(desk: _Desk, request: Request) -> Response:
    owner, settings = _admitted(desk, request).owner, desk.settings
    servers = servers_for(
        owner,
        settings.realtime_ice_servers,
        secret=settings.turn_secret,
        ttl_s=settings.turn_ttl_s,
        now_unix_s=desk.door.now(),
    )
    return _json({"ice_servers": servers})


def _admitted(desk: _Desk, request: Request) -> Credential:
    credential = desk.door.admit(
        request.headers.raw, request.url.query, address=_address(request), starts_session=False
    )
    credential.demand(Scope.REALTIME)
    return credential


def _minter(desk: _Desk, request: Request) -> Credential:
    """Who may mint client secrets."""
    credential = _admitted(desk, request)
    if credential.kind is Kind.CLIENT_SECRET:
        raise CredentialRefused(403, "client_secret_cannot_mint", "A client secret cannot mint another. Use a key.")
    if credential.is_single_use:
        raise CredentialRefused(
            403, "single_use_cannot_mint", "A single-use token opens one session and mints none."
        )
    return credential


def _basic_minter(desk: _Desk, request: Request) -> Credential:
    """Who may mint JWTs: an API key, shown as Basic."""
    credential = _admitted(desk, request)
    shown = what_is_shown(request.headers.raw)
    is_basic = shown is not None and shown.scheme is Scheme.BASIC
    if not is_basic and (credential.kind is not Kind.DEV or shown is not None):
        raise CredentialRefused(401, "not_basic", "This endpoint expects `Authorization: Basic` with an API key.")
    return credential


def _mint(
    desk: _Desk,
    minter: Credential,
    body: JsonBody,
    session: object,
    dialect: Dialect,
    *,
    life_s: int,
    is_transcription: bool,
    max_uses: int | None = None,
) -> tuple[str, Grant]:
    """A client secret; one of a token's dies with the token."""
    if minter.expires_at_s is not None:
        life_s = min(life_s, minter.expires_at_s - int(desk.door.now()))
        if life_s < LEAST_LIFE_S:
            words = (
                f"The token expires within {LEAST_LIFE_S} s, the least a client secret lives. Ask for a new one."
            )
            raise CredentialRefused(403, "expires_too_soon", words)
    return desk.door.client_secrets.mint(
        minter.owner,
        frozenset({Scope.REALTIME}),
        life_s=life_s,
        session=session,
        session_bytes=body.size_bytes,
        dialect=dialect,
        is_transcription=is_transcription,
        max_uses=max_uses,
    )


def _life_s(body: JsonBody) -> int:
    """`expires_after`: {"anchor": "created_at", "seconds": 10 to 7200}."""
    after = body.fields.get("expires_after")
    if after is None:
        return USUAL_LIFE_S
    if not isinstance(after, dict):
        raise refused("expires_after", after, "an object")
    if (anchor := after.get("anchor", "created_at")) != "created_at":
        raise refused("expires_after.anchor", anchor, "'created_at'")
    if unknown := sorted(after.keys() - {"anchor", "seconds"}):
        param = f"expires_after.{unknown[0]}"
        raise JsonRefused(400, "unknown_parameter", f"Unknown parameter: '{param}'.", param)
    return _whole(after.get("seconds", USUAL_LIFE_S), "expires_after.seconds", LEAST_LIFE_S, MOST_LIFE_S)


def _max_uses(body: JsonBody) -> int | None:
    """Ours, not the protocol's: how many sessions a secret may begin; 1 makes it single-use."""
    value = body.fields.get("max_uses")
    return None if value is None else _whole(value, "max_uses", 1, MOST_USES)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise refused(name, value, f"a whole number from {least} to {most}")
    return value


def _ttl_s(desk: _Desk, body: JsonBody) -> int:
    most_s = desk.settings.jwt_max_s
    ttl = (
        body.text("ttl", USUAL_TOKEN_TTL) if most_s >= int(USUAL_TOKEN_TTL[:-1]) else body.text("ttl", f"{most_s}s")
    )
    found = _TTL.fullmatch(ttl)
    if not found or not LEAST_LIFE_S <= int(found[1]) <= most_s:
        raise refused("ttl", ttl, f"seconds from {LEAST_LIFE_S}s to {most_s}s, such as {USUAL_TOKEN_TTL}")
    return int(found[1])


def _check_resources(body: JsonBody) -> None:
    """Inworld's workspaces, which a client names to narrow its token. We have one for all; they change nothing."""
    resources = body.fields.get("resources", [])
    are_texts = isinstance(resources, list) and all(isinstance(one, str) for one in resources)
    if not are_texts or len(resources) > _MOST_RESOURCES:
        raise refused("resources", resources, f"at most {_MOST_RESOURCES} names such as 'workspaces/default'")


def _described(text: str, token: AccessToken, minter: Credential, reference: str) -> dict[str, Any]:
    return {
        "name": f"tokens/{token.token_id}",
        "accessToken": text,
        "createTime": _moment(token.issued_at_s),
        "expireTime": _moment(token.expires_at_s),
        "singleUse": token.is_single_use,
        "clientReferenceId": reference,
        "apiKey": minter.owner,
    }


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: "_" + found[1].lower(), name)


def _moment(at_s: int) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
