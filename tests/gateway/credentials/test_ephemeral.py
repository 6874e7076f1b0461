"""Client secrets over HTTP and at the door: how long they live, how often they open, what they cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.credentials.credential import Scope
from gateway.credentials.door import Door
from gateway.errors import CredentialRefused
from gateway.realtime import http
from pipeline.dialects import Dialect
from tests.gateway.credentials.support import NOW_S, SETTINGS, Clock, bearer, configure, door_with_keys, key_text

PATH = "/v1/realtime/client_secrets"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(tmp_path: Path, clock: Clock) -> Door:
    return door_with_keys(tmp_path, clock)


def mint(door: Door, body: dict[str, Any], shown: str = key_text("web"), path: str = PATH) -> httpx2.Response:
    client = TestClient(Starlette(routes=http.routes(door, SETTINGS, configure)))
    return client.post(path, json=body, headers={"Authorization": f"Bearer {shown}"})


def after(seconds: object) -> dict[str, Any]:
    return {"expires_after": {"anchor": "created_at", "seconds": seconds}}


@pytest.mark.parametrize("seconds", [10, 11, 600, 7199, 7200])
def test_a_life_within_the_limits_is_given(door: Door, seconds: int) -> None:
    assert mint(door, after(seconds)).json()["expires_at"] == int(NOW_S) + seconds


@pytest.mark.parametrize("seconds", [9, 7201, 0, -10, "600", 600.5, True, None, [600], 1e300])
def test_a_life_out_of_the_limits_is_refused_by_name(door: Door, seconds: object) -> None:
    response = mint(door, after(seconds))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "expires_after.seconds")


def test_without_a_word_it_lives_ten_minutes_and_opens_as_often_as_one_likes(door: Door, clock: Clock) -> None:
    body = mint(door, {}).json()
    assert body["expires_at"] == int(NOW_S) + 600
    for _ in range(5):
        assert door.admit(bearer(body["value"])).owner == "web"
    clock.now_s += 599.9
    assert door.admit(bearer(body["value"])).scopes == {Scope.REALTIME}
    clock.now_s += 0.1
    with pytest.raises(CredentialRefused, match="expired"):
        door.admit(bearer(body["value"]))


@pytest.mark.parametrize("uses", [1, 2, 1000])
def test_it_opens_as_often_as_it_was_made_for(door: Door, uses: int) -> None:
    value = mint(door, {"max_uses": uses}).json()["value"]
    for _ in range(uses):
        door.admit(bearer(value))
    with pytest.raises(CredentialRefused, match="as often as it may be"):
        door.admit(bearer(value))


@pytest.mark.parametrize("uses", [0, -1, 1001, "1", True, 1.0])
def test_a_number_of_uses_out_of_the_limits_is_refused_by_name(door: Door, uses: object) -> None:
    response = mint(door, {"max_uses": uses})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "max_uses")


def test_an_errand_before_the_session_uses_up_nothing(door: Door) -> None:
    value = mint(door, {"max_uses": 1}).json()["value"]
    client = TestClient(Starlette(routes=http.routes(door, SETTINGS, configure)))
    for _ in range(3):
        answer = client.get("/v1/realtime/ice-servers", headers={"Authorization": f"Bearer {value}"})
        assert answer.status_code == 200
    assert door.admit(bearer(value)).is_single_use


@pytest.mark.parametrize(
    "path", [PATH, "/v1/realtime/sessions", "/v1/realtime/transcription_sessions", "/auth/v1/tokens"]
)
def test_it_mints_nothing(door: Door, path: str) -> None:
    value = mint(door, {}).json()["value"]
    assert mint(door, {}, value, path).status_code in (401, 403)


def test_it_is_bound_to_the_session_it_was_made_with_as_it_was_given(door: Door) -> None:
    session = {"type": "realtime", "instructions": "Be kind.", "x": [1]}
    credential = door.admit(bearer(mint(door, {"session": session}).json()["value"]))
    assert (credential.session, credential.dialect, credential.is_transcription) == (session, Dialect.GA, False)


def test_it_cannot_be_made_to_do_more_than_open_sessions(door: Door) -> None:
    value = mint(door, {}, key_text("root")).json()["value"]
    credential = door.admit(bearer(value))
    assert (credential.owner, credential.scopes) == ("root", frozenset({Scope.REALTIME}))
    assert [credential.allows(scope) for scope in Scope] == [True, False, False]


@pytest.mark.parametrize(("left_s", "asked_s", "given_s"), [(60, 600, 60), (60, 30, 30), (10, 600, 10)])
def test_one_of_a_token_lives_no_longer_than_the_token(door: Door, left_s: int, asked_s: int, given_s: int) -> None:
    token, _ = door.access_tokens.mint("web", {Scope.REALTIME}, life_s=left_s)
    body = mint(door, after(asked_s), token).json()
    assert body["expires_at"] == int(NOW_S) + given_s
    assert door.admit(bearer(body["value"])).owner == "web"


def test_a_token_about_to_expire_and_a_single_use_one_mint_none(door: Door) -> None:
    late, _ = door.access_tokens.mint("web", {Scope.REALTIME}, life_s=9)
    once, _ = door.access_tokens.mint("web", {Scope.REALTIME}, life_s=60, is_single_use=True)
    for token, code in ((late, "expires_too_soon"), (once, "single_use_cannot_mint")):
        response = mint(door, {}, token)
        assert (response.status_code, response.json()["error"]["code"]) == (403, code)


def test_no_two_are_alike_and_all_begin_as_browsers_demand(door: Door) -> None:
    values = {mint(door, {}).json()["value"] for _ in range(20)}
    assert len(values) == 20
    assert all(value.startswith("ek_") and len(value) >= 43 for value in values)
