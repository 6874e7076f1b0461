"""How long calls may go on stands in one place of each file, and is the same in all; what kills waits longer."""

from __future__ import annotations

import re

from gateway.setting_declarations import BY_NAME
from tests.deploy.chart import default_values
from tests.deploy.places import DEPLOY, read_yaml, seconds

DRAIN_S = int(str(BY_NAME["SWITCHBOARD_DRAIN_TIMEOUT"].default))
GRACE_S = 960
MOVE_S = 120
"""For the moves after the deadline: each waits for a silence, and no caller speaks on for two minutes."""

UNIT = (DEPLOY / "switchboard.service").read_text()


def unit(name: str) -> str:
    (found,) = re.findall(rf"^{re.escape(name)}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def test_all_files_drain_as_long_as_the_gateway_does_by_itself() -> None:
    gateway = read_yaml("compose.yaml")["x-gateway"]
    assert seconds(gateway["environment"]["SWITCHBOARD_DRAIN_TIMEOUT"]) == DRAIN_S
    assert default_values()["drainTimeoutSeconds"] == DRAIN_S
    assert seconds(unit("Environment=SWITCHBOARD_DRAIN_TIMEOUT")) == DRAIN_S


def test_nothing_kills_before_the_last_call_is_moved() -> None:
    compose = read_yaml("compose.yaml")
    graces = {
        "gateway": compose["x-gateway"]["stop_grace_period"],
        "nginx": compose["services"]["nginx"]["stop_grace_period"],
        "chart": default_values()["terminationGracePeriodSeconds"],
        "systemd": unit("TimeoutStopSec"),
    }
    assert {name: seconds(grace) for name, grace in graces.items()} == dict.fromkeys(graces, GRACE_S)
    assert GRACE_S >= DRAIN_S + MOVE_S


def test_the_alert_of_a_hanging_drain_comes_between_the_deadline_and_the_kill() -> None:
    rules = read_yaml("prometheus/alerts.yml")["groups"][0]["rules"]
    (waits,) = [seconds(rule["for"]) for rule in rules if rule["alert"] == "SwitchboardDrainHangs"]
    assert DRAIN_S < waits < GRACE_S


def test_the_docs_tell_the_same_numbers() -> None:
    text = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    assert f"{DRAIN_S} s" in text and f"{GRACE_S} s" in text
