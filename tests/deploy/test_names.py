"""The files of deploy/ speak only of metrics and settings that there are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.deploy.names import exported, faults, strange_settings
from tests.deploy.places import DEPLOY, ROOT, read_yaml

TEXTS = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".json")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    return found


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def alert_rules() -> list[dict[str, Any]]:
    return [rule for group in read_yaml("prometheus/alerts.yml")["groups"] for rule in group["rules"]]


def test_what_is_exported_is_known_with_its_labels_and_suffixes() -> None:
    known = exported()
    assert known["switchboard_calls_total"] == {"ended_reason"}
    assert known["switchboard_turn_stage_seconds_bucket"] == {"stage", "le"}
    assert known["switchboard_audio_frames_total"] == {"direction"}
    assert "switchboard_calls_active" in known and "process_resident_memory_bytes" in known


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(switchboard_calls)", "no metric switchboard_calls"),
        ('switchboard_calls_active{line="a"}', "switchboard_calls_active has no label line"),
        ('switchboard_calls_total{ended_reason=~"error|bored"}', "ended_reason is never {'bored'}"),
        ("sum by (le, stage) (switchboard_turn_response_seconds_bucket)", "nothing here has {'stage'}"),
    ],
)
def test_a_name_that_is_not_exported_is_found(expression: str, fault: str) -> None:
    assert list(faults(expression)) == [fault]


@pytest.mark.parametrize("expression", panel_expressions())
def test_the_dashboard_asks_only_for_what_is_exported(expression: str) -> None:
    assert not list(faults(expression))


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: str(rule["alert"]))
def test_the_alerts_ask_only_for_what_is_exported(rule: dict[str, Any]) -> None:
    assert not list(faults(rule["expr"]))
    assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket")


def test_no_metric_of_a_call_is_forgotten_on_the_dashboard() -> None:
    shown = " ".join(panel_expressions())
    for topic in ("calls_active", "turn_response", "barge_in_clear", "provider_errors", "fallbacks", "draining"):
        assert f"switchboard_{topic}" in shown
    for topic in (
        "event_loop_lag",
        "audio_frames_dropped",
        "realtime_sessions_active",
        "redis_errors",
        "calls_moved",
    ):
        assert f"switchboard_{topic}" in shown


def test_no_two_panels_have_one_place_or_one_id() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_a_setting_that_is_none_is_found() -> None:
    assert strange_settings("SWITCHBOARD_MAX_CALLS=3 SWITCHBOARD_MAX_CALS=3 PORT=1") == {"SWITCHBOARD_MAX_CALS"}


@pytest.mark.parametrize("path", [*TEXTS, ROOT / "docs" / "deploy.md"], ids=lambda path: path.name)
def test_every_setting_named_is_one(path: Any) -> None:
    # SWITCHBOARD_PORT is what Kubernetes would add, and the chart says why it must not.
    text = path.read_text().replace("SWITCHBOARD_PORT=tcp", "")
    assert not strange_settings(text)
