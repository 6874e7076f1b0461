"""nginx's configuration: its text everywhere, and a real nginx with it where there is one (Debian's nginx-light).

Only what names a place is changed for the real one: it listens on a socket in a folder of the test's own, and its
two gateways are small servers here.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from gateway.front_desk import MEDIA_PATH
from tests.deploy.places import DEPLOY

pytestmark = pytest.mark.anyio

TEXT = (DEPLOY / "nginx.conf").read_text()
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
with_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx here: its configuration was read, not run")
"""What can be read is read all the same, by the first two tests."""

LIMIT_S = 20
STARTED = b"start worker process "
WORKERS = 2
"""More than one, because they must agree on where the fewest calls are."""


@dataclass(slots=True)
class Gateway:
    """What nginx takes for a gateway: sends back each message, and says which headers it was given."""

    server: Server | None = None
    seen: list[Headers] = field(default_factory=list)

    async def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.seen.append(connection.request.headers)
        async for message in connection:
            await connection.send(message)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """A webhook, if it is no WebSocket."""
        if request.headers.get("Upgrade"):
            return None
        self.seen.append(request.headers)
        return connection.respond(200, "ok")

    @property
    def port(self) -> int:
        assert self.server is not None
        return int(next(iter(self.server.sockets)).getsockname()[1])


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx and what is behind it."""

    folder: Path
    process: Process
    gateways: tuple[Gateway, Gateway]
    said: bytearray = field(default_factory=bytearray)

    @property
    def socket(self) -> Path:
        return self.folder / "nginx.sock"

    async def says(self, text: bytes, times: int = 1) -> None:
        """Return when its log has a text so often since it started."""
        assert self.process.stderr is not None
        while self.said.count(text) < times:
            self.said.extend(await self.process.stderr.receive())

    async def reload(self, change: Callable[[str], str]) -> None:
        """Another configuration; return when no old worker takes a connection any more."""
        configuration = self.folder / "nginx.conf"
        configuration.write_text(change(configuration.read_text()))
        workers = self.said.count(STARTED)
        self.process.send_signal(signal.SIGHUP)
        await self.says(b"gracefully shutting down", workers)

    async def call(self, stack: AsyncExitStack, path: str = f"{MEDIA_PATH}/token") -> ClientConnection:
        uri = f"ws://voice.example.com{path}"
        call = await stack.enter_async_context(unix_connect(str(self.socket), uri, ping_interval=None))
        await call.send("frame")
        assert await call.recv() == "frame"
        return call

    async def ask(self, path: str) -> bytes:
        """A request of HTTP/1.1; all that comes back."""
        async with await anyio.connect_unix(self.socket) as stream:
            await stream.send(
                f"GET {path} HTTP/1.1\r\nHost: voice.example.com\r\nConnection: close\r\n\r\n".encode()
            )
            return b"".join([chunk async for chunk in stream])


def adapted(folder: Path, ports: tuple[int, int]) -> str:
    text = TEXT.replace("worker_processes auto;", f"worker_processes {WORKERS};")
    text = text.replace("listen 8080;", f"listen unix:{folder}/nginx.sock;")
    text = text.replace("/tmp/nginx", f"{folder}/nginx").replace("/dev/stdout", f"{folder}/access.log")
    text = text.replace("error_log /dev/stderr warn;", "error_log stderr notice;")
    for name, port in zip(("gateway-1", "gateway-2"), ports, strict=True):
        text = text.replace(f"{name}:8080", f"127.0.0.1:{port}")
    return text


@asynccontextmanager
async def front(folder: Path) -> AsyncGenerator[Front, None]:
    """nginx with our configuration before two gateways."""
    gateways = Gateway(), Gateway()
    async with AsyncExitStack() as stack:
        for gateway in gateways:
            gateway.server = await stack.enter_async_context(
                serve(gateway.talk, "127.0.0.1", 0, process_request=gateway.answer)
            )
        configuration = folder / "nginx.conf"
        configuration.write_text(adapted(folder, (gateways[0].port, gateways[1].port)))
        command = [str(NGINX), "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"]
        process = await anyio.open_process(command, stdin=None, stdout=None)
        try:
            nginx = Front(folder, process, gateways)
            with anyio.fail_after(LIMIT_S):
                await nginx.says(STARTED, WORKERS)
            yield nginx
        finally:
            process.terminate()
            with anyio.fail_after(LIMIT_S, shield=True):
                await process.wait()
                await process.aclose()


def test_the_text_balances_by_calls_and_waits_for_silent_ones() -> None:
    assert re.search(r"upstream gateways \{[^}]*\bzone [^}]*\bleast_conn;", TEXT)
    for timeout in ("proxy_read_timeout", "proxy_send_timeout"):
        assert re.search(rf"^\s*{timeout} 3600s;", TEXT, re.MULTILINE)
    assert "proxy_buffering off;" in TEXT and "proxy_request_buffering off;" in TEXT
    assert not re.search(r"^\s*worker_shutdown_timeout", TEXT, re.MULTILINE)
    assert not re.search(r"^\s*proxy_next_upstream .*non_idempotent", TEXT, re.MULTILINE)


def test_the_text_logs_no_token_of_a_media_stream() -> None:
    (media,) = re.findall(rf"location {MEDIA_PATH}/ \{{(.*?)\}}", TEXT, re.DOTALL)
    assert "access_log off;" in media and "error_log /dev/null" in media
    (shown,) = re.findall(r"log_format paths '(.*)';", TEXT)
    assert "$uri" in shown and "$request " not in shown and "$args" not in shown


@with_nginx
def test_nginx_accepts_it(tmp_path: Path) -> None:
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(adapted(tmp_path, (1, 2)))
    command = [str(NGINX), "-t", "-e", "stderr", "-c", str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@with_nginx
async def test_a_websocket_passes_both_ways_with_the_host_it_asked_for(tmp_path: Path) -> None:
    async with front(tmp_path) as nginx, AsyncExitStack() as calls:
        with anyio.fail_after(LIMIT_S):
            await nginx.call(calls)
            (headers,) = [*nginx.gateways[0].seen, *nginx.gateways[1].seen]
            assert headers["Host"] == "voice.example.com"
            assert "X-Forwarded-For" in headers


@with_nginx
async def test_a_call_goes_where_the_fewest_calls_are(tmp_path: Path) -> None:
    async with front(tmp_path) as nginx, AsyncExitStack() as stack:
        with anyio.fail_after(LIMIT_S):
            first, second = nginx.gateways
            calls: list[tuple[ClientConnection, Gateway]] = []
            for _ in range(10):
                before = len(first.seen)
                call = await nginx.call(stack)
                calls.append((call, first if len(first.seen) > before else second))
            assert (len(first.seen), len(second.seen)) == (5, 5)
            for call, gateway in calls:
                if gateway is first:
                    await call.close()
                    await call.wait_closed()
            for _ in range(5):  # turn by turn, both would now fill
                await nginx.call(stack)
            assert (len(first.seen), len(second.seen)) == (10, 5)


@with_nginx
async def test_a_gateway_that_is_gone_costs_no_webhook(tmp_path: Path) -> None:
    async with front(tmp_path) as nginx:
        with anyio.fail_after(LIMIT_S):
            gone = nginx.gateways[0].server
            assert gone is not None
            gone.close()
            await gone.wait_closed()
            answers = Counter([(await nginx.ask("/twilio/voice")).split(b"\r\n")[0] for _ in range(6)])
            assert answers == {b"HTTP/1.1 200 OK": 6}
            assert len(nginx.gateways[1].seen) == 6


@with_nginx
async def test_a_gateway_taken_out_keeps_its_calls_and_gets_no_new_ones(tmp_path: Path) -> None:
    async with front(tmp_path) as nginx, AsyncExitStack() as calls:
        with anyio.fail_after(LIMIT_S):
            call = await nginx.call(calls)
            out, other = sorted(nginx.gateways, key=lambda gateway: -len(gateway.seen))
            await nginx.reload(lambda text: text.replace(f":{out.port} ", f":{out.port} down "))
            for _ in range(4):
                await nginx.call(calls)
            await call.send("still here")
            assert await call.recv() == "still here"
            assert (len(out.seen), len(other.seen)) == (1, 4)


@with_nginx
async def test_the_log_has_paths_but_neither_tokens_nor_queries(tmp_path: Path) -> None:
    async with front(tmp_path) as nginx, AsyncExitStack() as calls:
        with anyio.fail_after(LIMIT_S):
            async with AsyncExitStack() as ended:
                await nginx.call(ended, f"{MEDIA_PATH}/one-time-token")
                await nginx.call(ended, "/v1/realtime?client_secret=ek_secret")
            await nginx.call(calls)
            assert b"200 OK" in await nginx.ask("/healthz?who=me")
    log = (tmp_path / "access.log").read_text()
    assert " /v1/realtime 101 " in log and " /healthz 200 " in log
    assert "token" not in log and "secret" not in log and "who" not in log
