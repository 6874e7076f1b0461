"""Where a simulated call goes to, and with what it is signed: from flags, the environment and `.env`.

The settings are the gateway's own, read as it reads them, so that on one machine nothing has to be said twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import SettingsError
from gateway.settings import read_settings

ANY_ACCOUNT: Final = "AC" + "0" * 32
"""For a gateway that is not told whose calls it answers."""

VOICE_PATH: Final = "/twilio/voice"
STATUS_PATH: Final = "/twilio/status"

_NO_TOKEN: Final = "TWILIO_AUTH_TOKEN (not set)"


class TargetError(Exception):
    """It is not clear where to call, or with what to sign; says what to give."""


@dataclass(frozen=True, slots=True)
class Target:
    """One gateway, or another bot."""

    base_url: str
    voice_url: str
    status_url: str | None
    """None for a bot that is known by its voice URL alone."""
    account_sid: str
    auth_token: str
    token: str
    """Of the control API; empty if there is none."""


def read_target(url: str | None, auth_token: str | None, token: str | None) -> Target:
    """Flags first, then the settings. Raises `TargetError`."""
    try:
        settings = read_settings({"TWILIO_AUTH_TOKEN": auth_token or None, "SWITCHBOARD_TOKEN": token or None})
    except SettingsError as error:
        if len(error.faults) == 1 and error.faults[0].startswith(_NO_TOKEN):
            raise TargetError(
                "nothing to sign with as Twilio would: give the gateway's --auth-token, or TWILIO_AUTH_TOKEN.\n"
                "A gateway run with --insecure-dev takes any.\n"
                "To try without either: switchboard demo --call"
            ) from error
        raise TargetError(str(error)) from error
    account_sid = settings.account_sid or ANY_ACCOUNT
    return target_at(url or settings.public_url, account_sid, settings.auth_token or "insecure-dev", settings.token)


def target_at(url: str, account_sid: str, auth_token: str, token: str) -> Target:
    """The gateway at an address; an address with a path is a bot's voice URL itself. Raises `TargetError`."""
    example = "give it like http://127.0.0.1:8080"
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError as error:
        raise TargetError(f"--url: {url!r} is no URL ({error}); {example}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"--url: {url!r} is no http or https URL with a host; {example}")
    base_url = f"{parts.scheme}://{parts.netloc}"
    if parts.path.strip("/"):
        return Target(base_url, url, None, account_sid, auth_token, token)
    return Target(base_url, base_url + VOICE_PATH, base_url + STATUS_PATH, account_sid, auth_token, token)
