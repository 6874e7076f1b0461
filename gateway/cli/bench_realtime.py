"""`switchboard bench-realtime`: how many Realtime sessions one core carries, and what a delta of sound costs.

JSON over WebSocket, 24 kHz PCM both ways, stub providers with no latency of their own. Beside the gateway, in the
same run and on the same core, a bare uvicorn and Starlette server that echoes the same frames: figures of one
machine mean little, the ratio of the two means something anywhere.
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

FLOOR: Final = "gateway.cli.bench_realtime_floor"
GATEWAY: Final = "gateway.cli.bench_realtime_gateway"

AIM: Final = 0.6
"""Of the sessions of the floor, so many the gateway is to carry."""

IDLE_PERCENT: Final = 65.0
"""Of the core. An echo waits for nothing: where it is late and has used less, somebody else used the rest."""


@click.command(name="bench-realtime")
@click.option("--sessions", default=50, show_default=True, help="Sessions at the first level.")
@click.option("--step", default=0, show_default=True, help="While they are sustained, so many more, and again.")
@click.option("--duration", default=5.0, show_default=True, help="Seconds to measure at each level.")
@click.option("--rate", default=50.0, show_default=True, help="New sessions a second while they are opened.")
@click.option("--noise", default=-60.0, show_default=True, help="Noise on the clients' lines, dB below full scale.")
@click.option("--seed", default=1, show_default=True)
@click.option("--limit", default=160.0, show_default=True, help="Seconds after which no further level is begun.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a level, and one of the whole, on stdout.")
def command(as_json: bool, **options: float) -> None:
    """Measure Realtime sessions, deltas, CPU and memory of one gateway process on one core, beside a bare echo."""
    try:
        # picows, the load's WebSocket client, is an extra that only a benchmark needs.
        run = import_module("gateway.cli.bench_realtime_run")
        uvloop = import_module("uvloop")
    except ImportError:
        click.echo("switchboard bench-realtime: needs its client: pip install 'switchboard-voice[bench]'", err=True)
        sys.exit(2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        floor, gateway = runner.run(run.compare(run.Options(**options), GATEWAY, FLOOR, _tell))
    echoed, made = ([asdict(level) for level in rig.levels] for rig in (floor, gateway))
    summary = summary_of(echoed, made, floor_is_full=floor.is_full, gateway_is_full=gateway.is_full)
    if as_json:
        click.echo("\n".join(json.dumps(one) for one in (*echoed, *made, summary)))
    else:
        shown = [floor.levels[0], gateway.levels[0]]
        shown += [rig.best for rig in (floor, gateway) if rig.best is not None and rig.best is not rig.levels[0]]
        click.echo(table([asdict(one) for one in shown]))
        click.echo()
        click.echo("\n".join(told(summary, stepped=bool(options["step"]))))
    first = gateway.levels[0]
    sys.exit(1 if first.failed or first.unanswered or first.errors or not summary["believable"] else 0)


def _tell(level: Any) -> None:
    """One line a level, while people wait."""
    word = "sustained" if level.sustained else "not sustained"
    failure = level.first_failure or level.first_error
    click.echo(
        f"{level.server}: {level.sessions} sessions, {word}, {level.cpu_percent} % of the core, "
        f"p99 there and back {_shown(level.round_trip_p99)} ms{f' ({failure})' if failure else ''}",
        err=True,
    )


def summary_of(
    floor: Sequence[dict[str, Any]],
    gateway: Sequence[dict[str, Any]],
    *,
    floor_is_full: bool,
    gateway_is_full: bool,
) -> dict[str, Any]:
    """What the levels of both come to; None where a figure is missing. Their first levels are of one size."""
    echo, made = floor[0], gateway[0]
    floor_most, gateway_most = (
        max((one["sessions"] for one in levels if one["sustained"]), default=0) for levels in (floor, gateway)
    )
    return {
        "at_sessions": made["sessions"],
        "added_first_delta_p50": _beyond(made["delta_p50"], echo["delta_p50"]),
        "added_first_delta_p95": _beyond(made["delta_p95"], echo["delta_p95"]),
        "further_delta_p50": made["further_delta_p50"],
        "further_delta_p95": made["further_delta_p95"],
        "floor_sessions_per_core": floor_most,
        "floor_is_full": floor_is_full,
        "gateway_sessions_per_core": gateway_most,
        "gateway_is_full": gateway_is_full,
        "ratio": _share(gateway_most, floor_most) if gateway_most else None,
        "aim": AIM,
        "cpu_ratio": _share(echo["cpu_ms_per_session_s"], made["cpu_ms_per_session_s"]),
        "believable": all(one["believable"] for one in (*floor, *gateway) if one["sustained"])
        and not (floor_is_full and floor[-1]["cpu_percent"] < IDLE_PERCENT),
    }


def _beyond(made: float | None, echo: float | None) -> float | None:
    return None if made is None or echo is None else round(made - echo, 1)


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 2) if whole else None


def told(summary: dict[str, Any], *, stepped: bool) -> list[str]:
    """The same for people."""
    figures = {name: _shown(value) for name, value in summary.items()}
    lines = [
        "At {at_sessions} sessions, beyond an echo of its size, the first delta takes {added_first_delta_p50} ms "
        "(p95 {added_first_delta_p95}); each further one comes after {further_delta_p50} ms "
        "(p95 {further_delta_p95}).".format(**figures),
        "An echo of the frames costs {cpu_ratio} of the CPU that a session costs.".format(**figures),
    ]
    if stepped:
        floor, gateway = (_most(summary, who) for who in ("floor", "gateway"))
        lines.append(
            f"Sessions per core: floor {floor}, gateway {gateway}: {figures['ratio']} of the floor (aim: {AIM})."
        )
    if not summary["believable"]:
        lines.append(
            "Not to be believed: the load generator itself was late, or the floor was with its core half idle. "
            "Run it on a quiet machine."
        )
    return lines


def _most(summary: dict[str, Any], who: str) -> str:
    most = summary[f"{who}_sessions_per_core"]
    if not most:
        return f"fewer than {summary['at_sessions']}"
    return str(most) if summary[f"{who}_is_full"] else f"at least {most}"


ROWS: Final = (
    ("sessions, failed, errors", "{sessions} · {failed} · {errors}"),
    ("sustained", "{sustained}"),
    ("CPU of the core", "{cpu_percent} %"),
    ("CPU per session-second", "{cpu_ms_per_session_s} ms"),
    ("memory, per added session", "{rss_mb} MB · {rss_kb_per_added_session} kB"),
    ("there and back p50 / p95 / p99", "{round_trip_p50} / {round_trip_p95} / {round_trip_p99} ms"),
    ("size of a delta", "{delta_kb} kB"),
    ("asked to first delta p50 / p95 / p99", "{delta_p50} / {delta_p95} / {delta_p99} ms"),
    ("each further one p50 / p95 / p99", "{further_delta_p50} / {further_delta_p95} / {further_delta_p99} ms"),
    ("delta later than needed p99", "{delta_lateness_p99} ms"),
    ("speech_stopped to delta p50 / p95", "{stop_to_delta_p50} / {stop_to_delta_p95} ms"),
    ("voice to voice p50 / p95", "{voice_to_voice_p50} / {voice_to_voice_p95} ms"),
    ("turns, unanswered", "{turns} · {unanswered}"),
    ("generator late p99", "{generator_lateness_p99} ms"),
)


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Levels side by side, for people."""
    rows = [("", *(str(one["server"]) for one in figures))]
    rows += [
        (title, *(row.format(**{name: _shown(value) for name, value in one.items()}) for one in figures))
        for title, row in ROWS
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _shown(value: object) -> object:
    """As people read it: nothing measured is a dash."""
    return "–" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
