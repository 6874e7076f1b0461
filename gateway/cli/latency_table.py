"""The latency table: one row a turn, its stages in milliseconds and as a bar, and what they come to over the call.

Pure: rows in, pieces of text out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.cli.call_review import Exchange, Review, median, p95
from gateway.cli.page import Piece
from simulator.call_result import CallResult

SLOW_MS: Final = 1_000
"""From here on people notice; a total above it is shown in red."""

MISSING: Final = "–"

TITLE: Final = "Turn latency, ms (caller stops → caller hears)"

_COLUMNS: Final = (
    ("endpoint", "wait", "endpoint", "░"),
    ("speech", "to text", "stt", "▒"),
    ("", "model", "model", "▓"),
    ("", "tool", "tooling", "▞"),
    ("", "speech", "speech", "█"),
    ("to", "caller", "wire", "─"),
)
"""Two lines of heading, and style and, where there are no colours, the sign of the bar."""

_WIDTH: Final = 9
_NUMBER_WIDTH: Final = 4
_BAR_AT: Final = _NUMBER_WIDTH + _WIDTH * (len(_COLUMNS) + 1) + 2
_MOST_BAR: Final = 48


def latency_table(exchanges: Sequence[Exchange], width: int, *, is_coloured: bool) -> Iterator[list[Piece]]:
    """The table's lines, at most `width` columns each."""
    has_tools = any(one.stages is not None and one.stages.tool_ms is not None for one in exchanges)
    shown = [index for index, column in enumerate(_COLUMNS) if has_tools or column[1] != "tool"]
    bar_at = _BAR_AT - (0 if has_tools else _WIDTH)
    longest_ms = max((one.total_ms or 0 for one in exchanges), default=0)
    yield [(TITLE, "bold")]
    yield [(" " * _NUMBER_WIDTH, "dim"), *((_COLUMNS[at][0].rjust(_WIDTH), _COLUMNS[at][2]) for at in shown)]
    second = [(_COLUMNS[at][1].rjust(_WIDTH), _COLUMNS[at][2]) for at in shown]
    yield [("turn", "dim"), *second, ("total".rjust(_WIDTH), "dim")]
    for one in exchanges:
        room = min(_MOST_BAR, width - bar_at)
        yield _row(one, shown) + _bar(one, room, longest_ms, is_coloured=is_coloured)


def _row(one: Exchange, shown: Sequence[int]) -> list[Piece]:
    pieces: list[Piece] = [(f"{one.number:>{_NUMBER_WIDTH}}", "plain")]
    values = one.stages.in_order() if one.stages is not None else (None,) * len(_COLUMNS)
    for index in shown:
        value = values[index]
        pieces.append((_cell(value), "plain" if value is not None else "dim"))
    total_ms = one.total_ms
    pieces.append((_cell(total_ms), "bad" if total_ms is None or total_ms >= SLOW_MS else "bold"))
    return pieces


def _cell(value: int | None) -> str:
    return (MISSING if value is None else f"{value:,}").rjust(_WIDTH)


def _bar(one: Exchange, room: int, longest_ms: int, *, is_coloured: bool) -> list[Piece]:
    """The stages end to end, all turns to one scale. Rounded at the borders, so that lengths add up too."""
    total_ms = one.total_ms
    if total_ms is None or one.stages is None or longest_ms <= 0 or room <= 0:
        return []
    pieces: list[Piece] = [("  ", "plain")]
    passed_ms, drawn = 0, 0
    for value, (_, _, style, sign) in zip(one.stages.in_order(), _COLUMNS, strict=True):
        passed_ms += value or 0
        until = max(drawn, round(passed_ms / longest_ms * room))
        if until > drawn:
            pieces.append((("█" if is_coloured else sign) * (until - drawn), style))
        drawn = until
    return pieces


def summary(review: Review, result: CallResult) -> list[Piece]:
    """One line over the whole call."""
    totals_ms = review.totals_ms
    lost = sum(int(str(one.detail["lost_frames"])) for one in result.happenings if one.name == "stream.ended")
    share = f"{100 * result.heard_bytes / result.received_bytes:.0f} %" if result.received_bytes else MISSING
    figures: list[tuple[str, str, str]] = [
        ("median ", _ms(median(totals_ms)), ""),
        ("p95 ", _ms(p95(totals_ms)), ""),
        ("interruptions ", str(len(review.interruptions)), ""),
        ("heard ", share, " of sent audio"),
        ("underruns ", str(len(result.underruns)), ""),
        ("lost frames ", str(lost), ""),
    ]
    pieces: list[Piece] = []
    for before, figure, after in figures:
        separator = " · " if pieces else ""
        pieces += [(separator, "dim"), (before, "plain"), (figure, "figure"), (after, "plain")]
    return pieces


def _ms(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f} ms"
