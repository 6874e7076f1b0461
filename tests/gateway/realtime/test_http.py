from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.credentials.credential import Kind, Scope
from gateway.credentials.door import DEV, Door
from gateway.credentials.keyring import base64_of
from gateway.credentials.throttle import CLIENTS_BEHIND_A_PROXY, MOST_FAILURES
from gateway.realtime import http
from gateway.realtime.ice_servers import read_ice_servers
from gateway.realtime.json_body import LONGEST_BODY_BYTES
from gateway.realtime.turn_credentials import credential_of
from gateway.settings import Settings
from pipeline.dialects import Dialect
from tests.gateway.credentials.support import (
    NOW_S,
    SETTINGS,
    Clock,
    bearer,
    configure,
    door_with_keys,
    iw1_header,
    key_text,
)

SECRETS = "/v1/realtime/client_secrets"
SESSIONS = "/v1/realtime/sessions"
TRANSCRIPTIONS = "/v1/realtime/transcription_sessions"
TOKENS = "/auth/v1/tokens"
GENERATE = ("/auth/v1/tokens/token:generate", "/v1/sessionTokens/token:generate")
ICE = "/v1/realtime/ice-servers"
ALL = (SECRETS, SESSIONS, TRANSCRIPTIONS, TOKENS, *GENERATE, ICE)

WEB = {"Authorization": f"Bearer {key_text('web')}"}
BASIC = {"Authorization": f"Basic {base64_of(key_text('web'))}"}
SIGNED = {"Authorization": f"IW1-HMAC-SHA256 {iw1_header()}"}
PAGE = {"Origin": "https://app.example"}


class House:
    """The endpoints behind one door, on a clock the test sets."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.clock = Clock()
        self.settings: Settings = replace(SETTINGS, **changes)
        self.door = door_with_keys(directory, self.clock, **changes)
        self.client = TestClient(Starlette(routes=http.routes(self.door, self.settings, configure)))

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> httpx2.Response:
        raw = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self.client.post(path, content=raw, headers={"Content-Type": "application/json", **(headers or WEB)})


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def error(response: httpx2.Response) -> dict[str, Any]:
    """What OpenAI's clients read, once it is found to say the same as what Inworld's read."""
    body = response.json()
    assert list(body) == ["code", "message", "error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["code"], body["message"]) == (response.status_code, body["error"]["message"])
    return dict(body["error"])


def moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


# Client secrets


def test_a_client_secret_comes_with_its_session_echoed_in_full(house: House) -> None:
    response = house.post(SECRETS, {"session": {"type": "realtime", "model": "m"}})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert list(body) == ["value", "expires_at", "session"]
    assert body["session"] == {
        "type": "realtime",
        "object": "realtime.realtime_session",
        "voice": "alloy",
        "model": "m",
    }
    credential = house.door.admit(bearer(body["value"]))
    assert credential.session == {"type": "realtime", "model": "m"}
    assert credential.kind is Kind.CLIENT_SECRET


def test_without_a_body_a_client_secret_has_the_default_session(house: House) -> None:
    for body in (None, {}, {"session": None}, {"expires_after": None, "max_uses": None}):
        answer = house.post(SECRETS, body).json()
        assert answer["session"]["type"] == "realtime"
        assert house.door.admit(bearer(answer["value"])).session is None


def test_a_transcription_session_is_known_by_its_type(house: House) -> None:
    answer = house.post(SECRETS, {"session": {"type": "transcription"}}).json()
    assert answer["session"]["object"] == "realtime.transcription_session"
    assert house.door.admit(bearer(answer["value"])).is_transcription


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"session": {"color": "red"}}, "unknown_parameter", "session.color"),
        ({"session": []}, "invalid_type", "session"),
        ({"sesion": {}}, "unknown_parameter", "sesion"),
        ({"expires_after": 60}, "invalid_value", "expires_after"),
        ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
        ({"expires_after": {"secs": 60}}, "unknown_parameter", "expires_after.secs"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(house: House, body: object, code: str, param: str) -> None:
    response = house.post(SECRETS, body)
    assert response.status_code == 400
    told = error(response)
    assert (told["type"], told["code"], told["param"]) == ("invalid_request_error", code, param)
    assert len(house.door.client_secrets) == 0


# The beta's sessions


@pytest.mark.parametrize(("path", "is_transcription"), [(SESSIONS, False), (TRANSCRIPTIONS, True)])
def test_a_beta_session_is_flat_with_its_secret_inside(house: House, path: str, is_transcription: bool) -> None:
    body = house.post(path, {"voice": "echo"}).json()
    secret = body.pop("client_secret")
    kind = "transcription" if is_transcription else "realtime"
    assert body == {"object": f"realtime.{kind}_session", "voice": "echo"}
    assert secret["expires_at"] == int(NOW_S) + 60
    credential = house.door.admit(bearer(secret["value"]))
    assert (credential.session, credential.dialect) == ({"voice": "echo"}, Dialect.BETA)
    assert credential.is_transcription is is_transcription


def test_where_the_beta_is_switched_off_its_sessions_are_refused_in_its_words(tmp_path: Path) -> None:
    house = House(tmp_path, realtime_beta=False)
    told = error(house.post(SESSIONS, {}))
    assert told["code"] == "beta_api_shape_disabled"
    assert "Please use /v1/realtime for the GA API." in told["message"]
    assert house.post(SECRETS, {}).status_code == 200


# Tokens


@pytest.mark.parametrize("path", GENERATE)
def test_who_signs_is_given_a_session_token(house: House, path: str) -> None:
    response = house.post(path, {"key": "unity", "resources": ["workspaces/default"]}, SIGNED)
    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["token", "type", "expirationTime", "sessionId"]
    assert (body["type"], body["expirationTime"]) == ("Bearer", moment(NOW_S + 3600))
    credential = house.door.admit(bearer(body["token"]))
    assert (credential.owner, credential.scopes) == ("unity", frozenset({Scope.REALTIME}))
    assert (credential.session_id, credential.kind) == (body["sessionId"], Kind.ACCESS_TOKEN)


def test_a_signature_is_good_once(house: House) -> None:
    assert house.post(GENERATE[0], None, SIGNED).status_code == 200
    response = house.post(GENERATE[1], None, SIGNED)
    assert response.status_code == 403
    assert error(response)["message"].startswith("invalid authorization signature")


def test_a_signature_over_another_host_is_refused(house: House) -> None:
    headers = {"Authorization": f"IW1-HMAC-SHA256 {iw1_header(host='testserver')}"}
    assert error(house.post(GENERATE[0], None, headers))["code"] == "invalid_signature"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"key": "web"}, "key"),
        ({"key": 1}, "key"),
        ({"resources": "all"}, "resources"),
        ({"resources": [1]}, "resources"),
    ],
)
def test_a_signed_request_for_something_else_is_refused_by_name(house: House, body: object, param: str) -> None:
    response = house.post(GENERATE[0], body, SIGNED)
    assert (response.status_code, error(response)["param"]) == (400, param)


def test_who_may_not_open_sessions_gets_no_token_however_well_signed(tmp_path: Path) -> None:
    house = House(tmp_path)
    path = tmp_path / "keys.toml"
    path.write_text(
        path.read_text().replace(
            'secret = "unity-secret-0123456789abcdef"\nscopes = ["realtime"]',
            'secret = "unity-secret-0123456789abcdef"\nscopes = ["control"]',
        )
    )
    door = Door(replace(SETTINGS, api_keys=str(path)), now=house.clock)
    client = TestClient(Starlette(routes=http.routes(door, SETTINGS, configure)))
    assert error(client.post(GENERATE[0], headers=SIGNED))["code"] == "insufficient_scope"


def test_a_basic_key_is_given_a_token_with_all_that_is_known_of_it(house: House) -> None:
    body = house.post(TOKENS, {"single_use": True, "ttl": "120s", "client_reference_id": "user-7"}, BASIC).json()
    name, token = body.pop("name"), body.pop("accessToken")
    assert name.startswith("tokens/")
    assert body == {
        "createTime": moment(NOW_S),
        "expireTime": moment(NOW_S + 120),
        "singleUse": True,
        "clientReferenceId": "user-7",
        "apiKey": "web",
    }
    assert house.door.admit(bearer(token)).is_single_use
    assert house.post(SECRETS, {}, {"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_token_lives_five_minutes_and_for_many_sessions_if_nothing_is_said(house: House) -> None:
    body = house.post(TOKENS, None, BASIC).json()
    assert (body["expireTime"], body["singleUse"]) == (moment(NOW_S + 300), False)
    assert house.post(TOKENS, {"singleUse": True, "clientReferenceId": "x"}, BASIC).json()["singleUse"] is True


def test_a_token_lives_no_longer_than_the_setting_even_if_nothing_is_said(tmp_path: Path) -> None:
    body = House(tmp_path, jwt_max_s=60).post(TOKENS, None, BASIC).json()
    assert body["expireTime"] == moment(NOW_S + 60)


@pytest.mark.parametrize("ttl", ["10s", "3600s"])
def test_a_ttl_at_its_limits_is_given(house: House, ttl: str) -> None:
    assert house.post(TOKENS, {"ttl": ttl}, BASIC).json()["expireTime"] == moment(NOW_S + int(ttl[:-1]))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"ttl": "9s"}, "ttl"),
        ({"ttl": "3601s"}, "ttl"),
        ({"ttl": "300"}, "ttl"),
        ({"ttl": 300}, "ttl"),
        ({"ttl": "1.5s"}, "ttl"),
        ({"ttl": "x" * 300}, "ttl"),
        ({"single_use": "yes"}, "single_use"),
        ({"client_reference_id": "x" * 257}, "client_reference_id"),
        ({"scope": "admin"}, "scope"),
    ],
)
def test_a_token_that_cannot_be_had_is_refused_by_name(house: House, body: object, param: str) -> None:
    response = house.post(TOKENS, body, BASIC)
    assert (response.status_code, error(response)["param"]) == (400, param)


def test_a_bearer_is_given_no_token(house: House) -> None:
    response = house.post(TOKENS, {}, WEB)
    assert response.status_code == 401
    assert "Authorization: Basic" in error(response)["message"]
    token = base64_of(key_text("web")).rstrip("=")
    assert house.client.post(f"{TOKENS}?token={token}").status_code == 401


# ICE servers


def test_ice_servers_are_told_as_they_were_set(tmp_path: Path) -> None:
    text = '[{"urls":"stun:stun.example"},{"urls":["turn:t.example"],"username":"u","credential":"c"}]'
    house = House(tmp_path, realtime_ice_servers=read_ice_servers(text))
    response = house.client.get(ICE, headers=BASIC)
    assert response.text == '{"ice_servers":' + text + "}"
    assert house.client.get(ICE).status_code == 401


def test_each_client_is_told_a_turn_credential_of_its_own_that_expires(tmp_path: Path) -> None:
    servers = read_ice_servers('[{"urls":["stun:t.example","turn:t.example"]}]')
    house = House(tmp_path, realtime_ice_servers=servers, turn_secret="north", turn_ttl_s=60)
    (server,) = house.client.get(ICE, headers=WEB).json()["ice_servers"]
    username = f"{int(house.clock.now_s) + 60}:web"
    assert server == {
        "urls": ["stun:t.example", "turn:t.example"],
        "username": username,
        "credential": credential_of(username, "north"),
    }
    secret = house.post(SECRETS).json()["value"]
    house.clock.now_s += 5
    (later,) = house.client.get(ICE, headers={"Authorization": f"Bearer {secret}"}).json()["ice_servers"]
    assert later["username"] == f"{int(house.clock.now_s) + 60}:web"
    assert later["credential"] != server["credential"]


def test_without_servers_the_list_is_empty(house: House) -> None:
    assert house.client.get(ICE, headers=WEB).json() == {"ice_servers": []}


# Refusals


@pytest.mark.parametrize("path", ALL)
def test_nobody_comes_in_without_a_credential(house: House, path: str) -> None:
    response = house.client.request("GET" if path == ICE else "POST", path)
    assert response.status_code == 401
    assert "www-authenticate" in response.headers
    assert error(response)["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", [SECRETS, SESSIONS, TRANSCRIPTIONS, ICE])
def test_a_key_without_the_scope_is_refused(house: House, path: str) -> None:
    headers = {"Authorization": f"Bearer {key_text('ops')}"}
    told = error(house.client.request("GET" if path == ICE else "POST", path, headers=headers))
    assert (told["type"], told["code"]) == ("permission_error", "insufficient_scope")


def test_a_guesser_is_told_when_to_come_back(house: House) -> None:
    headers = {"Authorization": "Bearer web:wrong"}
    for _ in range(MOST_FAILURES * CLIENTS_BEHIND_A_PROXY):
        assert house.post(SECRETS, {}, headers).status_code == 401
    response = house.post(SECRETS, {}, headers)
    assert (response.status_code, response.headers["retry-after"]) == (429, "61")
    assert error(response)["type"] == "rate_limit_error"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"a":NaN}', b"\xff", b'{"a":"\\ud800"}', b"[" * 5000])
@pytest.mark.parametrize("path", [SECRETS, SESSIONS])
def test_what_is_no_json_object_is_refused(house: House, path: str, body: bytes) -> None:
    response = house.post(path, body)
    assert (response.status_code, error(response)["code"]) == (400, "invalid_json")


def test_a_body_of_just_the_limit_is_read_and_one_byte_more_is_not(house: House) -> None:
    frame = len(b'{"session":{"instructions":""}}')
    for more, status in ((0, 200), (1, 413)):
        text = "x" * (LONGEST_BODY_BYTES - frame + more)
        assert house.post(SECRETS, {"session": {"instructions": text}}).status_code == status


def test_another_method_is_refused(house: House) -> None:
    assert house.client.get(SECRETS).status_code == 405


# Pages


@pytest.mark.parametrize("path", ALL)
def test_a_listed_pages_browser_is_told_what_it_may_send(tmp_path: Path, path: str) -> None:
    house = House(tmp_path, realtime_origins=("https://app.example",))
    response = house.client.options(path, headers=PAGE)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert response.headers["access-control-allow-methods"] == ("GET" if path == ICE else "POST")
    for name in ("Authorization", "Content-Type", "X-OpenAI-Agents-SDK", "OpenAI-Beta"):
        assert name in response.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in response.headers


def test_a_listed_page_may_read_answers_and_refusals(tmp_path: Path) -> None:
    house = House(tmp_path, realtime_origins=("https://app.example",))
    for headers in ({**WEB, **PAGE}, PAGE):
        response = house.post(SECRETS, {}, headers)
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert "Location" in response.headers["access-control-expose-headers"]
        assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", ALL)
def test_a_foreign_page_may_neither_ask_nor_read(house: House, path: str) -> None:
    for response in (
        house.client.options(path, headers=PAGE),
        house.client.request("GET" if path == ICE else "POST", path, headers={**WEB, **PAGE}),
    ):
        assert response.status_code == 403
        assert error(response)["code"] == "origin_not_allowed"
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_program_asking_what_there_is_is_told_the_methods(house: House) -> None:
    response = house.client.options(ICE)
    assert (response.status_code, response.headers["allow"]) == (204, "GET, OPTIONS")
    assert not [name for name in response.headers if name.startswith("access-control")]


# Development


def test_a_gateway_for_development_asks_for_nothing() -> None:
    settings = Settings(public_url="http://127.0.0.1:8080", insecure_dev=True)
    door = Door(settings, now=Clock())
    client = TestClient(Starlette(routes=http.routes(door, settings, configure)), base_url="http://127.0.0.1:8080")
    value = client.post(SECRETS).json()["value"]
    assert door.admit(bearer(value)).owner == DEV.owner
    assert client.post(TOKENS).json()["apiKey"] == "dev"
    assert client.post(TOKENS, headers=BASIC).status_code == 200
    assert client.post(TOKENS, headers=WEB).status_code == 401
    assert client.post(GENERATE[0], json={"key": "unity"}, headers=SIGNED).status_code == 200
    assert client.get(ICE).status_code == 200
