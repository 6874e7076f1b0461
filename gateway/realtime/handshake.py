"""The handshake: what somebody wants who opens a WebSocket on a Realtime path, and whether it is had at all.

Reads the address, headers and subprotocols (Realtime reference, sections A.1, A.3 and A.4); says by raising who may
not come in. How a refusal is told, `refusals.py` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Scope as Asgi

from gateway.credentials.credential import Credential, Scope
from gateway.credentials.door import Door
from gateway.credentials.shown import header_values
from gateway.errors import ConfigRefused
from pipeline.dialects import Dialect

SESSION_PATHS = ("/v1/realtime", "/openai/realtime", "/openai/v1/realtime")
"""OpenAI's, and the two that its clients use with Azure."""

INWORLD_PATH = "/api/v1/realtime/session"
SUBPROTOCOL = "realtime"
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
BETA_HEADER = "realtime=v1"
MOST_MODEL_CHARS = 256
_MOST_QUERY_FIELDS = 100

BETA_IS_OFF = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for, by somebody who may have it."""

    dialect: Dialect
    credential: Credential
    model: str | None = None
    is_transcription: bool = False
    call_id: str | None = None
    """The session to join; None: a new one."""
    is_agents: bool = False
    """The agent's own, as a phone call's is: it greets, and its tools are run here."""


def is_inworlds(scope: Asgi) -> bool:
    """Whether the path is one of Inworld's, whose clients expect HTTP statuses."""
    return str(scope["path"]).startswith("/api/")


def subprotocol_of(scope: Asgi) -> str | None:
    """What we answer; browsers fail the handshake if what they offered is not answered."""
    return SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None


def query_of(scope: Asgi) -> dict[str, str]:
    """The parameters of the address; of one given twice, the first. Those we do not know are nobody's fault."""
    try:
        fields = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_QUERY_FIELDS)
    except ValueError:
        return {}
    return dict(reversed(fields))


def spoken_dialect(scope: Asgi, query: Mapping[str, str], credential: Credential | None = None) -> Dialect:
    """Realtime reference, section A.4, in its order."""
    beta_headers = header_values(scope["headers"], b"openai-beta")
    asks_for_beta = any(BETA_HEADER in value.replace(" ", "") for value in beta_headers)
    has_beta_secret = credential is not None and credential.dialect is Dialect.BETA
    if asks_for_beta or has_beta_secret or BETA_SUBPROTOCOL in scope.get("subprotocols", ()):
        return Dialect.BETA
    if not is_inworlds(scope):
        return Dialect.GA
    return Dialect.IW if query.get("protocol") == "realtime" else Dialect.SEED


def admitted(scope: Asgi, door: Door, *, serves_beta: bool) -> Wanted:
    """Who comes in, and for what. Raises `CredentialRefused` or `ConfigRefused`."""
    query = query_of(scope)
    call_id = query.get("call_id")
    client = scope.get("client")
    credential = door.admit(
        scope["headers"],
        scope["query_string"].decode("latin-1"),
        scope["subprotocols"],
        address=client[0] if client else "",
        starts_session=call_id is None,
    )
    dialect = spoken_dialect(scope, query, credential)
    if dialect is Dialect.BETA and not serves_beta:
        raise ConfigRefused("beta_api_shape_disabled", BETA_IS_OFF)
    if call_id is not None:
        return Wanted(dialect=dialect, credential=credential, call_id=call_id)
    credential.demand(Scope.REALTIME)
    is_transcription = _is_transcription(query) or credential.is_transcription
    return Wanted(
        dialect=dialect,
        credential=credential,
        model=query.get("model"),
        is_transcription=is_transcription,
        is_agents=query.get("agent") == "1" and not is_transcription,
    )


def signalled(scope: Asgi, credential: Credential, *, is_json: bool, session: object, serves_beta: bool) -> Wanted:
    """What is wanted by an offer that came over HTTP, from somebody who may come in. Raises `ConfigRefused`.

    (Realtime reference, section A.4: the seed's endpoint, then Inworld's JSON, then OpenAI's.)
    """
    query = query_of(scope)
    dialect = spoken_dialect(scope, query, credential)
    if dialect is Dialect.GA:
        dialect = Dialect.SEED if scope["path"].endswith("/webrtc") else Dialect.IW if is_json else Dialect.GA
    if dialect is Dialect.BETA and not serves_beta:
        raise ConfigRefused("beta_api_shape_disabled", BETA_IS_OFF)
    is_transcription = _is_transcription(query) or credential.is_transcription
    if isinstance(session, dict) and session.get("type") == "transcription":
        is_transcription = True
    return Wanted(
        dialect=dialect,
        credential=credential,
        model=query.get("model"),
        is_transcription=is_transcription,
        is_agents=query.get("agent") == "1" and not is_transcription,
    )


def _is_transcription(query: Mapping[str, str]) -> bool:
    intent, model = query.get("intent"), query.get("model")
    if intent not in (None, "transcription"):
        raise ConfigRefused(
            "invalid_intent", f"Invalid intent: '{intent[:64]}'. Supported values are: 'transcription'.", "intent"
        )
    if intent is not None and model is not None:
        words = "You must not provide a model parameter for transcription sessions."
        raise ConfigRefused("invalid_model", words, "model")
    if model is not None and not 0 < len(model) <= MOST_MODEL_CHARS:
        words = f"Invalid model: expected a name of at most {MOST_MODEL_CHARS} characters."
        raise ConfigRefused("invalid_model", words, "model")
    return intent is not None
