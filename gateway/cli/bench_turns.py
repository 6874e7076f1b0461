"""`switchboard bench-turns`: what preemptive generation and hedging save, and what they cost.

Simulated callers speak to a gateway whose providers are stand-ins as slow as real services. The same turns, with
the same latencies, are played in four arms: plain, preemptive, hedging, both. Everything is measured from outside:
times at the callers' ears, tokens and requests in the stand-ins.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any, Final

import click

ARM_NAMES: Final = ("plain", "preemptive", "hedging", "both")


@click.command(name="bench-turns")
@click.option("--calls", default=20, show_default=True, help="Callers at once.")
@click.option("--turns", default=6, show_default=True, help="Of each caller.")
@click.option("--arm", "arms", type=click.Choice(ARM_NAMES), multiple=True, help="Only this one; may be repeated.")
@click.option("--pauses", default=0.2, show_default=True, help="Share of turns with a pause of 250 to 400 ms.")
@click.option("--stt", default=150, show_default=True, help="Median latency of transcripts, ms.")
@click.option("--llm", default=300, show_default=True, help="Median to the model's first token, ms.")
@click.option("--tts", default=120, show_default=True, help="Median to the voice's first byte, ms.")
@click.option("--slow", default=0.05, show_default=True, help="Share of model requests that take 1.5 to 3 s.")
@click.option("--silence", default=500, show_default=True, help="Silence that ends a turn, ms.")
@click.option("--noise", default=-60.0, show_default=True, help="Noise on the callers' lines, dB below full scale.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object an arm on stdout.")
def command(arms: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Measure what preemptive generation and hedging save with providers as slow as real ones, and cost."""
    try:
        # picows, the load's WebSocket client, is an extra that only a benchmark needs.
        run = import_module("gateway.cli.bench_turns_run")
        shown = import_module("gateway.cli.bench_turns_table")
        uvloop = import_module("uvloop")
    except ImportError:
        click.echo(
            "switchboard bench-turns: needs the load generator: pip install 'switchboard-voice[bench]'", err=True
        )
        sys.exit(2)
    chosen = import_module("gateway.cli.bench_turns_options").Options(**options)
    outcomes = []
    for arm in run.ARMS:
        if not arms or arm.name in arms:
            click.echo(f"{arm.name}: {chosen.calls} calls, {chosen.turns} turns each …", err=True)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                outcomes.append(runner.run(run.run_arm(arm, chosen)))
    figures = [asdict(shown.figures_of(outcome, outcomes[0])) for outcome in outcomes]
    if as_json:
        click.echo("\n".join(json.dumps(one) for one in figures))
    else:
        click.echo(shown.table(figures))
        click.echo()
        click.echo("\n".join(shown.floors(chosen)))
    sys.exit(_exit_code(figures))


def _exit_code(figures: Sequence[dict[str, Any]]) -> int:
    return 1 if any(one["failed"] or one["unanswered"] for one in figures) else 0
