"""One worker of `switchboard serve --workers N`. Started by its supervisor and by nobody else.

It reads the settings from the environment its supervisor has made, and from the same file of settings. A file that
was changed counts from the next start on, so that a rolling restart brings the change in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway import logs
from gateway.app import create_gateway
from gateway.cli.serve import run
from gateway.errors import SettingsError
from gateway.settings import read_settings
from gateway.supervisor.membership import Membership
from gateway.supervisor.seat import Seat
from gateway.worker_id import take_worker_id
from pipeline.agent import AgentFileError
from pipeline.provider import ProviderError


@click.command(name="serve-worker")
@click.option("--worker-id", required=True)
@click.option("--place", type=int, required=True)
@click.option("--listener", type=int, required=True)
@click.option("--channel", type=int, required=True)
@click.option("--tally", type=int, required=True)
@click.option("--env-file", type=click.Path(path_type=Path))
def command(worker_id: str, place: int, listener: int, channel: int, tally: int, env_file: Path | None) -> None:
    """Serve as one worker of several."""
    take_worker_id(worker_id)
    try:
        settings = read_settings(env_file=env_file)
        gateway = create_gateway(settings)
    except (SettingsError, AgentFileError, ProviderError) as error:
        click.echo(f"switchboard: worker {worker_id} cannot start\n{error}", err=True)
        sys.exit(2)
    logs.configure(settings.log_level, settings.log_format, settings.secrets, worker=worker_id)
    seat = Seat(worker_id=worker_id, place=place, listener=listener, channel=channel, tally=tally)
    sys.exit(run(settings, gateway, Membership(seat, lambda: gateway.desk.metrics.render()[0])))


if __name__ == "__main__":
    command()
