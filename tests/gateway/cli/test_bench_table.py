"""The table for people, and the sentence under it."""

from __future__ import annotations

from dataclasses import asdict, replace

from gateway.cli.bench_table import REDIS_ROWS, ROWS, ratio, table
from tests.gateway.cli.test_bench import FIGURES
from tests.gateway.cli.test_bench_redis import REDIS


def test_the_table_shows_the_runs_side_by_side() -> None:
    floor = replace(FIGURES, server="floor", calls=7, turns=1)
    lines = table([asdict(floor), asdict(FIGURES)]).splitlines()
    assert len(lines) == len(ROWS) + 1
    assert lines[0].split() == ["floor", "gateway"]
    (calls,) = [line for line in lines if line.startswith("calls, failed")]
    assert calls.split() == ["calls,", "failed", "7", "·", "0", "100", "·", "0"]
    at = lines[0].index("gateway")
    assert calls[at:] == "100 · 0"
    assert all(line == line.rstrip() for line in lines)
    assert any("– / – ms" in line for line in lines)
    assert [line.split() for line in lines if line.startswith("sustained")] == [["sustained", "yes", "yes"]]


def test_where_one_had_redis_its_rows_are_shown_and_the_others_have_dashes() -> None:
    with_redis = replace(FIGURES, server="with Redis", redis=REDIS)
    lines = table([asdict(FIGURES), asdict(with_redis)]).splitlines()
    assert len(lines) == len(ROWS) + len(REDIS_ROWS) + 1
    (commands,) = [line for line in lines if "commands, scripts" in line]
    assert "– · – · – per call-second" in commands
    assert commands.endswith("18.11 · 1.888 · 3.2 per call-second")
    (gateway,) = [line for line in lines if line.startswith("CPU of the core")]
    assert gateway.endswith("12.3 % · 1.234 ms per call-second"), "not Redis' own"


def test_the_ratio_says_what_redis_costs_and_leaves_out_what_has_none() -> None:
    without = replace(FIGURES, cpu_ms_per_call_s=2.0, cpu_ms_per_short_call=10.0, frame_lateness_p99=-1.0)
    with_redis = replace(without, cpu_ms_per_call_s=3.0, cpu_ms_per_short_call=None, rss_kb_per_added_call=241.0)
    assert ratio(asdict(without), asdict(with_redis)) == (
        "With Redis it is 1.50 times the CPU a call-second, 2.00 times the memory of an added call."
    )
