"""A gateway under proof: the real one, with providers that bear witness (`prove_witness.py`).

    python -m gateway.cli.prove_gateway single               one worker on its own port
    python -m gateway.cli.prove_gateway supervised           several on one port, as `switchboard serve --workers N`
    python -m gateway.cli.prove_gateway worker --place …     one of those, started by their supervisor

Its settings come from the environment alone. On SIGUSR1 it appends how many tasks it has to a file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

import click

from gateway import logs
from gateway.app import Gateway, create_gateway
from gateway.cli.prove_witness import (
    ANSWER_WORDS,
    GREETING,
    Ledger,
    WitnessModel,
    WitnessTranscriber,
    WitnessVoice,
)
from gateway.cli.serve import run
from gateway.settings import Settings, read_settings
from gateway.supervisor.membership import Membership
from gateway.supervisor.seat import Seat
from gateway.supervisor.supervisor import Plan, Supervisor, bound
from gateway.supervisor.worker_process import Limits
from gateway.worker_id import take_worker_id
from pipeline.agent import load_agent
from pipeline.events.config import ServerVad
from pipeline.responder import Cascade

MODULE: Final = "gateway.cli.prove_gateway"

LEDGER: Final = "SWITCHBOARD_PROVE_LEDGER"
"""The file of what models were told."""

TASKS: Final = "SWITCHBOARD_PROVE_TASKS"
"""The file of how many tasks there were, whenever SIGUSR1 came."""

WORDS: Final = "SWITCHBOARD_PROVE_WORDS"
"""Of each answer."""

SILENCE_MS: Final = 300
"""After which a caller has finished: as short as a quick agent's."""


@click.group()
def main() -> None:
    """A gateway under proof."""


@main.command()
def single() -> None:
    """One worker."""
    settings = _settings()
    sys.exit(run(settings, witnessed(settings)))


@main.command()
def supervised() -> None:
    """Several workers on one port."""
    settings = _settings()
    plan = Plan(
        workers=settings.workers,
        command=lambda seat: (sys.executable, "-m", MODULE, "worker", *seat.options()),
        environ=os.environ,
        limits=Limits(watchdog_s=settings.watchdog_s),
    )
    with bound(settings.host, settings.port) as listener:
        sys.exit(asyncio.run(Supervisor(plan, listener).run(lambda: None)))


@main.command()
@click.option("--worker-id", required=True)
@click.option("--place", type=int, required=True)
@click.option("--listener", type=int, required=True)
@click.option("--channel", type=int, required=True)
@click.option("--tally", type=int, required=True)
def worker(worker_id: str, place: int, listener: int, channel: int, tally: int) -> None:
    """One of several."""
    take_worker_id(worker_id)
    settings = _settings()
    gateway = witnessed(settings)
    seat = Seat(worker_id=worker_id, place=place, listener=listener, channel=channel, tally=tally)
    sys.exit(run(settings, gateway, Membership(seat, lambda: gateway.desk.metrics.render()[0])))


def witnessed(settings: Settings) -> Gateway:
    """The gateway with witnesses for providers."""
    agent = replace(
        load_agent("reception"),
        greeting=GREETING,
        fillers=(),
        tools=(),
        turn_detection=ServerVad(silence_duration_ms=SILENCE_MS),
    )
    words = int(os.environ.get(WORDS, ANSWER_WORDS))
    model = WitnessModel(Ledger(Path(os.environ[LEDGER])), words=words)
    return create_gateway(settings, agent=agent, cascade=Cascade(WitnessTranscriber(), model, WitnessVoice()))


def _settings() -> Settings:
    # The empty file keeps a `.env` of a real gateway out.
    settings = read_settings(env_file=Path(os.devnull))
    logs.configure(settings.log_level, settings.log_format, settings.secrets)
    signal.signal(signal.SIGUSR1, _count_tasks)
    return settings


def _count_tasks(_signal: int, _frame: FrameType | None) -> None:
    line = f"{os.getpid()} {len(asyncio.all_tasks())}\n"
    with Path(os.environ[TASKS]).open("a") as file:
        file.write(line)


if __name__ == "__main__":
    main()
