"""The name of this process among all workers of a switchboard.

It is new for every start, so that what a dead worker held is never taken for its successor's: `host-w2-5f3a9c` is a
worker in the second place of its supervisor, `host-5f3a9c` one that runs alone.
"""

from __future__ import annotations

import re
import secrets
import socket

HOST_CHARACTERS = 40
"""Of the host's name; long enough for a Kubernetes pod's, which end in what tells them apart."""

RANDOM_BYTES = 3

_own: list[str] = []
"""One name at most: a process has one, however often it is asked."""


def new_worker_id(place: int | None = None) -> str:
    """A name nobody has yet: letters, digits and hyphens."""
    host = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname()).strip("-")[-HOST_CHARACTERS:] or "worker"
    seat = "" if place is None else f"w{place}-"
    return f"{host}-{seat}{secrets.token_hex(RANDOM_BYTES)}"


def take_worker_id(name: str) -> None:
    """Go by the name a supervisor has given. Raises `RuntimeError` once the process has another."""
    if _own and _own[0] != name:
        raise RuntimeError(f"this process is {_own[0]} already; it cannot become {name}")
    _own[:] = [name]


def worker_id() -> str:
    """This process's name: the given one, or one it makes when it is first asked."""
    if not _own:
        _own.append(new_worker_id())
    return _own[0]
