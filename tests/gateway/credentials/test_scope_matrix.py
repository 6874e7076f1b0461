"""Every way in × every scope × every door behind it: what may be done with what. Default: nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway import control, control_events
from gateway.credentials.credential import Scope
from gateway.credentials.door import Door
from gateway.realtime import http
from tests.gateway.credentials.support import SETTINGS, Clock, configure, door_with_keys, key_text
from tests.gateway.signed import House

DOORS: dict[str, tuple[str, str, Scope]] = {
    "list calls": ("GET", "/v1/calls", Scope.CONTROL),
    "follow a call": ("GET", "/v1/calls/CA0/events", Scope.CONTROL),
    "watch all calls": ("GET", "/v1/events", Scope.CONTROL),
    "mint a client secret": ("POST", "/v1/realtime/client_secrets", Scope.REALTIME),
    "make a beta session": ("POST", "/v1/realtime/sessions", Scope.REALTIME),
    "make a beta transcription": ("POST", "/v1/realtime/transcription_sessions", Scope.REALTIME),
    "ask for ICE servers": ("GET", "/v1/realtime/ice-servers", Scope.REALTIME),
}

GRANTED: dict[str, set[Scope]] = {
    "web": {Scope.REALTIME},
    "ops": {Scope.CONTROL},
    "root": {Scope.REALTIME, Scope.CONTROL, Scope.ADMIN},
}
"""What the key of each name may do; written out, not computed from `Credential.allows`."""

KEY_SCOPES = {"web": Scope.REALTIME, "ops": Scope.CONTROL, "root": Scope.ADMIN}


def shown(door: Door, way: str, owner: str) -> str:
    if way == "key":
        return key_text(owner)
    scopes = frozenset({KEY_SCOPES[owner]})
    if way == "token":
        return door.access_tokens.mint(owner, scopes, life_s=60)[0]
    return door.client_secrets.mint(owner, scopes, life_s=60)[0]


def app_behind(door: Door) -> Starlette:
    desk = House().desk
    watching = control_events.routes(desk, asyncio.Event(), door)
    return Starlette(routes=[*http.routes(door, SETTINGS, configure), *control.routes(desk, door), *watching])


@pytest.mark.parametrize("owner", GRANTED)
@pytest.mark.parametrize("way", ["key", "token", "secret"])
@pytest.mark.parametrize("name", DOORS)
def test_each_door_opens_to_its_scope_and_to_no_other(tmp_path: Path, name: str, way: str, owner: str) -> None:
    method, path, needed = DOORS[name]
    door = door_with_keys(tmp_path, Clock())
    app = app_behind(door)
    headers = {"Authorization": f"Bearer {shown(door, way, owner)}"}
    status = TestClient(app).request(method, path, headers=headers).status_code
    is_mint = method == "POST"
    if needed not in GRANTED[owner] or (way == "secret" and is_mint):
        assert status == 403
    else:
        assert status == (404 if "CA0" in path else 200)


@pytest.mark.parametrize("name", DOORS)
def test_no_door_opens_to_nobody(tmp_path: Path, name: str) -> None:
    method, path, _ = DOORS[name]
    door = door_with_keys(tmp_path, Clock())
    app = app_behind(door)
    assert TestClient(app).request(method, path).status_code == 401
