from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway import control, control_events
from gateway.calls.call import EndReason
from gateway.credentials.credential import Scope
from gateway.credentials.throttle import CLIENTS_BEHIND_A_PROXY, MOST_FAILURES
from pipeline.costs import Used
from tests.gateway.credentials.support import Clock, door_with_keys, key_text
from tests.gateway.signed import CALL, CONTROL_TOKEN, SETTINGS, VOICE, House
from twiml.webhooks import read_voice

pytestmark = pytest.mark.anyio

BEARER = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
EVENTS = f"/v1/calls/{CALL}/events"


async def house_with_a_call() -> House:
    house = House()
    await house.desk.open_call(read_voice(VOICE))
    return house


def error(response: httpx2.Response) -> dict[str, Any]:
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"type", "code", "message", "param"}
    return dict(body["error"])


@pytest.mark.parametrize("path", ["/v1/calls", EVENTS])
async def test_without_a_token_set_the_api_is_closed_and_says_how_to_open_it(path: str) -> None:
    response = House(settings=replace(SETTINGS, token="")).client.get(path, headers=BEARER)
    assert response.status_code == 403
    assert "SWITCHBOARD_TOKEN" in error(response)["message"]


@pytest.mark.parametrize("path", ["/v1/calls", EVENTS])
@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {CONTROL_TOKEN}"])
async def test_a_wrong_token_is_refused(path: str, header: str | None) -> None:
    response = House().client.get(path, headers={} if header is None else {"Authorization": header})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert error(response)["code"] == "invalid_token"


async def test_live_calls_are_listed_with_the_caller_masked() -> None:
    house = await house_with_a_call()
    house.clock.now_s += 3.25
    assert house.client.get("/v1/calls", headers=BEARER).json() == {
        "calls": [
            {
                "call_sid": CALL,
                "state": "ringing",
                "from": "+1 415 ••• 0134",
                "to": "+14155550100",
                "agent": "reception",
                "seconds": 3.25,
                "end_reason": None,
                "worker": None,
            }
        ]
    }


async def test_ended_calls_are_listed_when_asked_for() -> None:
    house = await house_with_a_call()
    await house.desk.end_call(CALL, EndReason.COMPLETED)
    assert house.client.get("/v1/calls", headers=BEARER).json() == {"calls": []}
    (call,) = house.client.get("/v1/calls?ended=1", headers=BEARER).json()["calls"]
    assert (call["state"], call["end_reason"]) == ("ended", "completed")


@pytest.mark.parametrize(("owner", "status"), [("ops", 200), ("root", 200), ("web", 403)])
async def test_a_key_may_read_calls_if_its_scope_says_so(tmp_path: Path, owner: str, status: int) -> None:
    house = await house_with_a_call()
    door = door_with_keys(tmp_path, Clock())
    watching = control_events.routes(house.desk, house.leaving, door)
    client = TestClient(Starlette(routes=[*control.routes(house.desk, door), *watching]))
    for path in ("/v1/calls", EVENTS):
        response = client.get(path, headers={"Authorization": f"Bearer {key_text(owner)}"})
        assert response.status_code == status
        if status == 403:
            assert error(response)["code"] == "insufficient_scope"


async def test_a_token_with_the_scope_may_read_calls(tmp_path: Path) -> None:
    door = door_with_keys(tmp_path, Clock())
    text, _ = door.access_tokens.mint("cli", {Scope.CONTROL}, life_s=60)
    client = TestClient(Starlette(routes=control.routes(House().desk, door)))
    assert client.get("/v1/calls", headers={"Authorization": f"Bearer {text}"}).status_code == 200


async def test_who_guesses_is_told_when_to_come_back() -> None:
    house = House()
    for _ in range(MOST_FAILURES * CLIENTS_BEHIND_A_PROXY):
        assert house.client.get("/v1/calls", headers={"Authorization": "Bearer wrong"}).status_code == 401
    response = house.client.get("/v1/calls", headers={"Authorization": "Bearer wrong"})
    assert (response.status_code, response.headers["retry-after"]) in ((429, "60"), (429, "61"))
    assert error(response)["code"] == "too_many_failures"
    assert house.client.get("/v1/calls", headers=BEARER).status_code == 200


async def test_on_a_gateway_for_development_calls_are_still_read_with_the_token_only() -> None:
    house = House(settings=replace(SETTINGS, insecure_dev=True, public_url="http://127.0.0.1:8080"))
    assert house.client.get("/v1/calls").status_code == 401
    assert house.client.get("/v1/calls", headers=BEARER).status_code == 200


async def test_one_call_is_shown_with_what_its_providers_were_used_for() -> None:
    house = await house_with_a_call()
    call = await house.desk.store.find(CALL)
    assert call is not None
    shown = house.client.get(f"/v1/calls/{CALL}", headers=BEARER).json()
    assert shown["costs"] == {"providers": [], "cost_usd": None}
    call.tally.add(Used(provider="a/mind", kind="llm", requests=1, input_tokens=3, cost_usd=0.5))
    shown = house.client.get(f"/v1/calls/{CALL}", headers=BEARER).json()
    assert shown["costs"]["cost_usd"] == 0.5
    assert shown["costs"]["providers"] == [
        {"provider": "a/mind", "kind": "llm", "requests": 1, "input_tokens": 3, "cost_usd": 0.5}
    ]
    (listed,) = house.client.get("/v1/calls", headers=BEARER).json()["calls"]
    assert {**listed, "costs": shown["costs"], "seconds": 0} == {**shown, "seconds": 0}


async def test_one_call_is_shown_to_nobody_without_a_token_and_a_stranger_is_not_found() -> None:
    house = House()
    assert house.client.get(f"/v1/calls/{CALL}").status_code == 401
    response = house.client.get(f"/v1/calls/{CALL}", headers=BEARER)
    assert (response.status_code, error(response)["code"]) == (404, "call_not_found")
