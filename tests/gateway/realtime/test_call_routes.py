"""Hanging up by HTTP, and the addresses of WebRTC where there is none."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.credentials.door import Door
from gateway.realtime.call_routes import OFFER_PATHS, absent_routes, hang_up_route
from gateway.realtime.directory import Directory, LiveSession
from gateway.realtime.session_end import SessionEnd
from pipeline.engine import Engine
from tests.gateway.signed import CONTROL_TOKEN, SETTINGS

BEARER = {"Authorization": f"Bearer {CONTROL_TOKEN}"}


def door() -> Door:
    return Door(replace(SETTINGS, insecure_dev=False), now=time.time)


def live(ends: list[SessionEnd]) -> LiveSession:
    engine = cast(Engine, None)
    return LiveSession(
        id="sess_1", call_id="rtc_1", owner="acme", engine=engine, opened_at_s=0.0, finish=ends.append
    )


@pytest.mark.parametrize("name", ["rtc_1", "sess_1"])
def test_a_session_is_hung_up_on_by_either_of_its_names(name: str) -> None:
    directory, ends = Directory(), list[SessionEnd]()
    client = TestClient(Starlette(routes=[hang_up_route(door(), directory)]))
    with directory.listed(live(ends)):
        answer = client.post(f"/v1/realtime/calls/{name}/hangup", headers=BEARER)
    assert (answer.status_code, answer.content, ends) == (200, b"", [SessionEnd.HUNG_UP])
    assert answer.headers["cache-control"] == "no-store"


def test_who_is_not_let_in_hangs_up_on_nobody() -> None:
    directory, ends = Directory(), list[SessionEnd]()
    client = TestClient(Starlette(routes=[hang_up_route(door(), directory)]))
    with directory.listed(live(ends)):
        answer = client.post("/v1/realtime/calls/rtc_1/hangup")
        assert (answer.status_code, answer.json()["code"]) == (401, 401)
        assert client.get("/v1/realtime/calls/rtc_1/hangup", headers=BEARER).status_code == 405
    assert client.post("/v1/realtime/calls/rtc_1/hangup", headers=BEARER).status_code == 404
    assert ends == []


@pytest.mark.parametrize("path", OFFER_PATHS)
def test_where_webrtc_is_not_served_each_address_says_why(path: str) -> None:
    client = TestClient(Starlette(routes=absent_routes(door(), "Not today.")))
    answer = client.post(path, content="v=0")
    assert answer.status_code == 501
    assert answer.json()["error"] == {
        "message": "Not today.",
        "type": "server_error",
        "param": None,
        "code": "webrtc_not_served",
    }
    page = {"Origin": "http://localhost:3000"}
    assert client.options(path, headers=page).status_code == 204
