"""A gateway on loopback for our own use: a port nobody has, and settings that no other gateway's can change."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def own_settings(port: int, *, account_sid: str, auth_token: str) -> dict[str, str]:
    """For a child's environment, which comes before its `.env`: what must not be inherited from a real gateway."""
    return {
        "PUBLIC_URL": f"http://{HOST}:{port}",
        "TWILIO_ACCOUNT_SID": account_sid,
        "TWILIO_AUTH_TOKEN": auth_token,
        "TWILIO_AUTH_TOKEN_SECONDARY": auth_token,
        "SWITCHBOARD_HOST": HOST,
        "PORT": str(port),
        "SWITCHBOARD_METRICS_PORT": "0",
        "SWITCHBOARD_INSECURE_DEV": "0",
        "SWITCHBOARD_MAX_CALLS": "0",
        "WEB_CONCURRENCY": "1",
        "REDIS_URL": "",
    }
