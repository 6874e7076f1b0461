from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from gateway.credentials.credential import Credential, Kind, Scope
from gateway.credentials.door import Door
from gateway.errors import ConfigRefused, CredentialRefused
from gateway.realtime.handshake import (
    INWORLD_PATH,
    MOST_MODEL_CHARS,
    admitted,
    is_inworlds,
    query_of,
    spoken_dialect,
    subprotocol_of,
)
from pipeline.dialects import Dialect
from tests.gateway.signed import CONTROL_TOKEN, SETTINGS

BETA = [(b"openai-beta", b"realtime=v1")]


def asked(
    path: str = "/v1/realtime",
    query: str = "",
    *,
    headers: list[tuple[bytes, bytes]] | None = None,
    subprotocols: tuple[str, ...] = (),
) -> dict[str, Any]:
    """An ASGI scope."""
    shown = [(b"authorization", b"Bearer " + CONTROL_TOKEN.encode())]
    return {
        "type": "websocket",
        "path": path,
        "query_string": query.encode(),
        "headers": shown + (headers or []),
        "subprotocols": list(subprotocols),
        "client": ("127.0.0.1", 50_000),
    }


def door() -> Door:
    return Door(replace(SETTINGS, insecure_dev=False), now=time.time)


def secret(**fields: Any) -> Credential:
    return Credential(owner="acme", scopes=frozenset({Scope.REALTIME}), kind=Kind.CLIENT_SECRET, **fields)


@pytest.mark.parametrize(
    ("scope", "credential", "dialect"),
    [
        (asked(), None, Dialect.GA),
        (asked(query="protocol=realtime"), None, Dialect.GA),
        (asked(headers=BETA), None, Dialect.BETA),
        (asked(headers=[(b"OpenAI-Beta", b"assistants=v2, realtime = v1")]), None, Dialect.BETA),
        (asked(headers=[(b"openai-beta", b"assistants=v2")]), None, Dialect.GA),
        (asked(subprotocols=("realtime", "openai-beta.realtime-v1")), None, Dialect.BETA),
        (asked(), secret(dialect=Dialect.BETA), Dialect.BETA),
        (asked(), secret(dialect=Dialect.GA), Dialect.GA),
        (asked(INWORLD_PATH, headers=BETA), None, Dialect.BETA),
        (asked(INWORLD_PATH, "key=voice-1&protocol=realtime"), None, Dialect.IW),
        (asked(INWORLD_PATH, "protocol=realtime"), secret(dialect=Dialect.GA), Dialect.IW),
        (asked(INWORLD_PATH, "key=voice-1"), None, Dialect.SEED),
        (asked(INWORLD_PATH, "protocol=other"), None, Dialect.SEED),
    ],
)
def test_which_dialect_is_spoken(scope: dict[str, Any], credential: Credential | None, dialect: Dialect) -> None:
    assert spoken_dialect(scope, query_of(scope), credential) is dialect


def test_of_a_parameter_given_twice_the_first_counts() -> None:
    assert query_of(asked(query="model=a&model=b&voice=&temperature=0.8")) == {"model": "a", "temperature": "0.8"}


def test_an_address_with_far_too_many_parameters_says_nothing() -> None:
    assert query_of(asked(query="&".join(f"a{number}=1" for number in range(200)))) == {}


def test_the_subprotocol_is_answered_if_it_was_offered() -> None:
    assert subprotocol_of(asked(subprotocols=("openai-insecure-api-key.k", "realtime"))) == "realtime"
    assert subprotocol_of(asked(subprotocols=("other",))) is None
    assert subprotocol_of(asked()) is None


def test_inworlds_paths_are_told_apart() -> None:
    assert is_inworlds(asked(INWORLD_PATH))
    assert not is_inworlds(asked())


def test_what_is_wanted_is_read_from_the_address() -> None:
    wanted = admitted(asked(query="model=gpt-x&voice=a"), door(), serves_beta=True)
    assert (wanted.model, wanted.is_transcription, wanted.call_id) == ("gpt-x", False, None)
    assert wanted.credential.owner == "operator"
    assert admitted(asked(query="intent=transcription"), door(), serves_beta=True).is_transcription
    joins = admitted(asked(query="call_id=CA1&intent=odd"), door(), serves_beta=True)
    assert joins.call_id == "CA1"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("intent=transcription&model=m", "invalid_model"),
        ("intent=other", "invalid_intent"),
        (f"model={'m' * (MOST_MODEL_CHARS + 1)}", "invalid_model"),
    ],
)
def test_what_is_wrong_in_the_address_is_refused_by_name(query: str, code: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        admitted(asked(query=query), door(), serves_beta=True)
    assert refused.value.code == code


@pytest.mark.parametrize("chars", [1, MOST_MODEL_CHARS])
def test_a_models_name_may_be_so_long(chars: int) -> None:
    assert admitted(asked(query=f"model={'m' * chars}"), door(), serves_beta=True).model == "m" * chars


def test_the_beta_can_be_switched_off() -> None:
    assert admitted(asked(headers=BETA), door(), serves_beta=True).dialect is Dialect.BETA
    with pytest.raises(ConfigRefused, match="no longer supported") as refused:
        admitted(asked(headers=BETA), door(), serves_beta=False)
    assert refused.value.code == "beta_api_shape_disabled"


def test_who_is_not_known_is_refused() -> None:
    stranger = asked() | {"headers": [(b"authorization", b"Bearer wrong")], "client": None}
    with pytest.raises(CredentialRefused) as refused:
        admitted(stranger, door(), serves_beta=True)
    assert refused.value.status_code == 401


def test_joining_uses_up_no_secret_and_beginning_does() -> None:
    entrance = door()
    value, _ = entrance.client_secrets.mint(
        "acme", frozenset({Scope.REALTIME}), life_s=60, session=None, dialect=Dialect.GA, max_uses=1
    )
    shown = {"headers": [(b"authorization", f"Bearer {value}".encode())]}
    for _ in range(2):
        assert admitted(asked(query="call_id=x") | shown, entrance, serves_beta=True).call_id == "x"
    assert admitted(asked() | shown, entrance, serves_beta=True).credential.kind is Kind.CLIENT_SECRET
    with pytest.raises(CredentialRefused):
        admitted(asked() | shown, entrance, serves_beta=True)
