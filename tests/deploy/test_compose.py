"""The compose files: what is hardened, what waits for what, and what reaches what."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.deploy.places import DEPLOY, read_yaml

MAIN = read_yaml("compose.yaml")
OBSERVABILITY = read_yaml("compose.observability.yaml")
SERVICES: dict[str, dict[str, Any]] = {**MAIN["services"], **OBSERVABILITY["services"]}

KNOWN_KEYS = set(
    "build cap_drop command depends_on env_file environment healthcheck image init logging networks ports "
    "read_only restart security_opt stop_grace_period stop_signal tmpfs ulimits user volumes".split()
)
"""Of a service: https://github.com/compose-spec/compose-spec/blob/main/05-services.md"""


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(name: str) -> None:
    container = SERVICES[name]
    assert container.keys() <= KNOWN_KEYS
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_tag(name: str) -> None:
    assert re.fullmatch(
        r"[a-z/-]+:(v?[0-9]+(\.[0-9]+)+(-alpine)?|\$\{SWITCHBOARD_VERSION:-latest\})", SERVICES[name]["image"]
    )


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_container_waits_for_can_say_that_it_is_well(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        checked = "healthcheck" in SERVICES[other]
        assert checked or ("build" in SERVICES[other] and "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text())


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_and_networks_are_declared_and_mounted_files_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
        else:
            assert source in {**MAIN["volumes"], **OBSERVABILITY["volumes"]}
    assert set(SERVICES[name]["networks"]) <= MAIN["networks"].keys()


def test_two_gateways_stand_behind_nginx_and_share_a_redis() -> None:
    gateways = [name for name in MAIN["services"] if name.startswith("gateway-")]
    assert len(gateways) == 2
    upstreams = re.findall(r"^\s+server (\S+):(\d+)", (DEPLOY / "nginx.conf").read_text(), re.MULTILINE)
    environment = MAIN["x-gateway"]["environment"]
    assert upstreams == [(name, environment["PORT"]) for name in gateways]
    assert environment["REDIS_URL"] == "redis://redis:6379/0"
    targets = read_yaml("prometheus/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"{name}:{environment['SWITCHBOARD_METRICS_PORT']}" for name in gateways]
    assert set(MAIN["services"]["nginx"]["depends_on"]) == set(gateways)


def test_only_nginx_and_the_pages_for_people_are_published_and_only_here() -> None:
    published = {name: SERVICES[name]["ports"] for name in SERVICES if "ports" in SERVICES[name]}
    assert set(published) == {"nginx", "prometheus", "grafana"}
    assert all("127.0.0.1:" in port for ports in published.values() for port in ports)


def test_redis_without_a_password_is_on_an_inner_network_and_keeps_nothing() -> None:
    assert MAIN["networks"]["inside"] == {"internal": True}
    redis = MAIN["services"]["redis"]
    assert redis["networks"] == ["inside"]
    words = redis["command"]
    assert words[words.index("--save") + 1] == "" and words[words.index("--appendonly") + 1] == "no"


def test_the_dashboard_finds_its_source_and_grafana_finds_the_dashboard() -> None:
    provided = read_yaml("grafana/provisioning/dashboards/switchboard.yaml")["providers"][0]["options"]["path"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provided}/switchboard.json" in mounted
    source = read_yaml("grafana/provisioning/datasources/switchboard.yaml")["datasources"][0]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090"
