"""Prometheus's own opinion of our rules, its configuration and the dashboard's queries, where promtool is.

Whether the names exist is judged everywhere, in `test_names.py`. Debian's promtool is in its package `prometheus`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.places import DEPLOY, read_yaml
from tests.deploy.test_names import panel_expressions

PROMTOOL = shutil.which("promtool")
with_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here: only the names were compared")

ALERTS = DEPLOY / "prometheus" / "alerts.yml"


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_that_is_tried_exists() -> None:
    tried = yaml.safe_load((Path(__file__).parent / "alerts_test.yml").read_text())
    alerts = {rule["alert"] for group in read_yaml("prometheus/alerts.yml")["groups"] for rule in group["rules"]}
    named = {one["alertname"] for test in tried["tests"] for one in test["alert_rule_test"]}
    assert named <= alerts and len(named) >= 6


@with_promtool
def test_promtool_accepts_rules_and_configuration() -> None:
    promtool("check", "rules", ALERTS)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


@with_promtool
def test_alerts_come_when_they_should_and_not_before(tmp_path: Path) -> None:
    trial = tmp_path / "alerts_test.yml"
    trial.write_text((Path(__file__).parent / "alerts_test.yml").read_text().replace("ALERTS", str(ALERTS)))
    promtool("test", "rules", trial)


@with_promtool
def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m").replace("$", "")}
        for number, expression in enumerate(panel_expressions())
    ]
    written = tmp_path / "dashboard.yml"
    written.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", written)
