from __future__ import annotations

import pytest

from gateway.errors import SettingsError
from gateway.settings import Settings, read_settings

ENOUGH = {"TWILIO_AUTH_TOKEN": "0123456789abcdef" * 2}


def test_what_redis_needs_is_read_and_checked() -> None:
    redis = {
        "REDIS_URL": "rediss://switchboard:sesame@redis.example:6380/2",
        "SWITCHBOARD_REDIS_PREFIX": "blue:v2",
        "SWITCHBOARD_REDIS_CLUSTER": "1",
        "SWITCHBOARD_REDIS_CA": "/etc/redis/ca.pem",
    }
    # A cluster has one database only.
    redis["REDIS_URL"] = redis["REDIS_URL"].removesuffix("/2")
    settings = read_settings(environ=ENOUGH | redis)
    assert settings.redis_url == redis["REDIS_URL"]
    assert (settings.redis_prefix, settings.redis_cluster) == ("blue:v2", True)
    assert settings.redis_ca == "/etc/redis/ca.pem"


def test_without_a_setting_there_is_no_redis() -> None:
    settings = Settings()
    assert (settings.redis_url, settings.redis_prefix) == ("", "switchboard")
    assert (settings.redis_cluster, settings.redis_ca) == (False, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("REDIS_URL", "http://:sesame@r"),
        ("REDIS_URL", "redis://:sesame/x@r"),
        ("SWITCHBOARD_REDIS_PREFIX", "a b"),
        ("SWITCHBOARD_REDIS_PREFIX", "a{b}"),
        ("SWITCHBOARD_REDIS_CLUSTER", "maybe"),
    ],
)
def test_what_will_not_do_stops_the_start(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(environ=ENOUGH | {name: text})
    (fault,) = error.value.faults
    assert fault.startswith(f"{name} (env {name}): ")
    assert "sesame" not in fault


def test_the_url_is_shown_nowhere() -> None:
    settings = read_settings(environ=ENOUGH | {"REDIS_URL": "redis://u:sesame@r"})
    assert "redis://u:sesame@r" in settings.secrets
    assert "sesame" not in repr(settings) + str(list(settings.shown()))
