"""The Helm chart, rendered by `go_template.py`: with its defaults, with everything on, with what it must refuse."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.setting_declarations import SETTINGS
from tests.deploy.chart import CHART, default_values, merged, objects, render, schema
from tests.deploy.go_template import TemplateError
from tests.deploy.names import exported, strange_settings
from tests.deploy.places import read_yaml

URL = "https://voice.example.com"
PLAIN = {"publicUrl": URL}
ALL_ON: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "all_on.yaml").read_text())
BOTH = pytest.mark.parametrize("given", [PLAIN, ALL_ON], ids=["defaults", "all on"])


def one(given: dict[str, Any], kind: str, name: str = "phone-switchboard") -> dict[str, Any]:
    (found,) = [each for each in objects(given) if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pod_of(given: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = one(given, "Deployment")["spec"]["template"]["spec"]
    return pod


def pods_of(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Of all that runs."""
    found = objects(given)
    deployed = [each["spec"]["template"]["spec"] for each in found if each["kind"] == "Deployment"]
    return deployed + [each["spec"] for each in found if each["kind"] == "Pod"]


def test_the_defaults_make_this_and_no_more() -> None:
    assert sorted(each["kind"] for each in objects(PLAIN)) == [
        "ConfigMap",
        "Deployment",
        "Deployment",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "Service",
        "Service",
        "ServiceAccount",
    ]


def test_everything_on_makes_all_there_is() -> None:
    kinds = {each["kind"] for each in objects(ALL_ON)}
    assert {"Ingress", "HorizontalPodAutoscaler", "ServiceMonitor", "PrometheusRule"} <= kinds
    names = {each["metadata"]["name"] for each in objects(ALL_ON) if each["kind"] == "ConfigMap"}
    assert names == {"phone-switchboard", "phone-switchboard-agent", "phone-switchboard-dashboard"}


@BOTH
def test_every_object_has_a_name_of_its_own_and_the_labels_kubernetes_recommends(given: dict[str, Any]) -> None:
    found = objects(given)
    keys = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in found]
    assert len(set(keys)) == len(keys)
    for each in found:
        labels = each["metadata"]["labels"]
        for label in ("name", "instance", "version", "managed-by", "part-of"):
            assert labels[f"app.kubernetes.io/{label}"]
        for name in [each["metadata"]["name"], *labels.values()]:
            assert isinstance(name, str) and len(name) <= 63


@BOTH
def test_selectors_find_the_gateways_and_nothing_else(given: dict[str, Any]) -> None:
    gateway = one(given, "Deployment")
    wanted = gateway["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= gateway["spec"]["template"]["metadata"]["labels"].items()
    assert one(given, "Service")["spec"]["selector"] == wanted
    assert one(given, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == wanted
    doctor = one(given, "Pod", "phone-switchboard-doctor")
    assert not wanted.items() <= doctor["metadata"]["labels"].items()


@BOTH
def test_every_container_is_hardened(given: dict[str, Any]) -> None:
    for pod in pods_of(given):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@BOTH
def test_a_pod_drains_before_it_is_killed(given: dict[str, Any]) -> None:
    pod, values = pod_of(given), merged(default_values(), given)
    (gateway,) = pod["containers"]
    assert gateway["lifecycle"]["preStop"]["exec"]["command"] == ["switchboard", "drain", "--wait"]
    assert pod["terminationGracePeriodSeconds"] == values["terminationGracePeriodSeconds"]
    assert one(given, "ConfigMap")["data"]["SWITCHBOARD_DRAIN_TIMEOUT"] == str(values["drainTimeoutSeconds"])
    assert one(given, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@BOTH
def test_a_pod_that_drains_is_not_ready_and_not_ill(given: dict[str, Any]) -> None:
    (gateway,) = pod_of(given)["containers"]
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/healthz"
    ports = {port["name"] for port in gateway["ports"]}
    assert {gateway[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")} <= ports
    assert {port["targetPort"] for port in one(given, "Service")["spec"]["ports"]} <= ports


@BOTH
def test_every_setting_in_the_config_map_is_one(given: dict[str, Any]) -> None:
    data = one(given, "ConfigMap")["data"]
    assert not strange_settings(" ".join(data))
    assert all(isinstance(value, str) for value in data.values())
    ports = {port["name"]: str(port["containerPort"]) for port in pod_of(given)["containers"][0]["ports"]}
    assert ports == {"http": data["PORT"], "metrics": data["SWITCHBOARD_METRICS_PORT"]}


def test_files_stand_where_the_settings_say() -> None:
    data = one(ALL_ON, "ConfigMap")["data"]
    (gateway,) = pod_of(ALL_ON)["containers"]
    folders = {mount["mountPath"] for mount in gateway["volumeMounts"]}
    for setting in ("AGENT", "API_KEYS", "KEPT_SESSIONS", "MESSAGES_FILE"):
        assert data[f"SWITCHBOARD_{setting}"].rsplit("/", 1)[0] in folders
    assert one(ALL_ON, "ConfigMap", "phone-switchboard-agent")["data"]["agent.toml"] == ALL_ON["agent"]


def test_redis_is_ours_or_named_or_secret() -> None:
    assert one(PLAIN, "ConfigMap")["data"]["REDIS_URL"] == "redis://phone-switchboard-redis:6379/0"
    assert one(PLAIN, "Service", "phone-switchboard-redis")["spec"]["ports"][0]["port"] == 6379
    named = {**PLAIN, "redis": {"url": "rediss://r.example.com:6380/0", "internal": {"enabled": False}}}
    assert one(named, "ConfigMap")["data"]["REDIS_URL"] == "rediss://r.example.com:6380/0"
    assert "REDIS_URL" not in one(ALL_ON, "ConfigMap")["data"]
    (variable,) = pod_of(ALL_ON)["containers"][0]["env"]
    assert variable == {
        "name": "REDIS_URL",
        "valueFrom": {"secretKeyRef": {"name": "redis-url", "key": "REDIS_URL"}},
    }


def test_other_settings_make_other_pods() -> None:
    def checksum(given: dict[str, Any]) -> str:
        annotations = one(given, "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert re.fullmatch("[0-9a-f]{64}", checksum(PLAIN))
    assert checksum(PLAIN) == checksum(deepcopy(PLAIN))
    for change in ({"config": {"LOG_LEVEL": "debug"}}, {"agent": "name = 'x'"}, {"drainTimeoutSeconds": 300}):
        assert checksum({**PLAIN, **change}) != checksum(PLAIN)


def test_the_autoscaler_counts_calls_and_owns_the_number_of_workers() -> None:
    scaler = one(ALL_ON, "HorizontalPodAutoscaler")["spec"]
    (metric,) = scaler["metrics"]
    assert metric["type"] == "Pods" and metric["pods"]["metric"]["name"] in exported()
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "30"}
    assert "replicas" not in one(ALL_ON, "Deployment")["spec"]
    assert one(PLAIN, "Deployment")["spec"]["replicas"] == 2


def test_the_ingress_lets_a_websocket_be_silent_and_logs_no_token() -> None:
    ingress = one(ALL_ON, "Ingress")
    annotations = ingress["metadata"]["annotations"]
    for timeout in ("proxy-read-timeout", "proxy-send-timeout"):
        assert annotations[f"nginx.ingress.kubernetes.io/{timeout}"] == "3600"
    assert annotations["nginx.ingress.kubernetes.io/enable-access-log"] == "false"
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "voice.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "phone-switchboard", "port": {"name": "http"}}


def test_alerts_and_dashboard_are_the_very_ones_of_this_folder() -> None:
    assert one(ALL_ON, "PrometheusRule")["spec"] == read_yaml("prometheus/alerts.yml")
    shown = one(ALL_ON, "ConfigMap", "phone-switchboard-dashboard")
    assert yaml.safe_load(shown["data"]["switchboard.json"]) == read_yaml("grafana/dashboard.json")
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    (endpoint,) = one(ALL_ON, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in one(ALL_ON, "Service")["spec"]["ports"]}


def test_the_notes_print_what_attaches_a_number() -> None:
    notes = render(ALL_ON)["switchboard/templates/NOTES.txt"]
    assert f"--voice-url {URL}/twilio/voice" in notes
    assert "existingSecret is empty" not in notes
    assert "existingSecret is empty" in render(PLAIN)["switchboard/templates/NOTES.txt"]


def test_the_test_pod_is_a_hook_and_runs_the_doctor() -> None:
    doctor = one(PLAIN, "Pod", "phone-switchboard-doctor")
    assert doctor["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert doctor["spec"]["containers"][0]["args"][:3] == ["doctor", "--json", "--only"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "publicUrl"),
        ({**PLAIN, "drainTimeoutSeconds": 960}, "must be longer than drainTimeoutSeconds"),
        ({**PLAIN, "redis": {"url": "redis://r:6379/0"}}, "only one of"),
        ({**PLAIN, "redis": {"internal": {"enabled": False}}}, "more than one worker needs it"),
        ({**PLAIN, "ingress": {"enabled": True}}, "ingress.host"),
        ({**PLAIN, "serviceMonitor": {"enabled": True}, "service": {"type": "NodePort"}}, "metrics port"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        render(given)


def test_one_worker_needs_no_redis() -> None:
    alone = {**PLAIN, "replicaCount": 1, "redis": {"internal": {"enabled": False}}}
    assert "REDIS_URL" not in one(alone, "ConfigMap")["data"]


@pytest.mark.parametrize(
    "given",
    [
        {"publicURL": URL},
        {"publicUrl": "http://voice.example.com"},
        {"publicUrl": f"{URL}/"},
        {"config": {"TWILIO_AUTH_TOKEN": "secret"}},
        {"config": {"PORT": "80"}},
        {"config": {"SWITCHBOARD_MAX_CALLS": 60}},
        {"redis": {"url": "redis://user:password@r:6379"}},
        {"redis": {"enabled": True}},
        {"readinessPath": "/ready"},
        {"replicaCount": 0},
    ],
)
def test_the_schema_refuses(given: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(merged(default_values(), PLAIN), given), schema())


def test_the_schema_is_one_and_knows_every_value() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    assert default_values().keys() | {"global"} == schema()["properties"].keys()


def test_every_secret_setting_is_kept_out_of_the_config_map_by_the_schema() -> None:
    for setting in SETTINGS:
        if setting.is_secret and setting.name != "REDIS_URL":
            given = {**PLAIN, "config": {setting.name: "x"}}
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(merged(default_values(), given), schema())


def test_every_value_is_used_and_every_used_value_is_there() -> None:
    texts = " ".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    for dotted in set(re.findall(r"\.Values((?:\.[A-Za-z]+)+)", texts)):
        value: Any = default_values()
        for name in dotted.strip(".").split("."):
            assert name in value, f".Values{dotted} has no default"
            value = value[name]
    unused = [name for name in default_values() if f".Values.{name}" not in texts]
    assert unused == []
