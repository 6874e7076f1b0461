from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.app import Gateway
from gateway.auth import SignatureCheck
from gateway.cli import serve
from gateway.errors import SignatureRefused
from gateway.settings import Settings
from tests.gateway.credentials.support import key_file


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings each server was started with; the server itself says that it listens, and leaves."""
    started: list[Settings] = []

    async def listen(
        settings: Settings, gateway: Gateway, announce: Callable[[int], None], _membership: None
    ) -> None:
        started.append(settings)
        announce(4711)

    monkeypatch.setattr(serve, "serve", listen)
    monkeypatch.setattr("gateway.logs.configure", lambda *_: None)
    return started


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(serve.command, arguments, env=environ)


def test_flags_become_settings_and_the_port_is_announced(served: list[Settings]) -> None:
    result = run("--port", "0", "--drain-timeout", "5", "--log-format", "text", TWILIO_AUTH_TOKEN="secret")
    assert result.exit_code == 0
    assert (served[0].port, served[0].drain_timeout_s, served[0].log_format) == (0, 5, "text")
    assert "127.0.0.1:4711" in result.stderr
    assert "signature check on" in result.stderr
    assert "any account" in result.stderr
    assert "secret" not in result.output


def test_an_account_is_shown_shortened_and_a_switched_off_check_in_capitals(served: list[Settings]) -> None:
    result = run("--insecure-dev", TWILIO_ACCOUNT_SID="AC" + "0" * 28 + "3f1c")
    assert "AC…3f1c" in result.stderr
    assert "signature check OFF" in result.stderr
    assert served[0].insecure_dev


def test_with_api_keys_alone_realtime_clients_are_served_and_webhooks_are_closed(
    served: list[Settings], tmp_path: Path
) -> None:
    result = run(SWITCHBOARD_API_KEYS=str(key_file(tmp_path)), TWILIO_AUTH_TOKEN="")
    assert result.exit_code == 0
    assert "webhooks closed (no TWILIO_AUTH_TOKEN)" in result.stderr
    assert "ws://127.0.0.1:8080/v1/realtime" in result.stderr
    with pytest.raises(SignatureRefused):
        SignatureCheck(served[0]).check_webhook("/twilio/voice", {}, "A" * 27 + "=")


def test_a_gateway_of_this_machine_says_how_to_get_callers_and_a_public_one_where_they_come_in(
    served: list[Settings],
) -> None:
    here = run(TWILIO_AUTH_TOKEN="secret").stderr
    assert "open a tunnel" in here and "switchboard simulate --url http://127.0.0.1:8080" in here
    public = run(TWILIO_AUTH_TOKEN="secret", PUBLIC_URL="https://voice.example.com").stderr
    assert "Set the number's voice URL to https://voice.example.com/twilio/voice" in public
    assert "tunnel" not in public


def test_a_misspelt_setting_is_warned_of(served: list[Settings]) -> None:
    result = run(TWILIO_AUTH_TOKEN="secret", SWITCHBOARD_AGENTS="x")
    assert result.exit_code == 0
    assert "did you mean SWITCHBOARD_AGENT?" in result.stderr


def test_all_wrong_settings_are_told_together(served: list[Settings]) -> None:
    result = run(PORT="many", SWITCHBOARD_TOKEN="two words")
    assert (result.exit_code, served) == (2, [])
    assert "cannot start" in result.stderr
    for name in ("PORT", "SWITCHBOARD_TOKEN", "TWILIO_AUTH_TOKEN"):
        assert name in result.stderr


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SWITCHBOARD_AGENT": "nobody.toml"}, "nobody.toml: cannot be read"),
        ({"SWITCHBOARD_STT": "pocketsphynx"}, "pocketsphinx"),
    ],
)
def test_an_agent_or_provider_that_cannot_be_had_stops_the_start(
    environ: dict[str, str], words: str, served: list[Settings]
) -> None:
    result = run(**environ, TWILIO_AUTH_TOKEN="secret")
    assert (result.exit_code, served) == (2, [])
    assert words in result.stderr


def test_without_uvloop_the_standard_loop_serves(served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(TWILIO_AUTH_TOKEN="secret").exit_code == 0
    assert len(served) == 1


def test_an_env_file_that_is_named_must_exist(served: list[Settings], tmp_path: Path) -> None:
    result = run("--env-file", str(tmp_path / "none.env"), TWILIO_AUTH_TOKEN="secret")
    assert result.exit_code == 2
    assert "none.env" in result.stderr
