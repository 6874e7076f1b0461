"""`switchboard prove`: play every fault against real workers, a real Redis and real sockets, and print one table.

switchboard prove                       all rows; some minutes
switchboard prove --short               those that fit into a test; about a minute
switchboard prove --row kill-9 --calls 100
switchboard prove --target https://bot.example/voice --term-pid 4711
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from gateway.cli import prove_crowd_rows, prove_rows
from gateway.cli.prove_play import Plan
from gateway.cli.prove_table import as_json, table
from gateway.cli.prove_verdict import Outcome

Row: TypeAlias = Callable[[Plan], Awaitable[Outcome]]


async def _overload(plan: Plan) -> Outcome:
    """Its callers are made with picows, an extra: it is loaded when it is wanted."""
    try:
        module = import_module("gateway.cli.prove_overload")
    except ImportError as error:
        needed = "the row overload needs the load generator: pip install 'switchboard-voice[bench]'"
        raise click.ClickException(needed) from error
    outcome: Outcome = await module.overload(plan)
    return outcome


ROWS: Final[Mapping[str, Row]] = {
    "kill-9": prove_rows.kill_nine,
    "term-natural": prove_rows.term_natural,
    "term-move": prove_rows.term_move,
    "term-twice": prove_rows.term_twice,
    "rolling": prove_rows.rolling,
    "sigstop": prove_rows.hang,
    "redis-killed": prove_rows.redis_killed,
    "redis-stopped": prove_rows.redis_stopped,
    "flushall-kill": prove_rows.flushed_then_killed,
    "failover": prove_rows.failover,
    "both-killed": prove_rows.both_killed,
    "dropped": prove_crowd_rows.dropped,
    "duplicates": prove_crowd_rows.duplicates,
    "races": prove_crowd_rows.races,
    "overload": _overload,
    "short-calls": prove_crowd_rows.short_calls,
}

SHORT_ROWS: Final = ("kill-9", "term-move", "redis-killed", "races")

FULL: Final = {"calls": 40, "turns": 3, "fault_at_s": 14.0, "rolls": 10, "races": 10_000, "short_calls": 10_000}
SHORT: Final = {"calls": 6, "turns": 2, "fault_at_s": 6.0, "rolls": 2, "races": 200, "short_calls": 400}


@click.command(name="prove")
@click.option("--short", is_flag=True, help="Fewer calls, and the rows that fit into a minute or so.")
@click.option("--row", "rows", multiple=True, type=click.Choice(list(ROWS)), help="Only this row; may be repeated.")
@click.option("--calls", type=click.IntRange(2, 500), help="Calls at once. [default: 40; 6 with --short]")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything here.")
@click.option("--log-dir", type=click.Path(file_okay=False, path_type=Path), help="Keep the workers' logs here.")
@click.option("--target", help="The voice URL of a bot of anybody's: only the rows that need no worker of ours.")
@click.option("--account-sid", envvar="TWILIO_ACCOUNT_SID", default="AC" + "0" * 32, help="Of the target.")
@click.option("--auth-token", envvar="TWILIO_AUTH_TOKEN", default="", help="The target checks signatures with it.")
@click.option("--kill-pid", type=int, help="A process of the target's that gets SIGKILL under calls.")
@click.option("--term-pid", type=int, help="A process of the target's that gets SIGTERM under calls.")
def command(
    short: bool,
    rows: tuple[str, ...],
    calls: int | None,
    seed: int,
    json_file: Path | None,
    log_dir: Path | None,
    target: str | None,
    account_sid: str,
    auth_token: str,
    kill_pid: int | None,
    term_pid: int | None,
) -> None:
    """Break things under live calls, and count what callers lost. Exit code 1: a promise that must hold did not."""
    amounts = {**(SHORT if short else FULL), **({"calls": calls} if calls is not None else {})}
    folder = log_dir or Path(tempfile.mkdtemp(prefix="switchboard-prove-"))
    plan = Plan(**amounts, seed=seed, folder=folder)  # type: ignore[arg-type]  # the amounts are numbers, as it wants
    if target is None:
        chosen: Mapping[str, Row] = {name: ROWS[name] for name in rows or (SHORT_ROWS if short else ROWS)}
    else:
        strangers = import_module("gateway.cli.prove_target")
        bot = strangers.Bot(target, account_sid, auth_token, kill_pid, term_pid)
        chosen = {name: row for name, row in strangers.rows_for(bot).items() if not rows or name in rows}
    outcomes = [_played(name, row, plan) for name, row in chosen.items()]
    facts = facts_of(seed, target)
    click.echo(f"\nseed {seed} · commit {facts['commit']} · {facts['machine']} · {facts['at']}\n")
    click.echo(table(outcomes))
    click.echo(f"\nlogs: {folder}", err=True)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(as_json(outcomes, facts), indent=2) + "\n")
    sys.exit(1 if any(outcome.has_failed for outcome in outcomes) else 0)


def _played(name: str, row: Row, plan: Plan) -> Outcome:
    click.echo(f"{name} …", err=True)
    try:
        import uvloop  # not on every system
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        outcome = runner.run(_run(row, plan))
    click.echo(f"{name}: {outcome.lost} lost of {outcome.calls}", err=True)
    return outcome


async def _run(row: Row, plan: Plan) -> Outcome:
    return await row(plan)


def facts_of(seed: int, target: str | None) -> dict[str, Any]:
    """What a figure means nothing without."""
    cores = len(os.sched_getaffinity(0))
    return {
        "seed": seed,
        "commit": _commit(),
        "version": version("switchboard-voice"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {cores} cores, Python {platform.python_version()}",
        "target": target,
    }


def _commit() -> str:
    """The checkout's, with `+` if it was changed since; `unknown` for an installed package."""
    here = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip()
