"""The `.env` file: `NAME=value` a line, as shells and compose read it, without interpolation.

    # a comment
    export NAME=value         # what follows a blank and a hash is a comment
    NAME="a value # with a hash"

Text in, names and values out; opens no file and knows no setting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(["'])(.*)\1\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True, slots=True)
class EnvLine:
    """One assignment of the file."""

    name: str
    value: str
    line_number: int


def read_env_text(text: str) -> tuple[list[EnvLine], list[int]]:
    """The assignments of a file, and the numbers of the lines that are none."""
    lines: list[EnvLine] = []
    unreadable: list[int] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if found := _ASSIGNMENT.fullmatch(line):
            lines.append(EnvLine(found[1], _unquote(found[2]), number))
        else:
            unreadable.append(number)
    return lines, unreadable


def _unquote(value: str) -> str:
    if quoted := _QUOTED.fullmatch(value):
        return quoted[2]
    return _COMMENT.sub("", value).strip()
