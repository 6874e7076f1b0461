from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.credentials.credential import Scope
from gateway.credentials.keyring import base64_of, load_keys


def new(*arguments: str) -> tuple[str, str]:
    """stdout and stderr of `switchboard key new`."""
    result = CliRunner().invoke(main, ["key", "new", *arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def test_a_key_is_shown_once_on_stderr_and_what_is_appended_holds_its_hash() -> None:
    path = Path("keys.toml")
    stdout, stderr = new("--id", "web")
    path.write_text(stdout)
    text = stderr.splitlines()[0].removeprefix("key").strip()
    assert text.startswith("web:")
    assert stderr.splitlines()[1].endswith(base64_of(text))
    assert text.removeprefix("web:") not in stdout
    found = load_keys(path).find(text)
    assert found is not None
    assert (found.scopes, found.secret) == (frozenset({Scope.REALTIME}), None)


def test_entries_of_several_keys_make_one_file() -> None:
    path = Path("keys.toml")
    path.write_text(new("--id", "a", "--scope", "control", "--scope", "realtime")[0] + new("--id", "b")[0])
    keyring = load_keys(path)
    first = keyring.named("a")
    assert first is not None
    assert first.scopes == {Scope.CONTROL, Scope.REALTIME}
    assert keyring.named("b")


def test_a_key_for_the_hmac_mint_keeps_its_secret_in_the_file() -> None:
    told = json.loads(new("--id", "unity", "--hmac", "--json")[0])
    Path("keys.toml").write_text(told["entry"])
    key = load_keys("keys.toml").find(told["base64"])
    assert key is not None
    assert told["key"] == f"unity:{key.secret}"


def test_no_two_keys_are_alike() -> None:
    keys = {json.loads(new("--id", "a", "--json")[0])["key"] for _ in range(5)}
    assert len(keys) == 5
    assert all(len(key) == len("a:") + 43 for key in keys)


@pytest.mark.parametrize("arguments", [[], ["--id", "a b"], ["--id", "dev"], ["--id", "a", "--scope", "root"]])
def test_wrong_use_is_told(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["key", "new", *arguments]).exit_code == 2
