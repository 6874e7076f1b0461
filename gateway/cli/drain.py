"""`switchboard drain`: a running gateway takes no new calls from now on; with `--wait`, until it has none left.

For what comes before a stop, as a container's `preStop`: the gateway itself goes on until it is told to stop, and
then waits only for what is left of SWITCHBOARD_DRAIN_TIMEOUT. Several workers of one machine are drained by a
SIGTERM to their supervisor instead: a request reaches one of them.

Exit codes as everywhere: 1 if calls are left when the time is over, 3 where the gateway cannot be reached, 4 where
it refuses.
"""

from __future__ import annotations

import time
from typing import Any, Final

import click
import httpx2

from gateway.cli.call_outcome import REFUSED, UNREACHABLE, WRONG_USE
from gateway.cli.simulate import leave
from gateway.errors import SettingsError
from gateway.settings import read_settings

ASK_LIMIT_S: Final = 5.0
LOOK_EVERY_S: Final = 1.0
CALLS_ARE_LEFT: Final = 1


@click.command(name="drain")
@click.option("--url", envvar="SWITCHBOARD_URL", help="Of the gateway; by default 127.0.0.1 and PORT.")
@click.option("--token", help="Opens the control API (SWITCHBOARD_TOKEN).")
@click.option("--wait", "waits", is_flag=True, help="Return when no call is left, or when the time is over.")
@click.option("--timeout", "timeout_s", type=click.IntRange(0), help="Seconds to wait (SWITCHBOARD_DRAIN_TIMEOUT).")
def command(url: str | None, token: str | None, waits: bool, timeout_s: int | None) -> None:
    """Have a running gateway take no new calls."""
    try:
        settings = read_settings({"SWITCHBOARD_TOKEN": token or None})
    except SettingsError as error:
        leave(WRONG_USE, str(error))
    until_s = time.monotonic() + (settings.drain_timeout_s if timeout_s is None else timeout_s)
    headers = {"authorization": f"Bearer {settings.token}"}
    base_url = url or f"http://127.0.0.1:{settings.port}"
    with httpx2.Client(base_url=base_url, headers=headers, timeout=ASK_LIMIT_S, trust_env=False) as http:
        live = _asked(http, "POST", "/v1/drain", 202)
        while waits and _count(live):
            if time.monotonic() >= until_s:
                click.echo(f"time is over: {_told(live)} left", err=True)
                raise SystemExit(CALLS_ARE_LEFT)
            time.sleep(LOOK_EVERY_S)
            live = _asked(http, "GET", "/readyz", 503)
    click.echo(f"draining: {_told(live)} left", err=True)


def _asked(http: httpx2.Client, method: str, path: str, expected: int) -> dict[str, Any]:
    try:
        answer = http.request(method, path)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        leave(UNREACHABLE, f"{http.base_url} cannot be reached ({type(error).__name__}); give the gateway's --url")
    if answer.status_code == expected:
        told: dict[str, Any] = answer.json()
        return told
    try:
        leave(REFUSED, answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        leave(REFUSED, f"{http.base_url}{path} answered with HTTP {answer.status_code}; is it a Switchboard?")


def _count(live: dict[str, Any]) -> int:
    return int(live["calls"]) + int(live["sessions"])


def _told(live: dict[str, Any]) -> str:
    return f"{live['calls']} calls and {live['sessions']} sessions"
