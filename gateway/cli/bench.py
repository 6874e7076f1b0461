"""`switchboard bench`: how many conversing calls one core carries, and what each costs.

One gateway process on one core, the load on another, stub providers with no latency of their own, so that every
millisecond measured is ours. `--floor` runs the same load in the same minutes against a server that only echoes:
figures of one machine mean little, the ratio of the two means something anywhere. `--redis` runs it a second time
with a Redis of its own, `--workers` with several gateways on that: what it costs that others may go on with calls.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

import click

from gateway.cli.bench_table import ratio, table

SHORT_CALLS = 40
"""That begin and end at once, where Redis is measured: their beginnings cost about as much as seconds of talk."""


@click.command(name="bench")
@click.option("--calls", default=100, show_default=True, help="Conversing calls at once.")
@click.option("--rate", default=20.0, show_default=True, help="New calls a second while they are being placed.")
@click.option("--duration", default=30.0, show_default=True, help="Seconds to measure once all calls are up.")
@click.option("--barge-in", default=0.25, show_default=True, help="Share of answers the caller cuts into.")
@click.option("--noise", default=-60.0, show_default=True, help="Noise on the callers' lines, dB below full scale.")
@click.option("--lead", default=300, show_default=True, help="The gateway's playback lead in ms.")
@click.option("--seed", default=1, show_default=True)
@click.option("--floor", is_flag=True, help="Run a bare uvicorn and Starlette echo of the same frames beside it.")
@click.option("--redis", is_flag=True, help="Measure the gateway a second time, with a Redis of its own.")
@click.option("--workers", type=click.IntRange(1), default=1, help="So many gateways on that Redis, on one core.")
@click.option("--step", default=0, help="While they are sustained, so many calls more, and again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run on stdout.")
def command(floor: bool, redis: bool, workers: int, step: int, as_json: bool, **options: float) -> None:
    """Measure calls, CPU, latency and memory of one gateway process on one core."""
    if workers > 1 and not redis:
        raise click.UsageError("several workers share their calls through Redis: add --redis")
    try:
        # picows, the load's WebSocket client, is an extra that only a benchmark needs.
        bench_run = import_module("gateway.cli.bench_run")
        uvloop = import_module("uvloop")
    except ImportError:
        click.echo("switchboard bench: needs the load generator: pip install 'switchboard-voice[bench]'", err=True)
        sys.exit(2)
    chosen = bench_run.Options(**options, short_calls=SHORT_CALLS if redis else 0)

    def measure(subject: Any, options: Any) -> dict[str, Any]:
        click.echo(f"{subject.name}: {options.calls} calls, {options.duration:g} s …", err=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _explained():
            return asdict(runner.run(bench_run.measure(subject, options)))

    gateway = bench_run.Subject("gateway", "gateway.cli.main", ("serve",))
    figures, told = [], ""
    if floor:
        echo = bench_run.Subject("floor: uvicorn + Starlette echo", "gateway.cli.bench_floor")
        figures.append(measure(echo, replace(chosen, short_calls=0)))
    figures.append(measure(gateway, chosen))
    if redis:
        name = "gateway, Redis" if workers == 1 else f"{workers} gateways, Redis"
        gateway = replace(gateway, name=name, workers=workers, has_redis=True)
        figures.append(measure(gateway, chosen))
        told = "" if as_json else "\n" + ratio(*figures[-2:])
    while step and figures[-1]["sustained"]:
        chosen = replace(chosen, calls=chosen.calls + step)
        figures.append(measure(gateway, chosen))
    click.echo("\n".join(json.dumps(figure) for figure in figures) if as_json else table(figures) + told)
    sys.exit(1 if figures[-1]["failed"] or figures[-1]["unanswered"] else 0)


@contextmanager
def _explained() -> Generator[None]:
    """No redis-server, a server that did not start, a call that went wrong: in its own words."""
    try:
        yield
    except (RuntimeError, ExceptionGroup) as error:
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if not isinstance(first, RuntimeError):
            raise
        raise click.ClickException(str(first)) from error
