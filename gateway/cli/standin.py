"""`switchboard standin`: serve a stand-in for a provider, so that an agent can be tried with no account.

The stand-ins are the simulator's; one is loaded when it is asked for.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

import click
from starlette.types import ASGIApp

from gateway.cli.call_outcome import FAILED, OK
from simulator.standins.fault import Fault, Faults
from simulator.standins.serving import served


@dataclass(frozen=True, slots=True)
class StandIn:
    """Where a stand-in is, and how a gateway is told of it. `{http}` and `{ws}` are its URLs."""

    module: str
    what: str
    settings: tuple[str, ...] = ()
    """Lines of `.env`."""
    agent: tuple[str, ...] = ()
    """Lines of the agent's file."""


def _keyed(name: str, path: str = "") -> tuple[str, ...]:
    return (f"{name.upper()}_BASE_URL={{http}}{path}", f"{name.upper()}_API_KEY=any")


STANDINS: Final[Mapping[str, StandIn]] = {
    "openai": StandIn(
        "simulator.standins.openai",
        "transcriptions, chat and speech, as OpenAI and compatible servers have them",
        _keyed("openai", "/v1"),
        ('stt = "openai"', 'llm = "openai"', 'tts = "openai"'),
    ),
    "deepgram": StandIn(
        "simulator.standins.deepgram",
        "live transcription, v1 and Flux",
        _keyed("deepgram"),
        ('stt = "deepgram/nova-3"',),
    ),
    "cartesia": StandIn(
        "simulator.standins.cartesia",
        "speech, with the times of its words",
        _keyed("cartesia"),
        ('tts = "cartesia"',),
    ),
    "elevenlabs": StandIn(
        "simulator.standins.elevenlabs",
        "speech, with the times of its letters",
        _keyed("elevenlabs"),
        ('tts = "elevenlabs"',),
    ),
    "inworld": StandIn(
        "simulator.standins.inworld",
        "transcription, chat and speech",
        _keyed("inworld"),
        ('stt = "inworld"', 'llm = "inworld"', 'tts = "inworld"'),
    ),
    "mcp": StandIn(
        "simulator.standins.mcp",
        "a server of tools",
        agent=("[[mcp]]", 'label = "standin"', 'url = "{http}/mcp"'),
    ),
    "realtime": StandIn(
        "simulator.standins.realtime",
        "a Realtime service that holds the whole conversation",
        _keyed("openai", "/v1"),
        ('realtime = "openai/gpt-realtime"',),
    ),
}
"""Each has `app(faults, *, delay_s) -> ASGIApp`."""


@click.command(name="standin", epilog="; ".join(f"{name}: {one.what}" for name, one in STANDINS.items()) + ".")
@click.argument("name", type=click.Choice(list(STANDINS)), metavar="NAME")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of loopback; 0, the default: any.")
@click.option(
    "--fault",
    type=click.Choice([fault.value for fault in Fault]),
    default="none",
    help="What goes wrong with requests.",
)
@click.option("--times", type=click.IntRange(1), help="Only with so many requests, the first ones.")
@click.option("--delay-ms", type=click.IntRange(0), default=0, show_default=True, help="To the first of an answer.")
def command(name: str, port: int, fault: str, times: int | None, delay_ms: int) -> None:
    """Serve a stand-in for the provider NAME on loopback until Ctrl-C, to try an agent with no account.

    Its URL goes to stdout, the lines that tell a gateway of it to stderr.
    """
    wrong = Fault(fault)
    faults = Faults(wrong) if times is None else Faults(then=[wrong] * times)
    try:
        app = _app_of(name, faults, delay_s=delay_ms / 1000)
        asyncio.run(serve(name, app, port))
    except ModuleNotFoundError as error:
        click.echo(f"switchboard: stand-in {name} needs the module {error.name}, which is not installed", err=True)
        sys.exit(FAILED)
    except OSError as error:
        click.echo(f"switchboard: cannot listen on port {port} ({error}); give another --port, or none", err=True)
        sys.exit(FAILED)
    click.echo("\nswitchboard: stopped", err=True)
    sys.exit(OK)


async def serve(name: str, app: ASGIApp, port: int) -> None:
    """Serve `app` and say where it is, until Ctrl-C or SIGTERM."""
    told_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    async with served(app, port=port) as place:
        for line in lines_of(STANDINS[name], place):
            click.echo(line, err=True)
        click.echo(f"http://{place}")
        sys.stdout.flush()  # whoever started us in a pipe waits for it
        await told_to_stop.wait()


def lines_of(standin: StandIn, place: str) -> list[str]:
    """What to tell a gateway, for copying: whole lines, never wrapped."""
    lines = [f"{standin.what}, at {place}"]
    for where, told in (("in .env", standin.settings), ("in the agent's file", standin.agent)):
        if told:
            lines += [f"  {where}:", *(f"    {one}" for one in told)]
    return [line.replace("{http}", f"http://{place}").replace("{ws}", f"ws://{place}") for line in lines] + [
        "Ctrl-C stops."
    ]


def _app_of(name: str, faults: Faults, *, delay_s: float) -> ASGIApp:
    made: ASGIApp = import_module(STANDINS[name].module).app(faults, delay_s=delay_s)
    return made
