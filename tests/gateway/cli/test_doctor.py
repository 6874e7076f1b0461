from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from gateway.cli.doctor import CHECKS, command


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(command, arguments, env={"TWILIO_AUTH_TOKEN": "secret", **environ})


def test_a_sound_machine_has_no_problems(unused_port: int) -> None:
    result = run(PORT=str(unused_port))
    assert result.exit_code == 0
    assert f"port {unused_port} is free" in result.output
    assert result.output.endswith("no problems\n")


def test_one_problem_makes_the_exit_code_one_and_has_its_fix(unused_port: int) -> None:
    result = run("--only", "port,providers", PORT=str(unused_port), SWITCHBOARD_TTS="nope")
    assert result.exit_code == 1
    assert "✗ tts nope cannot be used" in result.output
    assert "fix: do as it says, or choose another with SWITCHBOARD_TTS" in result.output
    assert "python" not in result.output


def test_wrong_settings_are_told_even_if_not_asked_for_and_hide_what_needs_them() -> None:
    result = run("--only", "port,clock", PORT="many")
    assert result.exit_code == 1
    assert "PORT (env PORT): 'many' is not a whole number" in " ".join(result.output.split())
    assert "port: not checked, the settings are wrong" in result.output
    assert "✓ clock" in result.output


def test_for_programs_there_is_one_object(unused_port: int) -> None:
    result = run("--json", "--only", "python,settings,public-url,signature", PORT=str(unused_port))
    report = json.loads(result.output)
    assert report["ok"] is True
    assert [one["check"] for one in report["findings"]] == ["python", "settings", "public-url", "signature"]


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_can_be_asked_for_alone(name: str, unused_port: int) -> None:
    result = run("--json", "--only", name, PORT=str(unused_port))
    assert {one["check"] for one in json.loads(result.output)["findings"]} == {name}


def test_a_check_that_does_not_exist_is_wrong_use() -> None:
    result = run("--only", "prot")
    assert result.exit_code == 2
    assert "there is no check 'prot'" in result.output
