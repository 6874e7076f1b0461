"""A simulated call, placed and watched: the simulator's call and the gateway's journal of it, side by side.

What `simulate` and `demo` share. Prints through whoever watches; decides nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from gateway.cli.call_events import Entry, JournalClosed, entry_line, event_lines, follow_journal, happening_line
from gateway.cli.call_review import Interruption, Review
from gateway.cli.latency_table import latency_table, summary
from gateway.cli.page import Page, Piece
from gateway.cli.verdict import Check
from simulator.call_result import CallResult, Happening
from simulator.call_setup import CallSetup
from simulator.clock import Clock, SteadyClock
from simulator.phone_call import PhoneCall
from simulator.recording import write_recording

JOURNAL_END_LIMIT_S: Final = 2.0
"""The journal ends with the call; one that does not is left."""

JOURNAL_BEGIN_LIMIT_S: Final = 0.1
"""For the first event, once the call is over already: a call that was refused has none."""


class Watcher(Protocol):
    """Told of everything as it happens."""

    def see(self, happening: Happening) -> None: ...

    def tell(self, entry: Entry, at_ms: float) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call that is over."""

    result: CallResult
    journal: tuple[Entry, ...]
    no_journal: str | None
    """Why there is none, if there is none."""


async def place_call(
    setup: CallSetup, watcher: Watcher, *, base_url: str, token: str, clock: Clock | None = None
) -> PlacedCall:
    """Place the call and follow the gateway's journal of it, where `token` opens that."""
    zero, clock = _Zero(), clock or SteadyClock()

    def see(happening: Happening) -> None:
        zero.take(happening)
        watcher.see(happening)

    call = PhoneCall(setup, listener=see, clock=clock)
    journal: list[Entry] = []
    no_journal: list[str] = []

    async def follow() -> None:
        if not token:
            no_journal.append("give the gateway's SWITCHBOARD_TOKEN with --token")
            return
        try:
            async with aclosing(follow_journal(base_url, token, call.call_sid)) as events:
                async for name, fields in events:
                    entry = Entry(clock.now_s(), name, fields)
                    journal.append(entry)
                    watcher.tell(entry, zero.ms_at(entry.at_s))
        except JournalClosed as closed:
            no_journal.append(str(closed))

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        result = await call.run()
        await asyncio.wait((following,), timeout=JOURNAL_END_LIMIT_S if journal else JOURNAL_BEGIN_LIMIT_S)
        following.cancel()
    watcher.close()
    return PlacedCall(result, tuple(journal), no_journal[0] if no_journal else None)


class _Zero:
    """Where the call's clock began, by the last thing that happened."""

    def __init__(self) -> None:
        self._zero_s: float | None = None

    def take(self, happening: Happening) -> None:
        if self._zero_s is None or happening.name == "connected":
            self._zero_s = happening.at_s - happening.at_ms / 1000

    def ms_at(self, at_s: float) -> float:
        return 0.0 if self._zero_s is None else (at_s - self._zero_s) * 1000


class JsonLines:
    """Watches for programs: one JSON object a line, as it happens."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def see(self, happening: Happening) -> None:
        self._write(json.dumps(happening_line(happening), ensure_ascii=False))

    def tell(self, entry: Entry, at_ms: float) -> None:
        self._write(json.dumps(entry_line(entry, at_ms), ensure_ascii=False))

    def close(self) -> None:
        pass


def save(placed: PlacedCall, folder: Path) -> tuple[Path, Path]:
    """Write call.wav and, with both records in it, call.jsonl. Raises `OSError`."""
    sound_path, events_path = write_recording(placed.result, folder)
    lines = event_lines(placed.result.happenings, placed.journal)
    events_path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return sound_path, events_path


def tell_end(
    page: Page, placed: PlacedCall, review: Review, checks: list[Check], saved: tuple[Path, Path] | None
) -> None:
    """What is told when the call is over: table, summary, interruptions, verdict, files."""
    if review.exchanges:
        page.gap()
        for line in latency_table(review.exchanges, page.width, is_coloured=page.is_coloured):
            page.line(*line)
        if placed.no_journal is not None:
            page.line((f"Words and stages are not known: {placed.no_journal}.", "dim"))
    page.gap()
    page.line(*summary(review, placed.result))
    for one in review.interruptions:
        page.line(*interruption_line(one), indent=13)
    page.gap()
    for check in checks:
        page.line(*check.line(), indent=2)
    if saved is not None:
        sound_path, events_path = saved
        page.line(
            ("saved ", "dim"),
            (str(sound_path), "figure"),
            (" (stereo: caller | agent)  ", "dim"),
            (str(events_path), "figure"),
        )


def interruption_line(one: Interruption) -> list[Piece]:
    """How long the agent took to stop, and what both sides say was heard."""
    cleared = "no clear came" if one.cleared_after_ms is None else f"{one.cleared_after_ms:,.0f} ms to clear"
    pieces: list[Piece] = [("interruption ", "plain"), (cleared, "figure"), ("  ·  ", "dim")]
    pieces += [("heard ", "plain"), (f"{one.heard_ms:,.0f} ms", "figure")]
    answer = one.answer
    if answer is not None and answer.heard_ms is not None:
        pieces.append((f", the gateway believes {answer.heard_ms:,.0f} ms", "plain"))
        if one.error_ms is not None:
            pieces.append((f" ({one.error_ms:+,.0f} ms)", "figure"))
        pieces += [
            ("  ·  ", "dim"),
            (f"{len((answer.heard or '').split())} words", "figure"),
            (f': "{answer.heard}"', "plain"),
        ]
    return pieces
