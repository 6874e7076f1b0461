"""The settings of Redis, which several workers share calls through.

Each is a declaration, of which `setting_declarations.py` makes a field of `Settings`.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.redis.address import read_address
from gateway.setting import declared
from gateway.setting_values import any_text, switch


def read_redis_url(text: str) -> str:
    if text:
        read_address(text)
    return text


def read_prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9:_-]{1,64}", text):
        raise ValueError("expected up to 64 letters, digits, : - or _")
    return text


URL: Final = declared(
    "REDIS_URL",
    "",
    read_redis_url,
    "Redis, where workers keep what another one needs to go on with a call: redis://[user:password@]host[:port][/db],"
    " rediss:// for TLS, unix:// for a socket. Empty: one process, whose calls live in its memory.",
    is_secret=True,
)
PREFIX: Final = declared(
    "SWITCHBOARD_REDIS_PREFIX",
    "switchboard",
    read_prefix,
    "What every key in Redis begins with: another for each deployment that shares a Redis.",
)
CLUSTER: Final = declared(
    "SWITCHBOARD_REDIS_CLUSTER", False, switch, "1 if REDIS_URL is a node of a Redis Cluster."
)
CA: Final = declared(
    "SWITCHBOARD_REDIS_CA",
    "",
    any_text,
    "A PEM file of the authorities a rediss:// server is believed by. Empty: the system's.",
)
