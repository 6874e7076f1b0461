"""What a gateway of our own is given, so that a real one's settings do not reach it."""

from __future__ import annotations

import socket

from gateway.cli.loopback import HOST, free_port, own_settings
from gateway.settings import read_settings

SID, TOKEN = "AC" + "1" * 32, "2" * 32


def test_a_free_port_can_be_listened_on() -> None:
    with socket.socket() as listening:
        listening.bind((HOST, free_port()))


def test_what_a_real_gateway_was_told_does_not_reach_one_of_our_own() -> None:
    real = {
        "PUBLIC_URL": "https://voice.example.com",
        "TWILIO_ACCOUNT_SID": "AC" + "9" * 32,
        "TWILIO_AUTH_TOKEN": "9" * 32,
        "TWILIO_AUTH_TOKEN_SECONDARY": "8" * 32,
        "SWITCHBOARD_HOST": "0.0.0.0",
        "PORT": "80",
        "SWITCHBOARD_METRICS_PORT": "9090",
        "SWITCHBOARD_MAX_CALLS": "1",
    }
    settings = read_settings(environ={**real, **own_settings(4321, account_sid=SID, auth_token=TOKEN)})
    assert (settings.host, settings.port, settings.public_url) == (HOST, 4321, f"http://{HOST}:4321")
    assert (settings.account_sid, set(settings.auth_tokens)) == (SID, {TOKEN})
    assert (settings.metrics_port, settings.max_calls, settings.insecure_dev) == (0, 0, False)
