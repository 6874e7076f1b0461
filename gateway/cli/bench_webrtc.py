"""`switchboard bench-webrtc`: how many WebRTC sessions one core carries, and by how much they delay sound.

Opus both ways over ICE, DTLS and SRTP on loopback, stub providers with no latency of their own. Beside the gateway,
in the same run and on the same core, stock aiortc that echoes what it hears: figures of one machine mean little,
the ratio of the two means something anywhere. Between them our own peer connections with the same echo and no
session behind it, which tell apart what is transport and what is a session.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from importlib import import_module
from typing import Any, Final

import click

from gateway.cli.bench_webrtc_table import profile_table, summary_of, table, told

FLOOR: Final = "gateway.cli.bench_webrtc_floor"
TRANSPORT: Final = "gateway.cli.bench_webrtc_echo"
GATEWAY: Final = "gateway.cli.bench_webrtc_gateway"

SOUND_OUT_SHARE: Final = 0.5
"""Of the time an agent speaks, where no run has told."""


@click.command(name="bench-webrtc")
@click.option("--sessions", default=10, show_default=True, help="Sessions at the first level.")
@click.option("--step", default=0, show_default=True, help="While they are sustained, so many more, and again.")
@click.option("--duration", default=5.0, show_default=True, help="Seconds to measure at each level.")
@click.option("--rate", default=20.0, show_default=True, help="New sessions a second at most, one after another.")
@click.option(
    "--noise", default=-60.0, show_default=True, help="Noise at the clients' microphones, dB below full scale."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--limit", default=240.0, show_default=True, help="Seconds after which no further level is begun.")
@click.option(
    "--profile", is_flag=True, help="Also measure each part of a session's way alone: where its CPU goes."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a level, and one of the whole, on stdout.")
def command(as_json: bool, profile: bool, **options: Any) -> None:
    """Measure WebRTC sessions, delay, CPU and memory of one gateway process on one core, beside stock aiortc.

    Three servers take turns: "floor" is aiortc's own peer connection that echoes its track, "transport" the
    gateway's connections with an echo behind them, "gateway" real sessions with stub providers.

    Mouth to ear is measured on the echoes: a tone's beginning, from its leaving the client to its coming back,
    found by a decoder at either end, so without the client's own coding; nor is its frame of 20 ms counted. Our
    echo says in the next frame what it heard in one, so 20 ms are the echo's own. A session does not echo: there,
    stop to sound is from the coming of speech_stopped to the first packet with sound, ask to sound the same from
    response.create, and voice to voice from the last packet of a phrase to that packet, with the 500 ms of silence
    that end a turn. Clients do not decode what they hear: a packet with sound is told by its size.

    Sustained: every session held and answered, at most a packet in a thousand lost, and 99 of 100 packets no frame
    later than the earliest, by the pace of their timestamps. Sessions per core are computed from what an
    added session costs, unless --step finds the highest level that is sustained.

    With --profile, the parts are measured alone in this process, without the servers, and the delay of our own
    buffers and codecs by a counted clock, on a perfect network.
    """
    try:
        # aiortc is an extra, and so is what else only a benchmark needs.
        run = import_module("gateway.cli.bench_webrtc_run")
        uvloop = import_module("uvloop")
    except ImportError:
        click.echo(
            "switchboard bench-webrtc: needs its client: pip install 'switchboard-voice[webrtc,bench]'", err=True
        )
        sys.exit(2)
    modules = run.Modules(FLOOR, TRANSPORT, GATEWAY)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rigs = runner.run(run.compare(run.Options(**options), modules, _tell))
        levels = {rig.name: [asdict(level) for level in rig.levels] for rig in rigs}
        summary = summary_of(levels, {rig.name: rig.is_full for rig in rigs})
        parts = _profile(runner, levels["gateway"][-1]) if profile else None
    if as_json:
        lines = [json.dumps(one) for rig in levels.values() for one in rig]
        click.echo("\n".join((*lines, *([json.dumps(parts)] if parts else ()), json.dumps(summary))))
    else:
        shown = [rig.levels[0] for rig in rigs]
        shown += [rig.best for rig in rigs if rig.best is not None and rig.best is not rig.levels[0]]
        click.echo(table([asdict(one) for one in shown]))
        if parts:
            click.echo()
            click.echo(profile_table(parts))
        click.echo()
        click.echo("\n".join(told(summary, stepped=bool(options["step"]))))
    sys.exit(0 if summary["believable"] and _is_well(levels) else 1)


def _is_well(levels: dict[str, list[dict[str, Any]]]) -> bool:
    return not any(rig[0]["failed"] or rig[0]["unanswered"] or rig[0]["errors"] for rig in levels.values())


def _profile(runner: asyncio.Runner, gateway: dict[str, Any]) -> dict[str, Any]:
    """What each part costs and delays, beside what a session was measured to cost."""
    costs = import_module("gateway.cli.bench_webrtc_costs")
    delays = import_module("gateway.cli.bench_webrtc_delays")
    percent = gateway["sound_out_percent"]
    share = SOUND_OUT_SHARE if percent is None else percent / 100
    parts = [{**asdict(cost), "ms_per_session_s": cost.ms_per_session_s} for cost in runner.run(costs.costs(share))]
    return {
        "at_sessions": gateway["sessions"],
        "measured_ms_per_session_s": gateway["cpu_ms_per_added_session_s"],
        "parts": parts,
        "delays": asdict(delays.delays()),
    }


def _tell(level: Any) -> None:
    """One line a level, while people wait."""
    word = "sustained" if level.sustained else "not sustained"
    failure = level.first_failure or level.first_error
    click.echo(
        f"{level.server}: {level.sessions} sessions, {word}, {level.cpu_percent} % of the core, "
        f"p99 of packets late by {'–' if level.packet_lateness_p99 is None else level.packet_lateness_p99} ms"
        f"{f' ({failure})' if failure else ''}",
        err=True,
    )
