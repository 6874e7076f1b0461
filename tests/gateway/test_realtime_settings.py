from __future__ import annotations

import pytest

from gateway.credentials.signing_keys import SigningKey
from gateway.errors import SettingsError
from gateway.realtime.ice_servers import IceServer
from gateway.settings import Settings, read_settings
from gateway.webrtc.addresses import Entry

ENOUGH = {"TWILIO_AUTH_TOKEN": "0123456789abcdef" * 2}
SECRET = "s" * 32
REALTIME = {
    "SWITCHBOARD_API_KEYS": "keys.toml",
    "SWITCHBOARD_JWT_KEYS": f"2026b:{SECRET}b,2026a:{SECRET}a",
    "SWITCHBOARD_JWT_MAX_S": "7200",
    "SWITCHBOARD_REALTIME_ORIGINS": "https://app.example, https://b.example",
    "SWITCHBOARD_REALTIME_BETA": "0",
    "SWITCHBOARD_REALTIME_SESSION_S": "60",
    "SWITCHBOARD_REALTIME_SESSIONS_PER_KEY": "0",
    "SWITCHBOARD_REALTIME_EVENTS_PER_S": "0",
    "SWITCHBOARD_REALTIME_RESPONSES_PER_MIN": "0",
    "SWITCHBOARD_REALTIME_MAX_EVENT_MIB": "1",
    "SWITCHBOARD_REALTIME_ICE_SERVERS": '[{"urls": "turn:t.example", "username": "u", "credential": "turn-pass"}]',
}
WEBRTC = {
    "SWITCHBOARD_REALTIME_ICE_SERVERS": '[{"urls": "turn:t.example"}]',
    "SWITCHBOARD_TURN_SECRET": "north",
    "SWITCHBOARD_TURN_TTL_S": "60",
    "SWITCHBOARD_WEBRTC": "0",
    "SWITCHBOARD_WEBRTC_ADDRESSES": "198.51.100.7, 10.0.0.5=203.0.113.9",
    "SWITCHBOARD_KEPT_SESSIONS": "/var/lib/switchboard/kept",
}


def test_what_the_realtime_endpoints_need_is_read_and_checked() -> None:
    settings = read_settings(environ=ENOUGH | REALTIME)
    assert settings.api_keys == "keys.toml"
    assert settings.jwt_keys == (SigningKey("2026b", SECRET + "b"), SigningKey("2026a", SECRET + "a"))
    assert settings.realtime_origins == ("https://app.example", "https://b.example")
    assert settings.realtime_beta is False
    assert (settings.jwt_max_s, settings.realtime_session_s, settings.realtime_max_event_mib) == (7200, 60, 1)
    assert settings.realtime_sessions_per_key == settings.realtime_events_per_s == 0
    assert settings.realtime_responses_per_min == 0
    assert settings.realtime_ice_servers == (IceServer("turn:t.example", "u", "turn-pass"),)


def test_what_webrtc_needs_is_read_and_checked() -> None:
    settings = read_settings(environ=ENOUGH | WEBRTC)
    assert settings.realtime_ice_servers == (IceServer("turn:t.example"),)
    assert (settings.turn_secret, settings.turn_ttl_s) == ("north", 60)
    assert settings.webrtc_addresses == (
        Entry("198.51.100.7", "198.51.100.7"),
        Entry("10.0.0.5", "203.0.113.9"),
    )
    assert (settings.webrtc, settings.kept_sessions) == (False, "/var/lib/switchboard/kept")
    assert read_settings(environ=ENOUGH | {"SWITCHBOARD_DEMO_PAGE": "yes"}).demo_page is True


def test_their_defaults_need_no_setting() -> None:
    settings = Settings()
    assert (settings.api_keys, settings.jwt_keys, settings.realtime_origins) == ("", (), ())
    assert (settings.realtime_beta, settings.jwt_max_s, settings.realtime_session_s) == (True, 3600, 3600)
    assert (settings.realtime_sessions_per_key, settings.realtime_events_per_s) == (100, 200)
    assert (settings.realtime_responses_per_min, settings.realtime_max_event_mib) == (600, 24)
    assert settings.realtime_ice_servers == ()
    assert (settings.turn_secret, settings.turn_ttl_s) == ("", 3600)
    assert (settings.webrtc, settings.webrtc_addresses) == (True, ())
    assert (settings.kept_sessions, settings.demo_page) == ("", False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SWITCHBOARD_JWT_KEYS", "a:short"),
        ("SWITCHBOARD_JWT_MAX_S", "59"),
        ("SWITCHBOARD_JWT_MAX_S", "7201"),
        ("SWITCHBOARD_REALTIME_ORIGINS", "app.example"),
        ("SWITCHBOARD_REALTIME_MAX_EVENT_MIB", "0"),
        ("SWITCHBOARD_REALTIME_MAX_EVENT_MIB", "65"),
        ("SWITCHBOARD_REALTIME_SESSION_S", "0"),
        ("SWITCHBOARD_REALTIME_ICE_SERVERS", "stun:x"),
        ("SWITCHBOARD_TURN_SECRET", "short secret"),
        ("SWITCHBOARD_TURN_TTL_S", "59"),
        ("SWITCHBOARD_TURN_TTL_S", "86401"),
        ("SWITCHBOARD_WEBRTC", "maybe"),
        ("SWITCHBOARD_WEBRTC_ADDRESSES", "voice.example"),
        ("SWITCHBOARD_DEMO_PAGE", "maybe"),
    ],
)
def test_what_will_not_do_stops_the_start(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(environ=ENOUGH | {name: text})
    (fault,) = error.value.faults
    assert fault.startswith(f"{name} (env {name}): ")
    assert "short" not in fault


def test_their_secrets_stand_in_no_repr_and_in_no_list() -> None:
    settings = read_settings(environ=ENOUGH | REALTIME)
    assert settings.secrets == (ENOUGH["TWILIO_AUTH_TOKEN"], SECRET + "b", SECRET + "a", "turn-pass")
    seen = repr(settings) + str(list(settings.shown()))
    assert not [secret for secret in settings.secrets if secret in seen]
    shown = {name: text for name, text, _ in settings.shown()}
    assert shown["SWITCHBOARD_JWT_KEYS"] == shown["SWITCHBOARD_REALTIME_ICE_SERVERS"] == "••••"
    assert shown["SWITCHBOARD_REALTIME_ORIGINS"] == "https://app.example,https://b.example"
