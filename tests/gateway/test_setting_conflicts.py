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


def test_a_turn_server_needs_a_credential_or_the_secret_to_make_them_with() -> None:
    bare = {"SWITCHBOARD_REALTIME_ICE_SERVERS": '[{"urls": "stun:s"}, {"urls": ["stun:t", "turn:t"]}]'}
    (fault,) = faults(ENOUGH | bare)
    assert fault.startswith("SWITCHBOARD_REALTIME_ICE_SERVERS: 'turn:t' needs a username and a credential")
    assert "SWITCHBOARD_TURN_SECRET" in fault
    assert read_settings({}, ENOUGH | bare | {"SWITCHBOARD_TURN_SECRET": "north"}).turn_secret == "north"


@pytest.mark.parametrize(
    "servers", ["", '[{"urls": "stun:s"}, {"urls": "turn:t", "username": "u", "credential": "c"}]']
)
def test_a_turn_secret_that_serves_no_server_is_told(servers: str) -> None:
    (fault,) = faults(ENOUGH | {"SWITCHBOARD_TURN_SECRET": "north", "SWITCHBOARD_REALTIME_ICE_SERVERS": servers})
    assert fault.startswith("SWITCHBOARD_TURN_SECRET: there is no turn: URL it could serve")
    assert "north" not in fault


def test_a_faulty_list_of_servers_is_told_once() -> None:
    (fault,) = faults(ENOUGH | {"SWITCHBOARD_TURN_SECRET": "north", "SWITCHBOARD_REALTIME_ICE_SERVERS": "stun:s"})
    assert "is no JSON list of servers" in fault


def test_the_demo_page_needs_webrtc() -> None:
    (fault,) = faults(ENOUGH | {"SWITCHBOARD_DEMO_PAGE": "1", "SWITCHBOARD_WEBRTC": "0"})
    assert fault.startswith("SWITCHBOARD_DEMO_PAGE: the page talks over WebRTC")
    assert read_settings({}, ENOUGH | {"SWITCHBOARD_DEMO_PAGE": "1"}).demo_page
