from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.http import routes
from gateway.call_records.office import Destination, RecordsOffice
from gateway.call_records.record import CallRecord
from gateway.calls.call import EndReason
from gateway.calls.store import CallStore, MemoryStore
from gateway.redis.link import RedisLink
from tests.gateway.call_records.support import BEGAN_S, SECRET, Clock, happened, new_call, recorded_store, sid

pytestmark = pytest.mark.anyio

UNDELIVERED = "/v1/call-records/undelivered"


def refuse(request: Request) -> Response | None:
    return None if request.headers.get("authorization") == "Bearer t" else PlainTextResponse("no", 401)


@asynccontextmanager
async def client(
    store: CallStore, office: RecordsOffice | None = None, token: str = "t"
) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=routes(store, office, Clock(), refuse))
    transport = httpx2.ASGITransport(app)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as one:
        yield one


async def office_with_a_dead_letter(folder: Path) -> RecordsOffice:
    outbox = FileOutbox(folder)
    await outbox.prepare()
    await outbox.put(sid(1), b'{"data":{}}', BEGAN_S)
    (letter,) = await outbox.claim(BEGAN_S, most=1, lease_s=1)
    await outbox.bury(letter, "HTTP 410", BEGAN_S + 1)
    destination = Destination(url="http://127.0.0.1:1", secret=SECRET, limit_s=1, give_up_after_s=60)
    return RecordsOffice(
        MemoryStore(), outbox, destination, now=Clock(), count=lambda _: None, show=lambda _fill, _now: None
    )


async def test_the_record_of_a_call_that_ended_lately_is_given() -> None:
    store, call = MemoryStore(), new_call()
    await store.open(call)
    await store.note(sid(1), happened("call.started"))
    async with client(store) as http:
        early = await http.get(f"/v1/calls/{sid(1)}/record")
        assert (early.status_code, early.json()["error"]["code"]) == (409, "call_not_ended")
        await store.end(call, EndReason.COMPLETED, BEGAN_S + 3)
        answer = await http.get(f"/v1/calls/{sid(1)}/record")
        assert answer.headers["cache-control"] == "no-store"
        record = msgspec.json.decode(answer.content, type=CallRecord)
        assert (record.call_sid, record.duration_s, record.is_complete) == (sid(1), 3.0, True)
        missing = await http.get(f"/v1/calls/{sid(2)}/record")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "call_not_found")


async def test_who_may_not_ask_is_told_so_everywhere() -> None:
    async with client(MemoryStore(), token="guessed") as http:
        paths = [f"/v1/calls/{sid(1)}/record", UNDELIVERED, f"{UNDELIVERED}/{sid(1)}"]
        assert [(await http.get(path)).status_code for path in paths] == [401, 401, 401]
        assert (await http.post(f"{UNDELIVERED}/{sid(1)}/retry")).status_code == 401


async def test_what_nobody_took_is_listed_read_and_tried_again(tmp_path: Path) -> None:
    office = await office_with_a_dead_letter(tmp_path)
    async with client(MemoryStore(), office) as http:
        (told,) = (await http.get(UNDELIVERED)).json()["undelivered"]
        assert told == {"call_sid": sid(1), "given_up_at_s": BEGAN_S + 1, "tries": 1, "why": "HTTP 410"}
        body = await http.get(f"{UNDELIVERED}/{sid(1)}")
        assert (body.content, body.headers["content-type"]) == (b'{"data":{}}', "application/json")
        assert (await http.post(f"{UNDELIVERED}/{sid(1)}/retry")).status_code == 202
        assert (await http.get(UNDELIVERED)).json() == {"undelivered": []}
        for answer in (await http.get(f"{UNDELIVERED}/{sid(1)}"), await http.post(f"{UNDELIVERED}/{sid(1)}/retry")):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "record_not_found")


async def test_where_no_record_is_sent_none_is_given_up() -> None:
    async with client(MemoryStore()) as http:
        assert (await http.get(UNDELIVERED)).json() == {"undelivered": []}
        assert (await http.get(f"{UNDELIVERED}/{sid(1)}")).status_code == 404
        assert (await http.post(f"{UNDELIVERED}/{sid(1)}/retry")).status_code == 404


async def test_while_redis_is_away_whoever_asks_is_told_to_ask_again() -> None:
    link = RedisLink("redis://127.0.0.1:1", now=time.monotonic)
    async with client(recorded_store(link, "test", worker_id="one", now=Clock())) as http:
        answer = await http.get(f"/v1/calls/{sid(1)}/record")
    await link.aclose()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "records_unavailable")
