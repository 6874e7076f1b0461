"""What a redis-server says of itself at a moment, and what that comes to between two.

Its own words (https://redis.io/docs/latest/commands/info/), asked over one connection of ours, whose part is taken
out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

ASK: Final = b"*2\r\n$4\r\nINFO\r\n$3\r\nall\r\n"
ASK_LIMIT_S: Final = 5.0
"""For an answer that takes a millisecond, on a machine that is kept as busy as can be."""

SCRIPTS: Final = frozenset({"eval", "evalsha", "eval_ro", "evalsha_ro", "fcall"})


@dataclass(frozen=True, slots=True)
class Moment:
    """Counted since the server began, without what we asked."""

    commands: Mapping[str, int]
    """How often each was done, by a client or within a script."""
    reads: int
    """How often something was read from a connection: a batch of commands is one, as a rule."""
    bytes_in: int
    bytes_out: int
    cpu_s: float
    memory_bytes: int

    @property
    def done(self) -> int:
        return sum(self.commands.values())


@dataclass(frozen=True, slots=True)
class RedisFigures:
    """Per call-second where nothing else is said: one call, for one second."""

    commands_per_call_s: float
    """Those within scripts count one by one."""
    scripts_per_call_s: float
    reads_per_call_s: float
    """Round trips, about."""
    bytes_in_per_call_s: float
    bytes_out_per_call_s: float
    cpu_ms_per_call_s: float
    cpu_percent: float
    """Of a core."""
    memory_mb: float
    """At the end."""
    kb_per_call: float
    """Of a live one at the end, since before the first."""
    bytes_kept_per_call_s: float
    """By which memory grew while it was measured."""
    idle_commands_per_s: float
    """Of all gateways, while there was no call."""
    commands_per_short_call: float | None
    """To begin a call and to end it; None where none was placed."""
    kb_per_short_call: float | None
    """What is left of it, as long as ended calls are kept."""
    by_command: dict[str, float]
    """Per call-second, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Moments:
    """When a run was looked at."""

    begun: Moment
    idle: Moment
    """`idle_s` later; nothing was asked of the gateways meanwhile."""
    ended: Moment
    """`short_s` later, after the short calls and before those that stay."""
    before: Moment
    after: Moment
    idle_s: float
    short_s: float
    took_s: float
    """From before to after."""


def figures_of(seen: Moments, *, calls: int, short_calls: int) -> RedisFigures:
    call_s = calls * seen.took_s
    before, after = seen.before, seen.after
    rates = {name: (count - before.commands.get(name, 0)) / call_s for name, count in after.commands.items()}
    idle_rate = (seen.idle.done - seen.begun.done) / seen.idle_s
    cpu_s = after.cpu_s - before.cpu_s
    per_short = kb_per_short = None
    if short_calls:
        per_short = (seen.ended.done - seen.idle.done - idle_rate * seen.short_s) / short_calls
        kb_per_short = (seen.ended.memory_bytes - seen.idle.memory_bytes) / 1e3 / short_calls
    return RedisFigures(
        commands_per_call_s=round(sum(rates.values()), 2),
        scripts_per_call_s=round(sum(rate for name, rate in rates.items() if name in SCRIPTS), 3),
        reads_per_call_s=round((after.reads - before.reads) / call_s, 3),
        bytes_in_per_call_s=round((after.bytes_in - before.bytes_in) / call_s, 1),
        bytes_out_per_call_s=round((after.bytes_out - before.bytes_out) / call_s, 1),
        cpu_ms_per_call_s=round(1000 * cpu_s / call_s, 4),
        cpu_percent=round(100 * cpu_s / seen.took_s, 2),
        memory_mb=round(after.memory_bytes / 1e6, 2),
        kb_per_call=round((after.memory_bytes - seen.ended.memory_bytes) / 1e3 / calls, 2),
        bytes_kept_per_call_s=round((after.memory_bytes - before.memory_bytes) / call_s, 1),
        idle_commands_per_s=round(idle_rate, 1),
        commands_per_short_call=None if per_short is None else round(per_short, 1),
        kb_per_short_call=None if kb_per_short is None else round(kb_per_short, 2),
        by_command={
            name: round(rate, 3) for name, rate in sorted(rates.items(), key=lambda one: -one[1]) if rate > 0
        },
    )


def moment_of(text: str, *, asked: int, asked_bytes: int, answered_bytes: int) -> Moment:
    """From the words of `INFO all`, and how much of what they count was ours.

    Raises `KeyError` for a word that is missing.
    """
    words = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    commands = {
        name.removeprefix("cmdstat_"): int(value.split(",")[0].removeprefix("calls="))
        for name, value in words.items()
        if name.startswith("cmdstat_") and name != "cmdstat_info"
    }
    return Moment(
        commands=commands,
        reads=int(words["total_reads_processed"]) - asked,
        bytes_in=int(words["total_net_input_bytes"]) - asked_bytes,
        bytes_out=int(words["total_net_output_bytes"]) - answered_bytes,
        cpu_s=float(words["used_cpu_sys"]) + float(words["used_cpu_user"]),
        memory_bytes=int(words["used_memory"]),
    )


class Informant:
    """One connection that asks nothing but `INFO`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked = 0
        self._answered_bytes = 0

    async def look(self) -> Moment:
        """Raises `TimeoutError`."""
        self._asked += 1
        async with asyncio.timeout(ASK_LIMIT_S):
            self._writer.write(ASK)
            head = await self._reader.readline()  # "$4711\r\n"
            body = await self._reader.readexactly(int(head[1:]) + 2)
        before = self._answered_bytes
        self._answered_bytes += len(head) + len(body)
        return moment_of(
            body.decode(), asked=self._asked, asked_bytes=self._asked * len(ASK), answered_bytes=before
        )


@asynccontextmanager
async def informant(port: int) -> AsyncGenerator[Informant, None]:
    """Of the redis-server on that port of loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Informant(reader, writer)
    finally:
        writer.close()
