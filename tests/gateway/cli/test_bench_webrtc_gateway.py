"""The gateway under test: whatever the environment holds, the benchmark's own key opens it."""

from __future__ import annotations

import os

import pytest

from gateway.cli import bench_webrtc_gateway
from gateway.settings import read_settings


def test_it_serves_with_the_key_it_is_given_and_without_limits_for_that_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {"SWITCHBOARD_TOKEN": "of a real gateway", "TWILIO_AUTH_TOKEN": "t" * 32})
    served: list[list[str]] = []
    monkeypatch.setattr(bench_webrtc_gateway, "main", served.append)
    bench_webrtc_gateway.serve("of-the-benchmark")
    assert served == [["serve"]]
    settings = read_settings(environ=os.environ)
    assert settings.token == "of-the-benchmark"
    assert (settings.realtime_sessions_per_key, settings.realtime_responses_per_min) == (0, 0)
