"""A gateway of one's own for a while: a child process on a free loopback port, with secrets nobody else knows.

Started by `switchboard demo`. It is always ended, by its process id, whatever happens meanwhile.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gateway.cli.loopback import free_port, own_settings

READY_LIMIT_S: Final = 30.0
"""Loading the models takes a second or two; a machine that needs longer than this is broken or busy."""

LOOK_EVERY_S: Final = 0.1
LEAVE_LIMIT_S: Final = 10.0
"""After SIGTERM. No call is live any more, so that nothing is left to wait for."""

TAIL_LINES: Final = 15


class ChildFailed(Exception):
    """The gateway did not come up, or went away; says what its log says, and what to do."""


@dataclass(frozen=True, slots=True)
class ChildGateway:
    """A running one."""

    process: subprocess.Popen[bytes]
    url: str
    account_sid: str
    auth_token: str
    token: str
    log_path: Path


@contextmanager
def child_gateway(
    folder: Path,
    agent: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    ready_limit_s: float = READY_LIMIT_S,
) -> Iterator[ChildGateway]:
    """A gateway that answers `/readyz`, its log in `folder`. Raises `ChildFailed`, and `OSError` for the folder.

    The settings are fixed by the environment given to it, so that a `.env` of the real gateway changes nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / "gateway.log"
    port = free_port()
    account_sid = "AC" + secrets.token_hex(16)
    auth_token, token = secrets.token_hex(16), secrets.token_urlsafe(24)
    settings = {
        **own_settings(port, account_sid=account_sid, auth_token=auth_token),
        "SWITCHBOARD_TOKEN": token,
        "SWITCHBOARD_LOG_FORMAT": "text",
        **_browsers(),
    }
    if agent is not None:
        settings["SWITCHBOARD_AGENT"] = agent
    inherited = os.environ if environ is None else environ
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "serve"],
            env={**inherited, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us; the child is told when we are done
        )
    try:
        gateway = ChildGateway(process, settings["PUBLIC_URL"], account_sid, auth_token, token, log_path)
        _wait_until_ready(gateway, ready_limit_s)
        yield gateway
    finally:
        _end(process)


def _browsers() -> dict[str, str]:
    """The page to talk to the agent from a browser, where WebRTC is installed."""
    return {"SWITCHBOARD_DEMO_PAGE": "1"} if find_spec("aiortc") is not None else {}


def _wait_until_ready(gateway: ChildGateway, limit_s: float) -> None:
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if (code := gateway.process.poll()) is not None:
            raise ChildFailed(_words(gateway, f"the gateway left with exit code {code} before it was ready"))
        if _is_ready(gateway.url):
            return
        time.sleep(LOOK_EVERY_S)
    raise ChildFailed(_words(gateway, f"the gateway was not ready within {limit_s:g} s"))


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _words(gateway: ChildGateway, what: str) -> str:
    tail = gateway.log_path.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
    shown = "".join(f"\n  {line}" for line in tail) or "\n  (nothing)"
    return (
        f"{what}.\nThe end of its log, {gateway.log_path}:{shown}\n"
        "To mend it: `switchboard doctor` checks this machine and says what is missing."
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(LEAVE_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
