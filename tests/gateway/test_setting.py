from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.setting import Setting, declared, declared_in, key, place, written
from gateway.setting_values import any_text, secret, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Few:
    """Some settings, and a field that is none."""

    port: int = declared("PORT", 8080, whole_number(0, 9), "The port.")
    acme_key: str = key("ACME", "Acme")
    acme_url: str = place("ACME", "Acme")
    sources: tuple[str, ...] = field(default=())


def test_settings_are_found_in_the_order_they_are_declared() -> None:
    port, acme_key, acme_url = declared_in(Few)
    assert (port.field, port.name, port.default, port.help) == ("port", "PORT", 8080, "The port.")
    assert (port.read("7"), port.is_secret) == (7, False)
    help = "The key of Acme."
    assert acme_key == Setting("acme_key", "ACME_API_KEY", "", secret, help, is_secret=True)
    help = "Where Acme's server stands, if not at its own address."
    assert acme_url == Setting("acme_url", "ACME_BASE_URL", "", any_text, help, is_secret=False)


def test_a_secret_is_in_no_repr() -> None:
    assert repr(Few(acme_key="hidden", acme_url="shown")) == "Few(port=8080, acme_url='shown', sources=())"


def test_a_flag_is_named_after_its_setting() -> None:
    def flag(name: str) -> str:
        return Setting("any", name, "", any_text, "Help.", is_secret=False).flag

    assert (flag("SWITCHBOARD_REALTIME_BETA"), flag("PORT")) == ("--realtime-beta", "--port")


def test_a_value_is_written_as_it_would_be_set() -> None:
    values: list[Any] = [True, False, 7, "a", (), ("a", "b")]
    assert [written(value) for value in values] == ["1", "0", "7", "a", "", "a,b"]
