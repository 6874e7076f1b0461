"""What levels come to, and the tables people read."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from gateway.cli import bench_webrtc_table
from gateway.cli.bench_webrtc_table import profile_table, summary_of, table, told
from tests.gateway.cli.webrtc_figures import FIGURES

ECHO = replace(
    FIGURES, server="transport", cpu_ms_per_session_s=20.0, cpu_ms_per_added_session_s=19.5, mouth_to_ear_p50=60.0
)
MADE = replace(
    FIGURES,
    server="gateway",
    cpu_ms_per_session_s=32.0,
    cpu_ms_per_added_session_s=23.4,
    mouth_to_ear_p50=None,
    voice_to_voice_p50=561.0,
)
NOT_FULL = {"floor": False, "transport": False, "gateway": False}


def levels(**changed: Any) -> dict[str, list[dict[str, Any]]]:
    rigs = {"floor": [FIGURES], "transport": [ECHO], "gateway": [MADE]} | changed
    return {name: [asdict(level) for level in rig] for name, rig in rigs.items()}


def test_a_session_is_told_in_shares_of_the_floor() -> None:
    summary = summary_of(levels(), NOT_FULL)
    assert told(summary, stepped=False) == [
        "At 10 sessions a session costs 0.4 of the CPU of stock aiortc's echo, each added one 0.3; "
        "our own echo 0.25 and 0.25.",
        "Mouth to ear our connections add 60.0 ms, stock ones 90.0 ms.",
    ]


def test_the_highest_levels_are_told_with_their_ratio_and_at_least_where_time_ended_the_rise() -> None:
    made = [replace(MADE, sessions=count, sustained=count < 40) for count in (10, 20, 30, 40, 40)]
    summary = summary_of(levels(gateway=made), NOT_FULL | {"gateway": True})
    assert told(summary, stepped=True)[-1] == (
        "Sessions per core: floor at least 10, our echo at least 10, gateway 30: 3.0 times the floor."
    )


def test_a_server_that_did_not_carry_the_first_level_carries_fewer() -> None:
    summary = summary_of(levels(gateway=[replace(MADE, sustained=False)]), NOT_FULL | {"gateway": True})
    assert summary["sessions_ratio"] is None
    assert "gateway fewer than 10: – times" in told(summary, stepped=True)[-1]


def test_delay_is_told_of_the_first_level_that_was_sustained() -> None:
    late = replace(FIGURES, sustained=False, mouth_to_ear_p50=700.0)
    assert summary_of(levels(floor=[late, FIGURES]), NOT_FULL)["floor_mouth_to_ear_p50"] == 90.0
    assert summary_of(levels(floor=[late]), NOT_FULL)["floor_mouth_to_ear_p50"] == 700.0


def test_where_nothing_was_measured_there_is_no_figure() -> None:
    nothing = replace(FIGURES, cpu_ms_per_session_s=0.0, cpu_ms_per_added_session_s=None)
    summary = summary_of(levels(floor=[nothing]), NOT_FULL)
    assert summary["gateway_cpu_of_floor"] is None
    assert summary["gateway_added_cpu_of_floor"] is None


@pytest.mark.parametrize(
    ("floor", "is_full", "believable"),
    [
        (replace(FIGURES, believable=False), False, False),
        (replace(FIGURES, believable=False, sustained=False), False, False),
        (replace(FIGURES, cpu_percent=64.9), True, False),
        (replace(FIGURES, cpu_percent=65.0), True, True),
        (replace(FIGURES, cpu_percent=9.0), False, True),
    ],
)
def test_a_generator_that_was_late_or_a_floor_that_was_idle_is_not_to_be_believed(
    floor: Any, is_full: bool, believable: bool
) -> None:
    summary = summary_of(levels(floor=[floor]), NOT_FULL | {"floor": is_full})
    assert summary["believable"] is believable
    assert told(summary, stepped=False)[-1].startswith("Not to be believed") is not believable


def test_a_level_that_was_not_sustained_while_the_generator_was_late_proves_nothing() -> None:
    late = replace(FIGURES, believable=False, sustained=False)
    assert summary_of(levels(floor=[late, FIGURES]), NOT_FULL)["believable"]


def test_the_table_has_a_line_for_each_figure() -> None:
    lines = table([asdict(FIGURES), asdict(MADE)]).splitlines()
    assert len(lines) == len(bench_webrtc_table.ROWS) + 1
    assert all(line == line.rstrip() for line in lines)
    assert [line.split() for line in lines if line.startswith("sustained")] == [["sustained", "yes", "yes"]]
    assert any("– / – ms" in line and "561.0 / – ms" in line for line in lines)


@pytest.mark.parametrize(("measured", "share", "rest"), [(20.0, "10 %", "15.00 ms"), (None, "–", "-5.00 ms")])
def test_the_parts_are_shown_as_shares_of_what_was_measured(measured: float | None, share: str, rest: str) -> None:
    lines = profile_table(
        {
            "at_sessions": 10,
            "measured_ms_per_session_s": measured,
            "parts": [
                {"part": "decoding", "us_per_frame": 40.0, "ms_per_session_s": 2.0},
                {"part": "coding", "us_per_frame": 60.0, "ms_per_session_s": 3.0},
            ],
            "delays": dict.fromkeys(
                (
                    *("inbound_mean", "inbound_least", "inbound_most", "buffer_mean"),
                    *("outbound_mean", "outbound_least", "outbound_most"),
                ),
                7.5,
            ),
        }
    ).splitlines()
    assert lines[1].split("   ")[0] == "decoding"
    assert lines[1].endswith(share)
    assert "5.00 ms" in lines[3]
    assert rest in lines[4]
    assert "has left after 7.5 ms" in lines[-1]
