from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.credentials.access_tokens import AccessToken, AccessTokens
from gateway.credentials.credential import Scope
from gateway.credentials.signing_keys import read_signing_keys

KEYS = "2026b:" + "b" * 32 + ",2026a:" + "a" * 32


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", "mint", *arguments])


def read(text: str) -> AccessToken:
    """As the gateway with these keys reads it."""
    return AccessTokens(read_signing_keys(KEYS), max_life_s=7200, now=time.time, make_id=str).read(text.strip())


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_JWT_KEYS", KEYS)


@pytest.mark.usefixtures("keys")
def test_a_token_of_ten_minutes_for_sessions_is_what_one_gets_for_nothing() -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    token = read(result.stdout)
    assert (token.subject, token.scopes) == ("cli", frozenset({Scope.REALTIME}))
    assert (token.expires_at_s - token.issued_at_s, token.is_single_use) == (600, False)
    assert abs(token.issued_at_s - time.time()) < 60


@pytest.mark.usefixtures("keys")
def test_what_was_asked_for_is_in_the_token() -> None:
    result = run(
        "--scope", "control", "--scope", "realtime", "--ttl", "1h", "--subject", "ann@example", "--single-use"
    )
    token = read(result.stdout)
    assert (token.subject, token.scopes) == ("ann@example", frozenset({Scope.CONTROL, Scope.REALTIME}))
    assert (token.expires_at_s - token.issued_at_s, token.is_single_use) == (3600, True)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("ttl", "life_s"), [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600)])
def test_a_time_is_read_in_seconds_minutes_or_hours(ttl: str, life_s: int) -> None:
    token = read(run("--ttl", ttl).stdout)
    assert token.expires_at_s - token.issued_at_s == life_s


@pytest.mark.usefixtures("keys")
def test_for_a_browser_and_for_a_program() -> None:
    told: dict[str, Any] = json.loads(run("--browser", "--json").stdout)
    assert told["value"].startswith("ek_")
    assert read(told["value"].removeprefix("ek_")).expires_at_s == told["expires_at"]


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "arguments",
    [["--ttl", "1d"], ["--ttl", "-1"], ["--ttl", "0"], ["--ttl", "2h"], ["--subject", "a b"], ["--scope", "root"]],
)
def test_wrong_use_is_told(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0] in result.stderr


@pytest.mark.usefixtures("keys")
def test_the_longest_life_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SWITCHBOARD_JWT_MAX_S" in run("--ttl", "7200s").stderr
    monkeypatch.setenv("SWITCHBOARD_JWT_MAX_S", "7200")
    assert read(run("--ttl", "7200s").stdout)


def test_without_keys_it_is_said_what_to_set() -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "SWITCHBOARD_JWT_KEYS (not set)" in result.stderr


def test_keys_may_stand_in_a_file_of_settings() -> None:
    Path("mine.env").write_text(f"SWITCHBOARD_JWT_KEYS={KEYS}\nSWITCHBOARD_HOST=0.0.0.0\n")
    assert read(run("--env-file", "mine.env").stdout)


def test_keys_that_are_too_short_are_told_without_what_else_a_gateway_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWITCHBOARD_JWT_KEYS", "a:hidden")
    monkeypatch.setenv("PORT", "x")
    result = run()
    assert result.exit_code == 2
    assert "SWITCHBOARD_JWT_KEYS (env SWITCHBOARD_JWT_KEYS): the secret of key a has 6 bytes" in result.stderr
    assert "PORT" not in result.stderr
    assert "hidden" not in result.stderr
    monkeypatch.setenv("SWITCHBOARD_JWT_KEYS", KEYS)
    assert "PORT (env PORT)" in run().stderr
