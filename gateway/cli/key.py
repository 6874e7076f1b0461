"""`switchboard key new`: an API key, shown once, and the table that lets a gateway know it again.

The table goes to stdout, the key to stderr, so that `switchboard key new --id web >> keys.toml` writes no secret
into the file.
"""

from __future__ import annotations

import json
import secrets

import click

from gateway.credentials.credential import Scope, read_scopes
from gateway.credentials.keyring import KEY_ID, RESERVED_IDS, base64_of, entry

SECRET_BYTES = 32


def _checked_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not KEY_ID.fullmatch(value) or value in RESERVED_IDS:
        taken = " and ".join(sorted(RESERVED_IDS))
        raise click.BadParameter(f"expected up to 64 letters, digits, _ and -, not {value!r}; {taken} are taken")
    return value


@click.group(name="key")
def command() -> None:
    """Make API keys for programs."""


@command.command(name="new")
@click.option("--id", "key_id", required=True, callback=_checked_id, help="Its name, in logs and limits.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("realtime",),
    show_default=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may be used for; may be given several times.",
)
@click.option("--hmac", "keeps_secret", is_flag=True, help="Keep the secret in the file, for the IW1-HMAC mint.")
@click.option("--json", "is_json", is_flag=True, help="Key and table as one JSON object.")
def new(key_id: str, scopes: tuple[str, ...], keeps_secret: bool, is_json: bool) -> None:
    """Make a key. It is shown once; the gateway keeps its hash."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    text = f"{key_id}:{secret}"
    table = entry(key_id, secret, read_scopes(scopes), keeps_secret=keeps_secret)
    if is_json:
        click.echo(json.dumps({"id": key_id, "key": text, "base64": base64_of(text), "entry": table}))
        return
    for name, value in (("key", text), ("in base64", base64_of(text))):
        click.echo(f"{name:<10} {value}", err=True)
    click.echo("Keep it now, it is not shown again. Use either form; Inworld's clients take the base64.", err=True)
    click.echo("Append the table below to the file of SWITCHBOARD_API_KEYS and restart the gateway.", err=True)
    click.echo(table, nl=False)
