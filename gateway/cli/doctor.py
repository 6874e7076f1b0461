"""`switchboard doctor`: check machine, settings and running gateway, and say how to mend what is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

import click

from gateway.cli.call_outcome import FAILED, OK
from gateway.cli.finding import Finding, Verdict, write_findings
from gateway.cli.gateway_checks import check_port, check_public_url, check_signature
from gateway.cli.machine_checks import check_clock, check_providers, check_python, read_checked_settings
from gateway.cli.page import page_on
from gateway.settings import Settings

TIMEOUT_S: Final = 5.0
"""Of each request; longer, and Twilio's caller would have hung up."""

CHECKS: Final = ("python", "settings", "providers", "port", "public-url", "signature", "clock")


def _chosen(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if value else CHECKS
    if unknown := [name for name in names if name not in CHECKS]:
        raise click.BadParameter(f"there is no check {unknown[0]!r}; there are {', '.join(CHECKS)}")
    return names


@click.command(name="doctor")
@click.option("--only", callback=_chosen, metavar="NAMES", help=f"Of {', '.join(CHECKS)}; with commas between.")
@click.option("--env-file", type=click.Path(path_type=Path), help="File of settings; .env if there is one.")
@click.option("--timeout", type=click.FloatRange(0.1, 60), default=TIMEOUT_S, show_default=True, help="Seconds.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
@click.option("--no-color", is_flag=True, help="As NO_COLOR=1 does.")
def command(only: tuple[str, ...], env_file: Path | None, timeout: float, is_json: bool, no_color: bool) -> None:
    """Check this machine and the settings, and say how to mend what is wrong. Exit code 1 if something is."""
    findings = asyncio.run(examine(only, env_file, timeout))
    has_problem = any(one.verdict is Verdict.PROBLEM for one in findings)
    if is_json:
        report = {"ok": not has_problem, "findings": [one.to_json() for one in findings]}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        write_findings(page_on(sys.stdout, wants_colour=not no_color), findings)
    sys.exit(FAILED if has_problem else OK)


async def examine(names: Collection[str], env_file: Path | None, timeout_s: float) -> list[Finding]:
    """All findings of the named checks. Wrong settings are told whether asked for or not: they hide the rest."""
    findings = check_python() if "python" in names else []
    settings, about_settings = read_checked_settings(env_file)
    if "settings" in names or settings is None:
        findings += about_settings
    asking: dict[str, Callable[[Settings], Awaitable[list[Finding]]]] = {
        "providers": lambda known: check_providers(known, timeout_s),
        "port": lambda known: check_port(known, timeout_s),
        "public-url": lambda known: check_public_url(known, timeout_s),
        "signature": lambda known: check_signature(known, timeout_s),
    }
    for name, ask in asking.items():
        if name not in names:
            continue
        if settings is None:
            findings.append(Finding(name, Verdict.NOT_CHECKED, f"{name}: not checked, the settings are wrong"))
        else:
            findings += await ask(settings)
    return findings + (check_clock() if "clock" in names else [])
