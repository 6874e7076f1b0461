from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.call_records.file_outbox import FileOutbox
from gateway.call_records.http import routes
from gateway.call_records.office import Destination, RecordsOffice
from gateway.calls.store import MemoryStore
from gateway.cli.undelivered import command
from tests.gateway.call_records.support import BEGAN_S, LIMIT_S, SECRET, Clock, sid, until

pytestmark = pytest.mark.anyio

TOKEN = "sesame"
TWO = [
    {"call_sid": sid(2), "given_up_at_s": BEGAN_S + 2, "tries": 1, "why": "HTTP 410"},
    {"call_sid": sid(1), "given_up_at_s": BEGAN_S + 1, "tries": 1, "why": "HTTP 410"},
]


def refuse(request: Request) -> Response | None:
    if request.headers.get("authorization") == f"Bearer {TOKEN}":
        return None
    return JSONResponse({"error": {"message": "Expected another token."}}, 401)


async def app_with_two_dead(folder: Path) -> Starlette:
    outbox = FileOutbox(folder)
    await outbox.prepare()
    for number in (1, 2):
        await outbox.put(sid(number), b'{"data":{}}', BEGAN_S)
        (letter,) = await outbox.claim(BEGAN_S, most=1, lease_s=1)
        await outbox.bury(letter, "HTTP 410", BEGAN_S + number)
    destination = Destination(url="http://127.0.0.1:1", secret=SECRET, limit_s=1, give_up_after_s=60)
    office = RecordsOffice(
        MemoryStore(), outbox, destination, now=Clock(), count=lambda _: None, show=lambda _fill, _now: None
    )

    async def odd(request: Request) -> Response:
        return PlainTextResponse("hello", 404)

    paths = routes(MemoryStore(), office, Clock(), refuse)
    return Starlette(routes=[*paths, Route("/odd/{path:path}", odd)])


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[str]:
    """The URL of one with two records that were given up."""
    config = uvicorn.Config(await app_with_two_dead(folder), port=0, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, arguments)


async def test_what_nobody_took_is_listed_for_people_and_for_programs(tmp_path: Path) -> None:
    async with gateway(tmp_path) as url:
        told = await run("--url", url, "--token", TOKEN)
        assert told.stdout.splitlines() == [
            f"{sid(2)}  2027-01-15 08:00:02Z    1 tries  HTTP 410",
            f"{sid(1)}  2027-01-15 08:00:01Z    1 tries  HTTP 410",
        ]
        in_json = await run("--url", url, "--token", TOKEN, "--json")
        assert (json.loads(in_json.stdout), in_json.exit_code, told.exit_code) == (TWO, 1, 1)


async def test_a_body_is_shown_and_records_are_tried_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as url:
        at = ("--url", url, "--token", TOKEN)
        assert (await run(*at, "--show", sid(1))).stdout == '{"data":{}}\n'
        one = await run(*at, "--retry", sid(1))
        assert (one.exit_code, one.stderr) == (0, f"{sid(1)} is tried again\n")
        rest = await run(*at, "--retry-all")
        assert (rest.exit_code, rest.stderr) == (0, f"{sid(2)} is tried again\n")
        none = await run(*at)
        assert (none.exit_code, none.stdout, none.stderr) == (0, "", "No record was given up.\n")
        again = await run(*at, "--retry", sid(1))
        assert (again.exit_code, "No record of" in again.stderr) == (4, True)


async def test_url_and_token_are_the_settings_unless_they_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_TOKEN", TOKEN)
    monkeypatch.setenv("SWITCHBOARD_INSECURE_DEV", "1")
    async with gateway(tmp_path) as url:
        monkeypatch.setenv("PORT", url.rpartition(":")[2])
        assert json.loads((await run("--json")).stdout) == TWO
        assert json.loads((await run("--json", "--url", url)).stdout) == TWO


async def test_who_is_refused_or_reaches_nobody_is_told_why(tmp_path: Path, unused_port: int) -> None:
    async with gateway(tmp_path) as url:
        wrong = await run("--url", url, "--token", "guessed")
        assert (wrong.exit_code, wrong.stderr) == (4, "switchboard: Expected another token.\n")
        odd = await run("--url", f"{url}/odd", "--token", TOKEN)
        assert (odd.exit_code, "is it a Switchboard?" in odd.stderr) == (4, True)
    away = await run("--url", f"http://127.0.0.1:{unused_port}", "--token", TOKEN)
    assert (away.exit_code, "cannot be reached" in away.stderr) == (3, True)


async def test_without_settings_and_flags_it_says_what_to_give() -> None:
    told = await run()
    assert (told.exit_code, "give --url and --token" in told.stderr) == (2, True)
