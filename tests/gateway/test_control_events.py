"""Watching: what happens in one call and in all of them, told line by line or as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from gateway import control_events
from gateway.calls.call import EndReason
from gateway.calls.feed import GAP, LocalFeed, Place
from gateway.calls.journal import JournalEvent
from gateway.calls.store import MemoryStore
from gateway.errors import StoreUnavailable
from simulator.caller import HangUp, Wait
from tests.calls.fleet import Fleet, running_fleet
from tests.calls.steered import live_call, url_of
from tests.gateway.signed import CALL, CONTROL_TOKEN, VOICE, House
from twiml.webhooks import read_voice

pytestmark = pytest.mark.anyio

BEARER = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
EVENTS = f"/v1/calls/{CALL}/events"
SENT_EVENTS = {**BEARER, "Accept": "text/event-stream"}
LIMIT_S = 10.0


async def house_with_a_call() -> House:
    house = House()
    await house.desk.open_call(read_voice(VOICE))
    return house


def error(response: httpx2.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body["error"]) == {"type", "code", "message", "param"}
    return dict(body["error"])


def lines(body: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


def names(told: list[dict[str, Any]]) -> list[str]:
    return [one["event"] for one in told]


async def test_what_happened_so_far_is_told_one_object_a_line() -> None:
    house = await house_with_a_call()
    await house.desk.record(CALL, "later", sound=b"\x00", odd=EndReason.ERROR)
    response = house.client.get(EVENTS, headers=BEARER)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [line["event"] for line in lines(response.text)] == ["call.started", "later"]
    (later,) = lines(house.client.get(EVENTS + "?since=1", headers=BEARER).text)
    assert later == {"event": "later", "at_s": 100.0, "sound": "AA==", "odd": "error"}


async def test_a_call_that_ended_can_be_followed_to_its_end() -> None:
    house = await house_with_a_call()
    await house.desk.end_call(CALL, EndReason.COMPLETED)
    told = lines(house.client.get(EVENTS + "?follow=1", headers=BEARER).text)
    assert [line["event"] for line in told] == ["call.started", "call.ended"]


async def test_a_call_can_be_followed_from_before_it_exists_to_its_end() -> None:
    house = House()
    transport = httpx2.ASGITransport(app=house.client.app)
    async with asyncio.timeout(10), httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(client.get(EVENTS + "?follow=1&wait_s=5", headers=BEARER))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not following.done()
            await house.desk.open_call(read_voice(VOICE))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not following.done()
            await house.desk.end_call(CALL, EndReason.COMPLETED)
    told = lines(following.result().text)
    assert [line["event"] for line in told] == ["call.started", "call.ended"]


@pytest.mark.parametrize("query", ["", "?wait_s=0.001"])
async def test_a_call_nobody_knows_is_not_found(query: str) -> None:
    response = House().client.get(EVENTS + query, headers=BEARER)
    assert response.status_code == 404
    assert (error(response)["code"], error(response)["param"]) == ("call_not_found", "call_sid")


@pytest.mark.parametrize(
    ("query", "param"),
    [("since=-1", "since"), ("since=x", "since"), ("wait_s=61", "wait_s"), ("wait_s=inf", "wait_s")],
)
async def test_a_bad_number_is_refused_by_name(query: str, param: str) -> None:
    house = await house_with_a_call()
    response = house.client.get(f"{EVENTS}?{query}", headers=BEARER)
    assert response.status_code == 400
    assert error(response)["param"] == param
    assert error(response)["message"].startswith(f"{param}: expected ")


class Away(LocalFeed):
    """Of a Redis that does not answer."""

    async def read(self, since: Place | None = None) -> list[JournalEvent]:
        raise StoreUnavailable("it is away")


async def test_all_calls_are_watched_in_one_place_and_each_event_says_whose_it_is() -> None:
    house = await house_with_a_call()
    other = "CA" + "c" * 32
    await house.desk.open_call(read_voice({**VOICE, "CallSid": other}))
    await house.desk.end_call(CALL, EndReason.COMPLETED)
    response = house.client.get("/v1/events", headers=BEARER)
    assert response.headers["content-type"] == "application/x-ndjson"
    told = lines(response.text)
    assert [(one["call_sid"], one["event"]) for one in told] == [
        (CALL, "call.started"),
        (other, "call.started"),
        (CALL, "call.ended"),
    ]
    for at, one in enumerate(told):
        assert lines(house.client.get(f"/v1/events?since={one['id']}", headers=BEARER).text) == told[at + 1 :]


async def test_server_sent_events_go_on_from_the_last_event_id() -> None:
    house = await house_with_a_call()
    await house.desk.end_call(CALL, EndReason.COMPLETED)
    first, _ = lines(house.client.get("/v1/events", headers=BEARER).text)
    house.leaving.set()  # or it would go on
    response = house.client.get("/v1/events", headers={**SENT_EVENTS, "Last-Event-ID": first["id"]})
    assert response.headers["content-type"].startswith("text/event-stream")
    name, data, *_ = response.text.split("\n")
    assert name.startswith("id: ")
    assert json.loads(data.removeprefix("data: "))["event"] == "call.ended"
    assert response.text.endswith("\n\n")


async def test_a_gap_has_no_id_so_that_nobody_goes_on_from_it() -> None:
    house = House(store=MemoryStore(LocalFeed("one", lambda: 100.0, limit_events=1)))
    await house.desk.open_call(read_voice(VOICE))
    (seen,) = lines(house.client.get("/v1/events", headers=BEARER).text)
    for number in range(3):
        await house.desk.record(CALL, "later", n=number)
    house.leaving.set()
    response = house.client.get(f"/v1/events?since={seen['id']}", headers=SENT_EVENTS)
    gap, event, rest = response.text.split("\n\n")
    assert gap == f'data: {{"event":"{GAP}","dropped":2}}'
    assert event.startswith("id: ")
    assert rest == ""


@pytest.mark.parametrize("since", ["1", "x", "1-2", "1-2.3.4"])
async def test_what_is_no_id_is_refused_by_name(since: str) -> None:
    response = House().client.get(f"/v1/events?since={since}", headers=BEARER)
    assert (response.status_code, error(response)["param"]) == (400, "since")


async def test_while_redis_is_away_it_says_so_and_when_to_come_back() -> None:
    response = House(store=MemoryStore(Away("one", lambda: 1.0))).client.get("/v1/events", headers=BEARER)
    assert (response.status_code, error(response)["code"]) == (503, "redis_unavailable")
    assert int(response.headers["retry-after"]) > 0


@asynccontextmanager
async def watched(fleet: Fleet, *, since: str = "") -> AsyncGenerator[AsyncIterator[dict[str, Any]], None]:
    """All calls, as a program sees them that asks the second worker over a socket."""
    headers = {"Authorization": "Bearer watch"}
    query = {"follow": "1", **({"since": since} if since else {})}
    async with httpx2.AsyncClient(timeout=LIMIT_S) as client:
        url = f"{url_of(fleet.workers[1])}/v1/events"
        async with client.stream("GET", url, params=query, headers=headers) as response:
            assert response.status_code == 200, await response.aread()

            async def events() -> AsyncIterator[dict[str, Any]]:
                async for line in response.aiter_lines():
                    yield json.loads(line) if line else {"event": ""}

            yield events()


async def test_one_who_watches_all_calls_sees_those_of_other_workers_and_goes_on_after_a_break() -> None:
    async with asyncio.timeout(6 * LIMIT_S), running_fleet(2, SWITCHBOARD_TOKEN="watch") as fleet:
        seen: list[dict[str, Any]] = []
        async with live_call(fleet, Wait(2_000), HangUp()) as call:
            async with watched(fleet) as events:
                async for one in events:
                    seen.append(one)
                    if one["event"] == "transcript.done":
                        break
            await call.result()
        async with watched(fleet, since=seen[-1]["id"]) as events:
            async for one in events:
                seen.append(one)
                if one["event"] == "call.ended":
                    break
    # Two workers tell of it, each its own in order.
    assert {"call.started", "stream.offered", "stream.started", "transcript.done"} < set(names(seen))
    assert names(seen)[-1] == "call.ended"
    assert {one["call_sid"] for one in seen} == {call.sid}
    assert len({one["id"] for one in seen}) == len(seen)


async def test_who_watches_in_silence_gets_an_empty_line_and_is_let_go_when_the_gateway_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_events, "QUIET_S", 0.05)
    async with asyncio.timeout(LIMIT_S), running_fleet(2, SWITCHBOARD_TOKEN="watch") as fleet:
        async with watched(fleet) as events:
            assert await anext(events) == {"event": ""}
            fleet.workers[1].house.gateway.doors.leaving.set()
            assert [one async for one in events if one["event"]] == []
