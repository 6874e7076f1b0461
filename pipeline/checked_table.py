"""A table of a TOML file, read with every fault noted: the file, the key, what was expected and what came.

Reading goes on after a fault, with the default in place, so that a person who repairs the file sees all of it at
once. What the table holds besides what was asked for is a fault too, most often a misspelt key. Opens nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any


class CheckedTable:
    """The values of one table. Ask for each key once, then call `no_more`."""

    def __init__(self, values: Mapping[str, Any], *, key: str, faults: list[str]) -> None:
        self._values = values
        self._key = key
        self._asked: set[str] = set()
        self.faults = faults
        """Shared by all tables of a file, in the order they were found."""

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not blank; without `default` it must be there."""
        value = self._take(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.fault(name, "expected a text that is not empty")
        return default or ""

    def flag(self, name: str, default: bool) -> bool:
        value = self._take(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.fault(name, "expected true or false")
        return default

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        """A number from `least` to `most`."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.fault(name, f"expected a number from {least} to {most}")
        return default

    def texts(self, name: str, *, required: bool = False, may_be_empty: bool = False) -> tuple[str, ...]:
        """A list of texts; one text alone counts as a list of one."""
        value = self._take(name)
        if (value is None and not required) or (value == [] and may_be_empty):
            return ()
        listed = [value] if isinstance(value, str) else value
        if isinstance(listed, list) and listed and all(isinstance(t, str) and t.strip() for t in listed):
            return tuple(t.strip() for t in listed)
        self.fault(name, "expected a list of texts, none of them empty")
        return ()

    def mapping(self, name: str) -> dict[str, Any]:
        """A table of anything, empty if it is not there."""
        value = self._take(name)
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(name, "expected a table")
        return {}

    def table(self, name: str) -> CheckedTable:
        """A table with keys of its own, empty if it is not there."""
        return CheckedTable(self.mapping(name), key=self._path(name), faults=self.faults)

    def tables(self, name: str) -> list[CheckedTable]:
        """A list of tables (`[[name]]`), empty if it is not there."""
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.fault(name, f"expected a list of tables, [[{self._path(name)}]]")
            return []
        return [
            CheckedTable(entry, key=f"{self._path(name)}[{index}]", faults=self.faults)
            for index, entry in enumerate(value)
        ]

    def fault(self, name: str, expected: str) -> None:
        """Note that `name` is not as expected."""
        came = f"got {self._values[name]!r}" if name in self._values else "it is missing"
        self.faults.append(f"{self._path(name)}: {expected}, {came}")

    def no_more(self) -> None:
        """Note every key nobody asked for."""
        self.faults += [
            f"{self._path(name)}: unknown key{nearest(name, self._asked)}"
            for name in self._values
            if name not in self._asked
        ]

    def _take(self, name: str) -> Any:
        self._asked.add(name)
        return self._values.get(name)

    def _path(self, name: str) -> str:
        return f"{self._key}.{name}" if self._key else name


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown `name`: `; did you mean 'x'?` or the names there are."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(sorted(known))}" if known else "; none is known here"
