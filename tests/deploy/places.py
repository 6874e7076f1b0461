"""Where the files of deploy/ stand, and what is read from several of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"

_SECONDS = re.compile(r"([0-9]+)(s|m|h)?")


def read_yaml(name: str) -> dict[str, Any]:
    """A file of deploy/."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return found


def seconds(text: str | int) -> int:
    """Of `960`, `960s`, `16m`."""
    match = _SECONDS.fullmatch(str(text))
    assert match, f"{text!r} is no duration"
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]
