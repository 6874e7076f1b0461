"""`switchboard undelivered`: the records of calls that nobody took, out of the control API of a running gateway.

Exit codes as everywhere: 3 where the gateway cannot be reached, 4 where it refuses, 1 if there are records that
were given up.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import click
import httpx2

from gateway.cli.call_outcome import REFUSED, UNREACHABLE, WRONG_USE
from gateway.cli.simulate import leave
from gateway.errors import SettingsError
from gateway.settings import read_settings

PATH: Final = "/v1/call-records/undelivered"
LIMIT_S: Final = 10.0
SOME_GIVEN_UP: Final = 1


@click.command(name="undelivered")
@click.option("--url", envvar="SWITCHBOARD_URL", help="Of the gateway; by default the one the settings tell of.")
@click.option("--token", help="Opens the control API (SWITCHBOARD_TOKEN).")
@click.option("--show", metavar="CALL_SID", help="Print the body that was not taken.")
@click.option("--retry", multiple=True, metavar="CALL_SID", help="Try it again; may be given several times.")
@click.option("--retry-all", is_flag=True, help="Try all of them again.")
@click.option("--json", "is_json", is_flag=True, help="The list as JSON.")
def command(
    url: str | None, token: str | None, show: str | None, retry: tuple[str, ...], retry_all: bool, is_json: bool
) -> None:
    """List the records of calls that SWITCHBOARD_CALL_WEBHOOK did not take, and try them again."""
    try:
        settings = read_settings({"SWITCHBOARD_TOKEN": token or None})
    except SettingsError as error:
        if url is None or not token:
            leave(WRONG_USE, f"{error}\nOr give --url and --token.")
        base_url, key = url, token
    else:
        base_url, key = url or settings.public_url, settings.token
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=base_url, headers=headers, timeout=LIMIT_S, trust_env=False) as http:
        if show is not None:
            click.echo(_asked(http, "GET", f"{PATH}/{show}").text)
            return
        if retry or retry_all:
            listed = _listed(http) if retry_all else []
            for call_sid in dict.fromkeys((*retry, *(one["call_sid"] for one in listed))):
                _asked(http, "POST", f"{PATH}/{call_sid}/retry")
                click.echo(f"{call_sid} is tried again", err=True)
            return
        listed = _listed(http)
    _print(listed, is_json=is_json)
    if listed:
        raise SystemExit(SOME_GIVEN_UP)


def _listed(http: httpx2.Client) -> list[dict[str, Any]]:
    told: dict[str, list[dict[str, Any]]] = _asked(http, "GET", PATH).json()
    return told["undelivered"]


def _asked(http: httpx2.Client, method: str, path: str) -> httpx2.Response:
    try:
        answer = http.request(method, path)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        leave(UNREACHABLE, f"{http.base_url} cannot be reached ({type(error).__name__}); give the gateway's --url")
    if answer.is_success:
        return answer
    try:
        leave(REFUSED, answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        leave(REFUSED, f"{http.base_url} answered with HTTP {answer.status_code}; is it a Switchboard?")


def _print(listed: list[dict[str, Any]], *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(listed))
        return
    if not listed:
        click.echo("No record was given up.", err=True)
    for one in listed:
        at = datetime.fromtimestamp(one["given_up_at_s"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        click.echo(f"{one['call_sid']}  {at}  {one['tries']:>3} tries  {one['why']}")
