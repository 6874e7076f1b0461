"""`switchboard demo`: a gateway started for the occasion, to be called from here; or one whole call, with `--call`.

Needs no account, no key and no network.
"""

from __future__ import annotations

import shlex
import signal
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final

import click

from gateway.cli.call_outcome import FAILED, OK, STOPPED, WRONG_USE
from gateway.cli.child_gateway import ChildFailed, ChildGateway, child_gateway
from gateway.cli.page import Page, page_on
from gateway.cli.simulate import DEFAULT_FROM, DEFAULT_TO, leave, run
from gateway.cli.target import target_at
from gateway.cli.verdict import demo_checks
from pipeline.agent import AgentFileError, load_agent
from simulator.call_setup import CallSetup
from simulator.caller import BargeIn, HangUp, Listen, Say, Step
from simulator.voices import Voices

BARGE_IN_MS: Final = 2_500
"""Into an answer of some eighteen seconds."""

LISTEN_LONG_MS: Final = 1_500
"""After the order was looked up: between "one moment" and the answer, the agent may be silent for a while."""

GOODBYE_PATIENCE_MS: Final = 8_000
"""The agent hangs up after its goodbye; the caller waits no longer than this for it."""


@click.command(name="demo")
@click.option("--call", "places_call", is_flag=True, help="Place one call, judge it, and stop.")
@click.option("--agent", default="reception", show_default=True, help="Agent file or built-in agent to talk to.")
@click.option(
    "--save",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for gateway.log and, with --call, call.wav and call.jsonl.",
)
@click.option("--json", "is_json", is_flag=True, help="With --call: one JSON object a line, the result last.")
@click.option("--no-color", is_flag=True, help="As NO_COLOR=1 does.")
def command(places_call: bool, agent: str, folder: Path, is_json: bool, no_color: bool) -> None:
    """Start a gateway on this machine and talk to it. Needs no account, no key and no network.

    With --call a caller asks for the opening hours, interrupts the answer, asks for an order and says goodbye;
    the exit code is 0 only if the agent really answered both questions and really stopped when interrupted.
    """
    if is_json and not places_call:
        raise click.UsageError("--json belongs to --call.")
    if places_call and agent != "reception":
        raise click.UsageError("--call is made for the agent reception. For another: switchboard simulate --say …")
    try:
        load_agent(agent)
    except AgentFileError as error:
        leave(WRONG_USE, str(error))
    # A session's end or a stop of the service must not leave the child behind.
    signal.signal(signal.SIGTERM, _as_interrupt)
    page = None if is_json else page_on(sys.stdout, wants_colour=not no_color)
    exit_code = STOPPED
    try:
        with child_gateway(folder, agent) as gateway:
            exit_code = call(gateway, page, folder) if page is None or places_call else stay(gateway, page, agent)
    except ChildFailed as failure:
        leave(FAILED, str(failure))
    except OSError as error:
        leave(FAILED, f"--save {folder}: cannot be written ({error}); give another folder")
    except KeyboardInterrupt:
        click.echo("\nswitchboard: stopped", err=True)
    sys.exit(exit_code)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def demo_steps(voices: Voices) -> tuple[Step, ...]:
    """What the caller of the demonstration does."""
    return (
        Listen(),
        Say(voices.clip("opening-hours")),
        BargeIn(BARGE_IN_MS, voices.clip("stop")),
        Listen(),
        Say(voices.clip("order-status")),
        Listen(quiet_ms=LISTEN_LONG_MS),
        Say(voices.clip("goodbye")),
        Listen(patience_ms=GOODBYE_PATIENCE_MS),
        HangUp(),
    )


def call(gateway: ChildGateway, page: Page | None, folder: Path) -> int:
    """One call to the child; the exit code."""
    target = target_at(gateway.url, gateway.account_sid, gateway.auth_token, gateway.token)
    setup = CallSetup(
        voice_url=target.voice_url,
        status_url=target.status_url,
        to_number=DEFAULT_TO,
        from_number=DEFAULT_FROM,
        account_sid=target.account_sid,
        auth_token=target.auth_token,
        steps=demo_steps(Voices()),
    )
    exit_code = run(setup, target, demo_checks, page, folder)
    if page is not None and exit_code == FAILED:
        page.line(("the gateway's log: ", "dim"), (str(gateway.log_path), "figure"))
    return exit_code


def stay(gateway: ChildGateway, page: Page, agent: str) -> int:
    """Say how to talk to the child, and wait for Ctrl-C."""
    try:
        _tell_how_to_talk(gateway, page, agent)
        gateway.process.wait()
    except KeyboardInterrupt:
        page.gap()
        return OK
    raise ChildFailed(f"the gateway left by itself; its log, {gateway.log_path}, says why")


def _tell_how_to_talk(gateway: ChildGateway, page: Page, agent: str) -> None:
    exports = {
        "SWITCHBOARD_URL": gateway.url,
        "TWILIO_ACCOUNT_SID": gateway.account_sid,
        "TWILIO_AUTH_TOKEN": gateway.auth_token,
        "SWITCHBOARD_TOKEN": gateway.token,
    }
    title = f"switchboard {version('switchboard-voice')}"
    page.line((title, "bold"), (f'  demo agent "{agent}" (no account, no key, built-in voice)', "plain"))
    page.line(("  talk from here, in another terminal:", "plain"))
    # For copying: whole lines, never wrapped by us.
    for name, value in exports.items():
        click.echo(f"    export {name}={shlex.quote(value)}")
    click.echo('    switchboard simulate --say "what are your opening hours" --say "no thank you goodbye"')
    if find_spec("aiortc") is None:
        page.line(("  browser        ", "plain"), ("pip install 'switchboard-voice[webrtc]' adds a page", "dim"))
    else:
        # The key is in the fragment, which a browser never sends and the page forgets.
        page.line(("  browser        ", "plain"))
        click.echo(f"    {gateway.url}/demo#key={gateway.token}")
    page.line(("  voice webhook  ", "plain"), (f"{gateway.url}/twilio/voice", "link"))
    page.line(("  log            ", "plain"), (str(gateway.log_path), "figure"))
    page.line(("Ctrl-C stops.", "dim"))
