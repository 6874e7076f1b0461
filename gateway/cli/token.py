"""`switchboard token mint`: a JWT for a client that should not hold a key, signed with the gateway's own keys.

Needs SWITCHBOARD_JWT_KEYS, as the gateway has it, and no other setting: a backend may mint on another machine.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from gateway.credentials.access_tokens import AccessTokens
from gateway.credentials.client_secrets import PREFIX
from gateway.credentials.credential import OWNER, Scope, read_scopes
from gateway.errors import SettingsError
from gateway.settings import Settings, read_settings

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]{1,6})([smh]?)")

_OURS = ("SWITCHBOARD_JWT_KEYS", "SWITCHBOARD_JWT_MAX_S")
"""The settings this command is about; what is wrong with others is the gateway's business."""


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    found = _DURATION.fullmatch(value)
    if not found:
        raise click.BadParameter(f"expected a time like 90s, 10m or 1h, not {value!r}")
    return int(found[1]) * _UNITS_S[found[2]]


def _subject(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not OWNER.fullmatch(value):
        raise click.BadParameter(f"expected up to 64 letters, digits, _ . @ and -, not {value!r}")
    return value


@click.group(name="token")
def command() -> None:
    """Mint short-lived tokens."""


@command.command(name="mint")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("realtime",),
    show_default=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may be used for; may be given several times.",
)
@click.option("--ttl", "life_s", default="10m", show_default=True, callback=_seconds, help="Like 90s, 10m or 1h.")
@click.option(
    "--subject", default="cli", show_default=True, callback=_subject, help="Whose it is, in logs and limits."
)
@click.option("--single-use", is_flag=True, help="It opens one session.")
@click.option("--browser", is_flag=True, help="With ek_ in front, as OpenAI's browser SDK demands.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object, as client_secrets answers.")
@click.option("--env-file", type=click.Path(path_type=Path), help="File of settings; .env if there is one.")
def mint(
    scopes: tuple[str, ...],
    life_s: int,
    subject: str,
    single_use: bool,
    browser: bool,
    is_json: bool,
    env_file: Path | None,
) -> None:
    """Print a token."""
    settings = _settings(env_file)
    tokens = AccessTokens(
        settings.jwt_keys, max_life_s=settings.jwt_max_s, now=time.time, make_id=lambda: secrets.token_urlsafe(16)
    )
    try:
        text, token = tokens.mint(subject, read_scopes(scopes), life_s=life_s, is_single_use=single_use)
    except ValueError as error:
        raise click.BadParameter(f"{error} (SWITCHBOARD_JWT_MAX_S)", param_hint="'--ttl'") from error
    text = PREFIX + text if browser else text
    click.echo(json.dumps({"value": text, "expires_at": token.expires_at_s}) if is_json else text)


def _settings(env_file: Path | None) -> Settings:
    """The settings, as far as they concern tokens. Ends the program if these are wrong or there are no keys."""
    # What a gateway needs besides, and a mint does not.
    gateways_own: dict[str, str | bool] = {
        "SWITCHBOARD_INSECURE_DEV": True,
        "SWITCHBOARD_HOST": "127.0.0.1",
        "PUBLIC_URL": "http://127.0.0.1",
    }
    try:
        settings = read_settings(gateways_own, env_file=env_file)
    except SettingsError as error:
        faults = [fault for fault in error.faults if fault.startswith(_OURS)] or list(error.faults)
        _refuse("\n".join(faults))
    if not settings.jwt_keys:
        _refuse(
            "SWITCHBOARD_JWT_KEYS (not set): a token has to be signed with a key the gateway knows.\n"
            "Set it here and for the gateway alike: SWITCHBOARD_JWT_KEYS=2026a:$(openssl rand -hex 32)"
        )
    return settings


def _refuse(words: str) -> NoReturn:
    click.echo(f"switchboard: cannot mint\n{words}", err=True)
    sys.exit(2)
