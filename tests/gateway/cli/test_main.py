from __future__ import annotations

import json
import subprocess
import sys

from click.shell_completion import ShellComplete
from click.testing import CliRunner

from gateway.cli.main import main

HEAVY = ("numpy", "onnxruntime", "twilio", "aiohttp", "starlette", "uvicorn", "websockets", "gateway.settings")
"""Loading these takes from tens to hundreds of milliseconds each; help needs none."""

LOADED_BY_HELP = """
import json, sys
from gateway.cli.main import main
main(["--help"], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def test_help_loads_nothing_that_is_slow_to_load() -> None:
    told = subprocess.run([sys.executable, "-c", LOADED_BY_HELP], capture_output=True, check=True, timeout=60)
    loaded = set(json.loads(told.stdout.splitlines()[-1]))
    assert "click" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_names_every_command_and_what_it_does() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("serve", "demo", "simulate", "bench", "key", "token", "doctor"):
        assert f"\n  {name} " in result.output


def test_each_command_of_the_list_can_be_loaded_and_has_help() -> None:
    for name in ("serve", "demo", "simulate", "key", "token", "doctor"):
        result = CliRunner().invoke(main, [name, "--help"])
        assert (result.exit_code, f" {name} " in result.output) == (0, True)


def test_a_shell_can_complete_the_names() -> None:
    completion = ShellComplete(main, {}, "switchboard", "_SWITCHBOARD_COMPLETE")
    assert [one.value for one in completion.get_completions([], "d")] == ["demo", "drain", "doctor"]


def test_an_unknown_command_is_wrong_use() -> None:
    result = CliRunner().invoke(main, ["simulat"])
    assert result.exit_code == 2
    assert "No such command 'simulat'" in result.output


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("switchboard, version ")
