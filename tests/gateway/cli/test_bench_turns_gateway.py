"""The gateway under test: whatever the environment holds, it has the benchmark's settings."""

from __future__ import annotations

import os

import pytest

from gateway.cli import bench_turns_gateway
from gateway.settings import read_settings


def test_it_serves_with_the_settings_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"SWITCHBOARD_PREEMPTIVE": "1", "TWILIO_AUTH_TOKEN": "t" * 32})
    served: list[list[str]] = []
    monkeypatch.setattr(bench_turns_gateway, "main", served.append)
    bench_turns_gateway.serve({"SWITCHBOARD_PREEMPTIVE": "0", "SWITCHBOARD_HEDGING": "0"})
    assert served == [["serve"]]
    settings = read_settings(environ=os.environ)
    assert (settings.preemptive, settings.hedging) == (False, False)
