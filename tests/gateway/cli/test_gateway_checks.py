from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from gateway.cli import gateway_checks
from gateway.cli.finding import Finding, Verdict
from gateway.cli.gateway_checks import (
    MEDIA_PROBE,
    STATUS_PATH,
    check_port,
    check_public_url,
    check_signature,
    is_our_gateway,
    look_at,
    upgrade_outcome,
)
from gateway.settings import Settings
from simulator.signature import SIGNATURE_HEADER, sign

pytestmark = pytest.mark.anyio

TIMEOUT_S = 5.0


def settings_at(port: int, auth_token: str = "secret") -> Settings:
    return Settings(public_url=f"http://127.0.0.1:{port}", auth_token=auth_token, port=port)


class Front:
    """A gateway as the doctor meets it, or what stands in its place: an answer by path."""

    def __init__(self, **answers: int) -> None:
        self.answers = {"/healthz": 200, MEDIA_PROBE: 403, "/readyz": 200, **answers}
        self.auth_token = "secret"
        self.checks_signatures = True
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == STATUS_PATH:
            return await self._status(request)
        if request.path == "/readyz" and self.answers["/readyz"] == 200:
            return web.json_response({"status": "draining", "calls": 1}, status=503)
        if self.answers[request.path] == 101:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.close()
            return socket
        return web.Response(status=self.answers[request.path], text="hello")

    async def _status(self, request: web.BaseRequest) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        signed = sign(self.auth_token, f"http://127.0.0.1:{self.port}{STATUS_PATH}", form)
        if self.checks_signatures and request.headers[SIGNATURE_HEADER] != signed:
            return web.Response(status=403, text="not signed\nChecked over x\nmore")
        return web.Response(status=204)


@asynccontextmanager
async def running(front: Front) -> AsyncIterator[Front]:
    runner = web.ServerRunner(web.Server(front.answer), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    front.port = runner.addresses[0][1]
    try:
        async with asyncio.timeout(20):
            yield front
    finally:
        await runner.cleanup()


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    assert finding.fix or finding.verdict is not Verdict.PROBLEM
    return finding


async def test_a_free_port_is_fine(unused_port: int) -> None:
    assert only(await check_port(settings_at(unused_port), TIMEOUT_S)).text == f"port {unused_port} is free"
    assert only(await check_port(settings_at(0), TIMEOUT_S)).verdict is Verdict.FINE


async def test_a_port_with_a_gateway_of_ours_on_it_is_fine_even_while_it_drains() -> None:
    async with running(Front()) as front:
        finding = only(await check_port(settings_at(front.port), TIMEOUT_S))
    assert (finding.verdict, finding.text) == (Verdict.FINE, f"port {front.port}: a gateway is running")


async def test_a_port_another_program_has_is_a_problem_and_another_port_is_proposed() -> None:
    async with running(Front(**{"/readyz": 404})) as front:
        finding = only(await check_port(settings_at(front.port), TIMEOUT_S))
    assert (finding.verdict, finding.text) == (
        Verdict.PROBLEM,
        f"port {front.port} is taken by another program",
    )
    assert f"PORT={front.port + 1}" in finding.fix or "PORT=8080" in finding.fix


async def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    finding = only(await check_port(replace(settings_at(8080), host="192.0.2.1"), TIMEOUT_S))
    assert finding.verdict is Verdict.PROBLEM
    assert "nobody can listen on 192.0.2.1:8080" in finding.text
    assert "SWITCHBOARD_HOST" in finding.fix


async def test_something_that_is_no_gateway_is_told_from_one() -> None:
    async with running(Front(**{"/readyz": 500})) as front:
        assert not await is_our_gateway(f"http://127.0.0.1:{front.port}", TIMEOUT_S)
    assert not await is_our_gateway(f"http://127.0.0.1:{front.port}", TIMEOUT_S)


async def test_a_public_url_of_this_machine_is_not_asked() -> None:
    assert only(await check_public_url(settings_at(1), TIMEOUT_S)).verdict is Verdict.NOT_CHECKED


async def test_another_public_url_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(url: str, timeout_s: float) -> Finding:
        return Finding("public-url", Verdict.FINE, f"{url} {timeout_s}")

    monkeypatch.setattr(gateway_checks, "look_at", look)
    settings = replace(settings_at(1), public_url="https://voice.example")
    assert only(await check_public_url(settings, 3.0)).text == "https://voice.example 3.0"


async def test_a_public_url_whose_websocket_reaches_the_gateway_is_fine() -> None:
    async with running(Front()) as front:
        finding = await look_at(f"http://127.0.0.1:{front.port}", TIMEOUT_S)
    assert finding.verdict is Verdict.FINE


async def test_a_public_url_nobody_answers_at_is_a_problem(unused_port: int) -> None:
    finding = only([await look_at(f"http://127.0.0.1:{unused_port}", TIMEOUT_S)])
    assert "cannot be reached" in finding.text
    assert "11205" in finding.details[1]
    assert "start the gateway and the tunnel" in finding.fix


async def test_a_public_url_that_leads_elsewhere_is_a_problem() -> None:
    async with running(Front(**{"/healthz": 404})) as front:
        finding = only([await look_at(f"http://127.0.0.1:{front.port}", TIMEOUT_S)])
    assert "does not lead to a gateway" in finding.text
    assert finding.details[0].startswith("GET /healthz 404")


@pytest.mark.parametrize("status", [502, 404, 426, 101])
async def test_a_proxy_that_drops_the_upgrade_is_explained_as_twilios_error(status: int) -> None:
    async with running(Front(**{MEDIA_PROBE: status})) as front:
        finding = only([await look_at(f"http://127.0.0.1:{front.port}", TIMEOUT_S)])
    assert finding.verdict is Verdict.PROBLEM
    assert f"WebSocket {MEDIA_PROBE}: {status}, expected 403" in finding.details[0]
    assert "31920" in finding.details[1]
    assert "Upgrade" in finding.fix


async def test_a_handshake_that_breaks_or_hangs_is_told_in_words(unused_port: int) -> None:
    assert await upgrade_outcome(f"ws://127.0.0.1:{unused_port}/", TIMEOUT_S) not in ("", "101", "403")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        assert await upgrade_outcome(url, 0.05) == "no answer within 0.05 s"


async def test_a_gateway_that_takes_what_is_signed_and_refuses_what_was_changed_is_fine() -> None:
    async with running(Front()) as front:
        finding = only(await check_signature(settings_at(front.port), TIMEOUT_S))
    assert finding.text == "signature round trip: signed accepted, tampered refused"


async def test_without_a_gateway_no_signature_is_tried(unused_port: int) -> None:
    finding = only(await check_signature(settings_at(unused_port), TIMEOUT_S))
    assert finding.verdict is Verdict.NOT_CHECKED


async def test_a_gateway_with_another_token_is_to_be_restarted() -> None:
    async with running(Front()) as front:
        finding = only(await check_signature(settings_at(front.port, "other"), TIMEOUT_S))
    assert finding.verdict is Verdict.PROBLEM
    assert "answered 403, expected 204" in finding.details[0]
    assert finding.details[1:] == ("not signed", "Checked over x")
    assert "restart the gateway" in finding.fix


async def test_a_gateway_that_takes_everything_is_a_problem_unless_it_was_asked_to() -> None:
    front = Front()
    front.checks_signatures = False
    async with running(front):
        finding = only(await check_signature(settings_at(front.port), TIMEOUT_S))
        assert (finding.verdict, "--insecure-dev" in finding.fix) == (Verdict.PROBLEM, True)
        open_door = replace(settings_at(front.port), insecure_dev=True)
        assert only(await check_signature(open_door, TIMEOUT_S)).verdict is Verdict.WARNING


async def test_a_gateway_that_answers_no_webhook_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> tuple[int, str]:
        raise TimeoutError

    monkeypatch.setattr(gateway_checks, "_post", hang)
    async with running(Front()) as front:
        finding = only(await check_signature(settings_at(front.port), TIMEOUT_S))
    assert (finding.verdict, finding.details) == (Verdict.PROBLEM, ("TimeoutError",))


async def test_a_gateway_on_all_addresses_is_asked_on_loopback() -> None:
    async with running(Front()) as front:
        settings = replace(settings_at(front.port), host="0.0.0.0")
        assert only(await check_signature(settings, TIMEOUT_S)).verdict is Verdict.FINE
