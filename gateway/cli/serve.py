"""`switchboard serve`: read the settings, check them, answer calls until told to stop.

With more than one worker this process answers nobody: it is their supervisor, and each worker is a
`python -m gateway.cli.serve_worker` that reads the settings again, from the same sources.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway import logs
from gateway.app import Gateway, create_gateway
from gateway.cli.workers import supervise, worker_environ
from gateway.errors import SettingsError
from gateway.server import serve
from gateway.setting import written
from gateway.setting_values import is_loopback
from gateway.settings import Settings, read_settings
from gateway.supervisor.membership import Membership
from pipeline.agent import AgentFileError
from pipeline.provider import ProviderError

_FLAGS = {
    "host": "SWITCHBOARD_HOST",
    "port": "PORT",
    "workers": "WEB_CONCURRENCY",
    "metrics_port": "SWITCHBOARD_METRICS_PORT",
    "agent": "SWITCHBOARD_AGENT",
    "drain_timeout": "SWITCHBOARD_DRAIN_TIMEOUT",
    "log_format": "SWITCHBOARD_LOG_FORMAT",
    "log_level": "LOG_LEVEL",
    "insecure_dev": "SWITCHBOARD_INSECURE_DEV",
}
"""Each flag's setting."""


@click.command(name="serve")
@click.option("--host", help="Address to listen on (SWITCHBOARD_HOST).")
@click.option("--port", type=int, help="Port to listen on (PORT).")
@click.option("--workers", type=int, help="Worker processes on the port; more need REDIS_URL (WEB_CONCURRENCY).")
@click.option("--metrics-port", type=int, help="A port of its own for /metrics (SWITCHBOARD_METRICS_PORT).")
@click.option("--agent", help="Agent file, or the name of a built-in agent (SWITCHBOARD_AGENT).")
@click.option(
    "--drain-timeout", type=int, help="Seconds calls may go on after SIGTERM (SWITCHBOARD_DRAIN_TIMEOUT)."
)
@click.option("--log-format", type=click.Choice(["json", "text"]), help="SWITCHBOARD_LOG_FORMAT.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="LOG_LEVEL.")
@click.option("--env-file", type=click.Path(path_type=Path), help="File of settings; .env if there is one.")
@click.option("--insecure-dev", is_flag=True, default=None, help="Do not check signatures. On loopback only.")
def command(env_file: Path | None, **flags: str | int | bool | None) -> None:
    """Answer calls: webhooks and media streams, until SIGTERM or Ctrl-C."""
    named = {_FLAGS[flag]: value for flag, value in flags.items() if value is not None}
    try:
        settings = read_settings(named, env_file=env_file)
        gateway = create_gateway(settings)
    except (SettingsError, AgentFileError, ProviderError) as error:
        click.echo(f"switchboard: cannot start\n{error}", err=True)
        sys.exit(2)
    logs.configure(settings.log_level, settings.log_format, settings.secrets)
    for warning in settings.warnings:
        click.echo(f"  warning     {warning}", err=True)
    if settings.workers == 1:
        sys.exit(run(settings, gateway))
    # The gateway was made to find what is wrong with it; the workers make their own.
    environ = worker_environ(settings, {name: written(value) for name, value in named.items()})

    def ready(listening: Settings) -> None:
        _announce(listening, gateway.providers, listening.port)

    sys.exit(supervise(settings, environ, env_file, ready))


GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""Neither frames nor calls that are over leave cycles behind, so looking for some every 700 objects is work for
nothing. Memory per call is the same; `switchboard bench` shows both."""


def run(settings: Settings, gateway: Gateway, membership: Membership | None = None) -> int:
    """Serve on the fastest event loop there is here; the exit code. With a membership, as one worker of several."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    gc.freeze()  # what is loaded by now stays
    try:
        import uvloop  # a third of the cost per message of the standard loop; not on every system
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def started(port: int) -> None:
        if membership is None:
            _announce(settings, gateway.providers, port)

    with runner:
        runner.run(serve(settings, gateway, started, membership))
    return 0


def _announce(settings: Settings, providers: str, port: int) -> None:
    account = f"{settings.account_sid[:2]}…{settings.account_sid[-4:]}" if settings.account_sid else "any account"
    if settings.insecure_dev:
        check = "signature check OFF (--insecure-dev)"
    else:
        check = "signature check on" if settings.auth_token else "webhooks closed (no TWILIO_AUTH_TOKEN)"
    lines = (
        ("agent", settings.agent),
        ("public URL", settings.public_url),
        ("twilio", f"{account}  {check}"),
        ("providers", providers),
        ("voice URL", f"{settings.http_url('/twilio/voice')}  (POST)"),
        ("realtime", f"{settings.ws_url('/v1/realtime')}  /api/v1/realtime/session"),
        *((("workers", str(settings.workers)),) if settings.workers > 1 else ()),
        ("ready", f"{settings.host}:{port}  /healthz /readyz /metrics"),
    )
    click.echo(f"switchboard {version('switchboard-voice')}", err=True)
    for name, value in lines:
        click.echo(f"  {name:<11} {value}", err=True)
    for line in _what_next(settings):
        click.echo(line, err=True)


def _what_next(settings: Settings) -> tuple[str, ...]:
    """What stands between this gateway and a caller."""
    if not is_loopback(urlsplit(settings.public_url).hostname or ""):
        return (f"Set the number's voice URL to {settings.http_url('/twilio/voice')} and call it.",)
    return (
        "Twilio cannot reach this address. To answer a real number, open a tunnel to it (ngrok http "
        f"{settings.port}), put its https URL into .env as PUBLIC_URL=…, and start again.",
        f"Without a number: switchboard simulate --url {settings.public_url} --say hello",
    )
