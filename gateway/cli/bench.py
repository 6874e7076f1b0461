"""`switchboard bench`: how many conversing calls one core carries, and what each costs.

One gateway process on one core, the load on another, stub providers with no latency of their own, so that every
millisecond measured is ours. `--floor` runs the same load in the same minutes against a server that only echoes:
figures of one machine mean little, the ratio of the two means something anywhere.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace
from importlib import import_module
from typing import TypeAlias

import click

Run: TypeAlias = tuple[str, str, tuple[str, ...]]
"""What it is called, and the module to run with its arguments."""

FLOOR: Run = ("floor: uvicorn + Starlette echo", "gateway.cli.bench_floor", ())
GATEWAY: Run = ("gateway", "gateway.cli.main", ("serve",))


@click.command(name="bench")
@click.option("--calls", default=100, show_default=True, help="Conversing calls at once.")
@click.option("--rate", default=20.0, show_default=True, help="New calls a second while they are being placed.")
@click.option("--duration", default=30.0, show_default=True, help="Seconds to measure once all calls are up.")
@click.option("--barge-in", default=0.25, show_default=True, help="Share of answers the caller cuts into.")
@click.option("--noise", default=-60.0, show_default=True, help="Noise on the callers' lines, dB below full scale.")
@click.option("--lead", default=300, show_default=True, help="The gateway's playback lead in ms.")
@click.option("--seed", default=1, show_default=True)
@click.option("--floor", is_flag=True, help="Run a bare uvicorn and Starlette echo of the same frames beside it.")
@click.option("--step", default=0, help="While they are sustained, so many calls more, and again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run on stdout.")
def command(floor: bool, step: int, as_json: bool, **options: float) -> None:
    """Measure calls, CPU, latency and memory of one gateway process on one core."""
    try:
        # picows, the load's WebSocket client, is an extra that only a benchmark needs.
        bench_run = import_module("gateway.cli.bench_run")
        uvloop = import_module("uvloop")
    except ImportError:
        click.echo("switchboard bench: needs the load generator: pip install 'switchboard-voice[bench]'", err=True)
        sys.exit(2)
    chosen = bench_run.Options(**options)

    def measure(run: Run) -> dict[str, object]:
        name, module, arguments = run
        click.echo(f"{name}: {chosen.calls} calls, {chosen.duration:g} s …", err=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return asdict(runner.run(bench_run.measure(name, module, arguments, chosen)))

    figures = [measure(run) for run in ([FLOOR, GATEWAY] if floor else [GATEWAY])]
    while step and figures[-1]["sustained"]:
        chosen = replace(chosen, calls=chosen.calls + step)
        figures.append(measure(GATEWAY))
    click.echo("\n".join(json.dumps(figure) for figure in figures) if as_json else table(figures))
    sys.exit(1 if figures[-1]["failed"] or figures[-1]["unanswered"] else 0)


ROWS = (
    ("calls, failed", "{calls} · {failed}"),
    ("sustained", "{sustained}"),
    ("CPU of the core, per call", "{cpu_percent} % · {cpu_ms_per_call_s} ms per call-second"),
    ("memory, per added call", "{rss_mb} MB · {rss_kb_per_added_call} kB"),
    ("voice to voice p50 / p95", "{voice_to_voice_p50} / {voice_to_voice_p95} ms"),
    ("barge-in to clear p50 / p95", "{barge_in_to_clear_p50} / {barge_in_to_clear_p95} ms"),
    ("  slowest phrase p50, others p95", "{slowest_phrase} {slowest_phrase_p50} · {other_phrases_p95} ms"),
    ("frame lateness p50 / p95 / p99", "{frame_lateness_p50} / {frame_lateness_p95} / {frame_lateness_p99} ms"),
    ("turns, unanswered", "{turns} · {unanswered}"),
    ("barge-ins, not stopped", "{barge_ins} · {unstopped}"),
    ("underruns", "{underruns}"),
    ("generator late p99", "{generator_lateness_p99} ms"),
)


def table(figures: list[dict[str, object]]) -> str:
    """The runs side by side, for people."""
    width = max(len(title) for title, _ in ROWS)
    columns = [
        [
            str(figure["server"]),
            *(row.format(**{key: _shown(value) for key, value in figure.items()}) for _, row in ROWS),
        ]
        for figure in figures
    ]
    titles = ["", *(title for title, _ in ROWS)]
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = []
    for index, title in enumerate(titles):
        cells = (column[index].ljust(size) for column, size in zip(columns, widths, strict=True))
        lines.append(f"{title:<{width}}  {'   '.join(cells)}".rstrip())
    return "\n".join(lines)


def _shown(value: object) -> object:
    """As people read it: nothing measured is a dash."""
    return "–" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
