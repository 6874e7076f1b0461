"""`switchboard simulate`: play Twilio and a caller against a running gateway, and tell what happened.

Any bot that answers Twilio's voice webhook will do; the words and stages need the journal of a Switchboard.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from gateway.cli import call_outcome
from gateway.cli.call_outcome import FAILED, OK, STOPPED, WRONG_USE
from gateway.cli.call_review import Review, review
from gateway.cli.call_view import CallView
from gateway.cli.page import Page, page_on
from gateway.cli.placed_call import JsonLines, PlacedCall, place_call, save, tell_end
from gateway.cli.target import Target, TargetError, read_target
from gateway.cli.verdict import Check, call_checks
from simulator.call_result import CallResult
from simulator.call_setup import CallSetup
from simulator.caller import BargeIn, Dtmf, Say, Step, conversation
from simulator.errors import ScriptError, VoiceError
from simulator.network import Network
from simulator.script import load_script
from simulator.sound import Codec
from simulator.voices import Voices

DEFAULT_TO, DEFAULT_FROM = "+15550100001", "+15550100002"
"""Of a range that is given to nobody."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

Judge = Callable[[CallResult, Review], list[Check]]


def _number(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not _E164.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no E.164 number; write it like +15550100001")
    return value


def _keys(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else Dtmf(value).digits
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(name="simulate")
@click.option("--url", envvar="SWITCHBOARD_URL", help="The gateway, or a bot's voice URL; else PUBLIC_URL or PORT.")
@click.option("--to", "to_number", default=DEFAULT_TO, show_default=True, callback=_number, help="Number called.")
@click.option("--from", "from_number", default=DEFAULT_FROM, show_default=True, callback=_number, help="Caller's.")
@click.option("--say", "texts", multiple=True, metavar="TEXT", help="What the caller says; again for more.")
@click.option("--wav", "wavs", multiple=True, type=click.Path(path_type=Path), help="The same, as recordings.")
@click.option("--script", type=click.Path(path_type=Path), help="The same, as a TOML file of [[turn]] tables.")
@click.option("--dtmf", metavar="KEYS", callback=_keys, help="Keys pressed at the end: 12#; w waits half a second.")
@click.option(
    "--barge-in", type=click.FloatRange(min=0), metavar="SECONDS", help="The last one cuts into so much speech."
)
@click.option("--loss", type=click.FloatRange(0, 100), default=0.0, metavar="PERCENT", help="Caller's frames lost.")
@click.option(
    "--jitter", type=click.FloatRange(min=0), default=0.0, metavar="MS", help="Messages late by up to this."
)
@click.option("--codec", type=click.Choice(["pcmu", "pcma"]), default="pcmu", show_default=True)
@click.option("--save", "folder", type=click.Path(path_type=Path), help="Folder for call.wav and call.jsonl.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line, the result last.")
@click.option("--no-color", is_flag=True, help="As NO_COLOR=1 does.")
@click.option("--auth-token", help="What Twilio signs with (TWILIO_AUTH_TOKEN).")
@click.option("--token", help="Opens the gateway's journal (SWITCHBOARD_TOKEN).")
def command(
    url: str | None,
    to_number: str,
    from_number: str,
    texts: tuple[str, ...],
    wavs: tuple[Path, ...],
    script: Path | None,
    dtmf: str | None,
    barge_in: float | None,
    loss: float,
    jitter: float,
    codec: str,
    folder: Path | None,
    is_json: bool,
    no_color: bool,
    auth_token: str | None,
    token: str | None,
) -> None:
    """Play Twilio and a caller against a running gateway. Needs no telephone and no microphone.

    \b
    switchboard simulate --say "what are your opening hours"
    switchboard simulate --say "what are your opening hours" --say "stop please" --barge-in 2.5 --save out
    """
    try:
        target = read_target(url, auth_token, token)
        steps = read_steps(texts, wavs, script, dtmf, barge_in)
    except (TargetError, ScriptError, VoiceError) as error:
        leave(WRONG_USE, str(error))
    setup = CallSetup(
        voice_url=target.voice_url,
        status_url=target.status_url,
        to_number=to_number,
        from_number=from_number,
        account_sid=target.account_sid,
        auth_token=target.auth_token,
        steps=steps,
        codec=Codec(codec),
        network=Network(jitter_ms=jitter, loss=loss / 100),
    )

    lines = sum(isinstance(step, Say | BargeIn) for step in steps)

    def judge(result: CallResult, reviewed: Review) -> list[Check]:
        return call_checks(result, reviewed, lines=lines, network_ms=2 * jitter)

    page = None if is_json else page_on(sys.stdout, wants_colour=not no_color)
    sys.exit(run(setup, target, judge, page, folder))


def leave(exit_code: int, message: str) -> NoReturn:
    """Say what is wrong, where and how to mend it, and go."""
    click.echo(f"switchboard: {message}", err=True)
    sys.exit(exit_code)


def read_steps(
    texts: tuple[str, ...], wavs: tuple[Path, ...], script: Path | None, dtmf: str | None, barge_in_s: float | None
) -> tuple[Step, ...]:
    """The caller's script. Raises `click.UsageError` for what does not go together, `ScriptError`, `VoiceError`."""
    given = [name for name, value in (("--say", texts), ("--wav", wavs), ("--script", script)) if value]
    if len(given) > 1:
        raise click.UsageError(f"Give one of {' and '.join(given)}, not both.")
    if not given and dtmf is None:
        raise click.UsageError('Give what the caller says: --say "hello", --wav FILE, --script FILE, or --dtmf.')
    voices = Voices()
    if script is not None:
        if dtmf is not None or barge_in_s is not None:
            raise click.UsageError("A script holds its own dtmf and barge_in keys; give them there.")
        return load_script(script, voices)
    sounds = [voices.speak(text) for text in texts] + [voices.wav(path) for path in wavs]
    if barge_in_s is not None and not sounds:
        raise click.UsageError("--barge-in needs something to say: --say or --wav.")
    return conversation(sounds, barge_in_s=barge_in_s, dtmf=dtmf)


def run(setup: CallSetup, target: Target, judge: Judge, page: Page | None, folder: Path | None) -> int:
    """Place the call and tell of it, on a page or as lines of JSON; the exit code."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            leave(WRONG_USE, f"--save {folder}: cannot be made ({error.strerror}); give a folder you may write to")
    watcher = JsonLines(click.echo) if page is None else CallView(page, has_journal=bool(target.token))
    exit_code = FAILED
    try:
        placed = asyncio.run(place_call(setup, watcher, base_url=target.base_url, token=target.token))
        exit_code = _conclude(placed, target, judge, page, folder)
    except* KeyboardInterrupt:
        click.echo("\nswitchboard: stopped", err=True)
        exit_code = STOPPED
    except* BrokenPipeError:
        # Whoever read our output has left; Python would complain once more when it closes it.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return exit_code


def _conclude(placed: PlacedCall, target: Target, judge: Judge, page: Page | None, folder: Path | None) -> int:
    reviewed = review(placed.result, placed.journal)
    refused = call_outcome.no_call(placed.result, target)
    checks = [] if refused else judge(placed.result, reviewed)
    exit_code = refused.exit_code if refused else OK if all(one.is_met for one in checks) else FAILED
    saved = None
    if folder is not None:
        try:
            saved = save(placed, folder)
        except OSError as error:
            leave(FAILED, f"--save {folder}: cannot be written ({error}); give another folder")
    if page is None:
        paths = [str(path) for path in saved or ()]
        line = call_outcome.result_line(placed, reviewed, checks, exit_code, paths)
        click.echo(json.dumps(line, ensure_ascii=False))
    elif not refused:
        tell_end(page, placed, reviewed, checks, saved)
    if refused:
        click.echo(f"switchboard: {refused.message}", err=True)
    return exit_code
