"""What is asked of Redis: a command, or a script that Redis runs as one step. Pure.

A script is sent by its digest, and in full only to a Redis that does not know it: one that was restarted or
flushed, or a replica that took over (https://redis.io/docs/latest/develop/programmability/eval-intro/).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Word: TypeAlias = str | bytes | int | float
"""What may stand in a command; text goes as UTF-8, numbers as their digits."""


@dataclass(frozen=True)
class Script:
    """A Lua script. In a cluster it may touch only the keys it is given, and those must share a hash tag."""

    name: str
    """What its duration is reported under."""
    text: str

    @cached_property
    def digest(self) -> str:
        # SHA-1 is Redis's choice, a name and no protection.
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Command:
    """One command, as `Command("HGET", (key, field))`."""

    name: str
    args: Sequence[Word] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        return (self.name, *self.args)


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One run of a script."""

    script: Script
    keys: Sequence[str | bytes] = ()
    args: Sequence[Word] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """By its digest."""
        return ("EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.args)

    @property
    def words_in_full(self) -> tuple[Word, ...]:
        """With its text, which Redis knows by its digest from then on."""
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


Call: TypeAlias = Command | ScriptCall
