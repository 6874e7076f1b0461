from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.settings import read_settings

ENOUGH = {"TWILIO_AUTH_TOKEN": "0123456789abcdef" * 2}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a `.env`."""
    monkeypatch.chdir(tmp_path)


def faults(environ: dict[str, str], **flags: str | int | bool | None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        read_settings(flags, environ)
    return error.value.faults


def test_without_a_signature_secret_nothing_starts_but_insecure_dev_on_loopback() -> None:
    (fault,) = faults({})
    assert "--insecure-dev" in fault
    assert read_settings({"SWITCHBOARD_INSECURE_DEV": True}, {}).insecure_dev


def test_insecure_dev_is_refused_where_others_can_reach_it() -> None:
    (fault,) = faults(
        ENOUGH | {"PUBLIC_URL": "https://voice.example", "SWITCHBOARD_HOST": "0.0.0.0"},
        SWITCHBOARD_INSECURE_DEV=True,
    )
    assert "unchecked on 0.0.0.0" in fault
    (fault,) = faults({"PUBLIC_URL": "https://tunnel.example"}, SWITCHBOARD_INSECURE_DEV=True)
    assert "unchecked on https://tunnel.example" in fault


def test_a_public_host_needs_a_public_url() -> None:
    (fault,) = faults(ENOUGH | {"SWITCHBOARD_HOST": "0.0.0.0"})
    assert fault.startswith("PUBLIC_URL (not set): needed because SWITCHBOARD_HOST is 0.0.0.0")


def test_metrics_need_a_port_of_their_own() -> None:
    (fault,) = faults(ENOUGH | {"SWITCHBOARD_METRICS_PORT": "8080"})
    assert "8080 is the main port too" in fault
