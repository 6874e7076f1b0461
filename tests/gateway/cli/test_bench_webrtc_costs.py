"""The parts of a session's way, each measured alone, quickly."""

from __future__ import annotations

import pytest

from gateway.cli import bench_webrtc_costs
from gateway.cli.bench_webrtc_costs import Cost, costs

pytestmark = pytest.mark.anyio


async def test_every_part_costs_something_and_coding_only_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_webrtc_costs, "FRAMES", 200)
    monkeypatch.setattr(bench_webrtc_costs, "ENGINE_FRAMES", 20)
    monkeypatch.setattr(bench_webrtc_costs, "SESSIONS", 2)
    parts = {cost.part: cost for cost in await costs(0.5)}
    assert len(parts) == 9
    for part, cost in parts.items():
        assert 0 <= cost.us_per_frame < 20_000
        assert cost.frames_per_s == (25 if part == "Opus coded, of speech" else 50)
    assert parts["Opus decoded"].us_per_frame > parts["loudspeaker, without coding"].us_per_frame > 0


def test_a_part_costs_its_frames() -> None:
    assert Cost("decoding", 60.0, 50.0).ms_per_session_s == 3.0
