"""The runs of the benchmark of calls, as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

Figure: TypeAlias = dict[str, Any]
"""A run: `bench_run.Figures` as a dict."""

ROWS: Final = (
    ("calls, failed", "{calls} · {failed}"),
    ("sustained", "{sustained}"),
    ("CPU of the core, per call", "{cpu_percent} % · {cpu_ms_per_call_s} ms per call-second"),
    ("memory, per added call", "{rss_mb} MB · {rss_kb_per_added_call} kB"),
    ("voice to voice p50 / p95", "{voice_to_voice_p50} / {voice_to_voice_p95} ms"),
    ("barge-in to clear p50 / p95", "{barge_in_to_clear_p50} / {barge_in_to_clear_p95} ms"),
    ("  slowest phrase p50, others p95", "{slowest_phrase} {slowest_phrase_p50} · {other_phrases_p95} ms"),
    ("frame lateness p50 / p95 / p99", "{frame_lateness_p50} / {frame_lateness_p95} / {frame_lateness_p99} ms"),
    ("turns, unanswered", "{turns} · {unanswered}"),
    ("barge-ins, not stopped", "{barge_ins} · {unstopped}"),
    ("underruns", "{underruns}"),
    ("generator late p99", "{generator_lateness_p99} ms"),
    (
        "on the wire to it, from it",
        "{bytes_to_gateway_per_call_s} · {bytes_from_gateway_per_call_s} bytes per call-second",
    ),
    ("files and sockets open", "{descriptors}"),
)

REDIS_ROWS: Final = (
    ("CPU to begin and end a call", "{cpu_ms_per_short_call} ms"),
    (
        "Redis: commands, scripts, reads",
        "{redis_commands_per_call_s} · {redis_scripts_per_call_s} · {redis_reads_per_call_s} per call-second",
    ),
    ("  bytes in, out", "{redis_bytes_in_per_call_s} · {redis_bytes_out_per_call_s} per call-second"),
    ("  CPU of a core, per call", "{redis_cpu_percent} % · {redis_cpu_ms_per_call_s} ms per call-second"),
    ("  memory, per live call", "{redis_memory_mb} MB · {redis_kb_per_call} kB"),
    ("  a call grows by", "{redis_bytes_kept_per_call_s} bytes per call-second"),
    (
        "  a call begun and ended",
        "{redis_commands_per_short_call} commands · {redis_kb_per_short_call} kB kept",
    ),
    ("  gateways without calls", "{redis_idle_commands_per_s} commands a second"),
)
"""Shown where a run had Redis. All but the first are dashes where one had none."""

RATIOS: Final = (
    ("cpu_ms_per_call_s", "the CPU a call-second"),
    ("cpu_ms_per_short_call", "the CPU to begin and end a call"),
    ("rss_kb_per_added_call", "the memory of an added call"),
    ("frame_lateness_p99", "the lateness p99"),
)


def table(figures: Sequence[Figure]) -> str:
    """The runs side by side, for people."""
    redis = [field for figure in figures for field in figure["redis"] or ()]
    rows = (*ROWS, *REDIS_ROWS) if redis else ROWS
    width = max(len(title) for title, _ in rows)
    columns = []
    for figure in figures:
        flat = {key: _shown(value) for key, value in figure.items()}
        flat |= {f"redis_{field}": "–" for field in redis}
        flat |= {f"redis_{field}": _shown(value) for field, value in (figure["redis"] or {}).items()}
        columns.append([str(figure["server"]), *(row.format(**flat) for _, row in rows)])
    titles = ["", *(title for title, _ in rows)]
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = []
    for index, title in enumerate(titles):
        cells = (column[index].ljust(size) for column, size in zip(columns, widths, strict=True))
        lines.append(f"{title:<{width}}  {'   '.join(cells)}".rstrip())
    return "\n".join(lines)


def ratio(without: Figure, with_redis: Figure) -> str:
    """What Redis costs a gateway, as a sentence."""
    parts = [
        f"{with_redis[field] / without[field]:.2f} times {what}"
        for field, what in RATIOS
        if _has(without, with_redis, field)
    ]
    return f"With Redis it is {', '.join(parts)}."


def _has(without: Figure, with_redis: Figure, field: str) -> bool:
    """A lateness below nothing is early, and has no ratio."""
    return all(figure[field] is not None and figure[field] > 0 for figure in (without, with_redis))


def _shown(value: object) -> object:
    """As people read it: nothing measured is a dash."""
    return "–" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
