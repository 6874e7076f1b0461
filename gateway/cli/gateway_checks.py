"""What the doctor asks over the network: the port, the public URL as Twilio uses it, the signature's check.

Each check returns what it found and raises nothing. None of them opens a call: the WebSocket is meant to be
refused, and the signed request tells of a call that does not exist.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from gateway.cli.finding import Finding, Verdict, fine, problem
from gateway.cli.target import ANY_ACCOUNT
from gateway.setting_values import is_loopback
from gateway.settings import Settings
from simulator.signature import SIGNATURE_HEADER, sign

MEDIA_PROBE: Final = "/twilio/media/doctor"
"""No media token is ever that short, so a gateway of ours refuses it with 403."""

STATUS_PATH: Final = "/twilio/status"

_UPGRADE_FIX: Final = (
    "let the proxy or tunnel pass WebSockets on: HTTP/1.1 with the Upgrade and Connection headers "
    "(nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade)"
)


async def check_port(settings: Settings, timeout_s: float) -> list[Finding]:
    """Whether the port is free, or answered by a gateway of ours already."""
    if settings.port == 0:
        return [fine("port", "port: any free one")]
    where = f"{settings.host}:{settings.port}"
    try:
        with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return [await _who_listens(settings, where, timeout_s)]
        fix = "set SWITCHBOARD_HOST to an address of this machine, such as 127.0.0.1, and PORT to 1024 or above"
        return [problem("port", f"nobody can listen on {where}: {error.strerror or error}", fix)]
    return [fine("port", f"port {settings.port} is free")]


async def _who_listens(settings: Settings, where: str, timeout_s: float) -> Finding:
    if await is_our_gateway(_local_url(settings), timeout_s):
        return fine("port", f"port {settings.port}: a gateway is running")
    fix = f"stop that program, or take another port: PORT={settings.port + 1 if settings.port < 65_535 else 8080}"
    return problem(
        "port", f"port {settings.port} is taken by another program", fix, f"{where} answers, but not as a gateway"
    )


async def is_our_gateway(url: str, timeout_s: float) -> bool:
    """Whether `/readyz` there answers as ours does, be it ready or not."""
    try:
        async with _session(timeout_s) as session, session.get(f"{url}/readyz") as answer:
            body = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    return isinstance(body, dict) and {"status", "calls"} <= body.keys()


async def check_public_url(settings: Settings, timeout_s: float) -> list[Finding]:
    """PUBLIC_URL as Twilio meets it; one of this machine alone is no address for Twilio, and not asked."""
    url = settings.public_url
    if is_loopback(urlsplit(url).hostname or ""):
        text = f"PUBLIC_URL {url}: this machine alone can call"
        return [Finding("public-url", Verdict.NOT_CHECKED, text)]
    return [await look_at(url, timeout_s)]


async def look_at(url: str, timeout_s: float) -> Finding:
    """A plain request, then a real WebSocket handshake, which many tunnels and proxies drop."""
    began_s = time.perf_counter()
    try:
        async with _session(timeout_s) as session, session.get(f"{url}/healthz", allow_redirects=False) as answer:
            status = answer.status
            await answer.read()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fix = "start the gateway and the tunnel or proxy, and check the name in PUBLIC_URL"
        seen = f"GET /healthz: {error or f'no answer within {timeout_s:g} s'}"
        told = "Twilio would report error 11205, no connection, or 11200."
        return problem("public-url", f"PUBLIC_URL {url} cannot be reached", fix, seen, told)
    seen = f"GET /healthz {status} ({(time.perf_counter() - began_s) * 1000:.0f} ms)"
    if status != 200:
        fix = "point the tunnel or proxy at this gateway's host and port, all paths unchanged"
        return problem("public-url", f"PUBLIC_URL {url} does not lead to a gateway", fix, seen)
    outcome = await upgrade_outcome("ws" + url.removeprefix("http") + MEDIA_PROBE, timeout_s)
    if outcome == "403":
        return fine("public-url", f"PUBLIC_URL {url}, WebSocket reaches the gateway")
    seen += f"   WebSocket {MEDIA_PROBE}: {outcome}, expected 403 from the gateway"
    return problem(
        "public-url",
        f"PUBLIC_URL {url}",
        _UPGRADE_FIX,
        seen,
        "Twilio would report error 31920: the handshake fails.",
    )


async def upgrade_outcome(url: str, timeout_s: float) -> str:
    """What a WebSocket handshake leads to: the HTTP status in digits, or words."""
    try:
        async with connect(url, open_timeout=timeout_s, close_timeout=1, proxy=None, compression=None):
            return "101"
    except InvalidStatus as refusal:
        return str(refusal.response.status_code)
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except (InvalidHandshake, OSError, EOFError) as error:
        return str(error) or type(error).__name__


async def check_signature(settings: Settings, timeout_s: float) -> list[Finding]:
    """A request signed as Twilio signs is taken by the running gateway, one that was changed on the way is not."""
    url = _local_url(settings)
    if not await is_our_gateway(url, timeout_s):
        return [Finding("signature", Verdict.NOT_CHECKED, "signature round trip: no gateway is running")]
    form = {
        "CallSid": "CA" + "0" * 32,
        "AccountSid": settings.account_sid or ANY_ACCOUNT,
        "CallStatus": "completed",
    }
    signature = sign(settings.auth_token, settings.http_url(STATUS_PATH), form)
    try:
        signed = await _post(url, form, signature, timeout_s)
        tampered = await _post(url, {**form, "CallStatus": "busy"}, signature, timeout_s)
    except (aiohttp.ClientError, TimeoutError) as error:
        fix = "look into the gateway's log; it answers /readyz but no webhook"
        return [problem("signature", "signature round trip: no answer", fix, str(error) or type(error).__name__)]
    return [_judge(settings, signed, tampered)]


def _judge(settings: Settings, signed: tuple[int, str], tampered: tuple[int, str]) -> Finding:
    if tampered[0] != 403:
        if settings.insecure_dev:
            return Finding("signature", Verdict.WARNING, "signatures are not checked (SWITCHBOARD_INSECURE_DEV)")
        fix = "restart the gateway without --insecure-dev"
        seen = f"a request that was changed after signing was answered {tampered[0]}, expected 403"
        return problem("signature", "the running gateway does not check signatures", fix, seen)
    if signed[0] != 204:
        fix = "restart the gateway, so that it has the TWILIO_AUTH_TOKEN and PUBLIC_URL of these settings"
        seen = f"a request signed with TWILIO_AUTH_TOKEN was answered {signed[0]}, expected 204"
        why = signed[1].splitlines()[:2]
        return problem("signature", "the running gateway refuses what Twilio would sign", fix, seen, *why)
    return fine("signature", "signature round trip: signed accepted, tampered refused")


async def _post(url: str, form: Mapping[str, str], signature: str, timeout_s: float) -> tuple[int, str]:
    async with (
        _session(timeout_s) as session,
        session.post(url + STATUS_PATH, data=form, headers={SIGNATURE_HEADER: signature}) as answer,
    ):
        return answer.status, await answer.text()


def _session(timeout_s: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))


def _local_url(settings: Settings) -> str:
    """Where the gateway of these settings listens, seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
