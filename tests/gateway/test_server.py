"""The server: every default of uvicorn's that was chosen, and signals that let calls end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import server
from gateway.app import Gateway
from gateway.calls.call import Call, EndReason
from gateway.fast_lane import FastLane
from gateway.operations import Doors
from gateway.server import serve, uvicorn_config
from gateway.settings import Settings
from tests.gateway.signed import CALL, SETTINGS, House

STARTUP_FAILURE = 3
"""uvicorn's exit code."""

LIMIT_S = 20.0
"""No wait of these tests lasts longer, however busy the machine."""

both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Whatever a server leaves behind, the test run's own signals are as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, action in before.items():
        signal.signal(number, action)


def gateway_of(lifespan: Callable[[Starlette], object] | None = None) -> Gateway:
    """A gateway that answers `/` and has calls only if a test opens them."""

    async def hello(_request: Request) -> Response:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/", hello)], lifespan=lifespan)  # type: ignore[arg-type]  # as the tests have it
    return Gateway(app, House().desk, Doors())


class Running:
    """A server in a task of this loop, and the gateway behind it."""

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self.gateway = gateway
        self.ports: asyncio.Queue[int] = asyncio.Queue()
        self.serving = asyncio.create_task(serve(settings, gateway, self.ports.put_nowait))
        self.port = 0

    async def get(self, port: int, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as response,
        ):
            return response.status, await response.text()

    async def drains(self) -> None:
        """Until it takes no new calls."""
        async with asyncio.timeout(LIMIT_S):
            while self.gateway.doors.are_open:  # noqa: ASYNC110 - a flag, and no event
                await asyncio.sleep(0.005)

    async def left(self) -> None:
        """Until it has gone."""
        await asyncio.wait_for(self.serving, LIMIT_S)

    async def open_call(self) -> None:
        await self.gateway.desk.store.open(Call(call_sid=CALL, from_="", to="", agent="", started_at_s=0.0))

    async def end_call(self) -> None:
        await self.gateway.desk.end_call(CALL, EndReason.COMPLETED)


@asynccontextmanager
async def running(settings: Settings, gateway: Gateway | None = None) -> AsyncGenerator[Running, None]:
    here = Running(replace(settings, port=0), gateway or gateway_of())
    try:
        here.port = await asyncio.wait_for(here.ports.get(), LIMIT_S)
        yield here
    finally:
        if not here.serving.done():
            here.serving.cancel()
            await asyncio.wait([here.serving])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_every_default_is_a_choice() -> None:
    settings = replace(SETTINGS, host="127.0.0.1", port=4_711)
    config = uvicorn_config(settings, gateway_of())
    chosen = {
        "host": "127.0.0.1",
        "port": 4_711,
        "ws": FastLane,
        "ws_per_message_deflate": False,
        "ws_max_size": 64 * 1024,
        "ws_ping_interval": 20,
        "ws_ping_timeout": 20,
        "limit_concurrency": None,
        "limit_max_requests": None,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": 5,
        "lifespan": "on",
        "workers": 1,
        "reload": False,
    }
    assert {name: getattr(config, name) for name in chosen} == chosen
    config.load()
    assert config.ws_protocol_class is FastLane


@pytest.mark.anyio
@both_signals
async def test_without_calls_the_first_signal_is_enough(number: signal.Signals) -> None:
    async with running(SETTINGS) as here:
        assert await here.get(here.port, "/") == (200, "hello")
        signal.raise_signal(number)
        await here.left()
        assert not here.gateway.doors.are_open
        assert here.ports.empty(), "it starts once"


@pytest.mark.anyio
@both_signals
async def test_the_first_signal_lets_calls_end_and_new_ones_wait_outside(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(SETTINGS) as here:
        await here.open_call()
        with caplog.at_level(logging.INFO, "gateway.drain"):
            signal.raise_signal(number)
            await here.drains()
        assert await here.get(here.port, "/") == (200, "hello")
        assert not here.serving.done()
        await here.end_call()
        await here.left()
        assert [record.getMessage() for record in caplog.records if record.name == "gateway.drain"] == [
            "draining: 1 calls live, no new ones, up to 600 s"
        ]


@pytest.mark.anyio
@both_signals
async def test_the_second_signal_waits_for_no_call(number: signal.Signals) -> None:
    async with running(SETTINGS) as here:
        await here.open_call()
        signal.raise_signal(number)
        await here.drains()
        signal.raise_signal(number)
        signal.raise_signal(number)  # a third changes nothing
        await here.left()
        assert await here.gateway.live_calls() == 1


@pytest.mark.anyio
async def test_calls_that_outlast_the_drain_time_are_cut_off_and_it_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(replace(SETTINGS, drain_timeout_s=0)) as here:
        await here.open_call()
        signal.raise_signal(signal.SIGTERM)
        await here.left()
        assert "drain time is over: 1 calls are cut off" in caplog.text


@pytest.mark.anyio
async def test_metrics_have_a_port_of_their_own_while_the_server_runs() -> None:
    port = free_port()
    async with running(replace(SETTINGS, metrics_port=port)) as here:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    status, text = await here.get(port, "/metrics")
                    break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.01)
        assert (status, "switchboard_calls_active" in text) == (200, True)
        assert (await here.get(port, "/"))[0] == 404
        signal.raise_signal(signal.SIGTERM)
        await here.left()
        with pytest.raises(aiohttp.ClientConnectionError):
            await here.get(port, "/metrics")


@pytest.mark.anyio
async def test_a_server_that_leaves_on_its_own_needs_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def config_for_one_request(settings: Settings, gateway: Gateway) -> uvicorn.Config:
        config = uvicorn_config(settings, gateway)
        config.limit_max_requests = 1
        return config

    monkeypatch.setattr(server, "uvicorn_config", config_for_one_request)
    async with running(replace(SETTINGS, metrics_port=free_port())) as here:
        assert await here.get(here.port, "/") == (200, "hello")
        await here.left()
        assert here.gateway.doors.are_open


@asynccontextmanager
async def failing_start(app: Starlette) -> AsyncGenerator[None, None]:
    if app.routes:
        raise RuntimeError("the model is missing")
    yield


CHILD = """
import asyncio, sys
from dataclasses import replace
from gateway.server import serve
from tests.gateway.signed import SETTINGS
from tests.gateway.test_server import failing_start, gateway_of

lifespan = failing_start if sys.argv[2] == "fails" else None
asyncio.run(serve(replace(SETTINGS, port=int(sys.argv[1])), gateway_of(lifespan), print))
"""


def start_in_a_child(port: int, lifespan: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a server that cannot start; in a process of its own, because it ends the process."""
    command = [sys.executable, "-c", CHILD, str(port), lifespan]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=root, check=False)


def test_an_application_that_cannot_start_is_an_error_and_not_a_quiet_end() -> None:
    left = start_in_a_child(0, "fails")
    assert (left.returncode, left.stdout) == (STARTUP_FAILURE, "")
    assert "the model is missing" in left.stderr


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        left = start_in_a_child(taken.getsockname()[1], "works")
    assert (left.returncode, left.stdout) == (STARTUP_FAILURE, "")
    assert "address already in use" in left.stderr


@pytest.mark.anyio
async def test_a_server_that_is_gone_before_it_has_started_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def leave(_server: uvicorn.Server, *, sockets: object) -> None:
        """As uvicorn does when it is told to exit before it has bound its port."""

    monkeypatch.setattr(uvicorn.Server, "serve", leave)
    started: list[int] = []
    await asyncio.wait_for(serve(replace(SETTINGS, port=0), gateway_of(), started.append), LIMIT_S)
    assert started == []
