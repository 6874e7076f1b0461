from __future__ import annotations

from dataclasses import replace

import pytest
from aioice import ice

from gateway.webrtc.addresses import read_addresses
from gateway.webrtc.link_setup import CONNECT_LIMIT_S
from gateway.webrtc.setup import make_setup
from tests.gateway.signed import SETTINGS


def test_a_gateway_on_one_address_offers_that_alone() -> None:
    made = make_setup(replace(SETTINGS, host="127.0.0.1"))
    assert made.addresses.offered == ("127.0.0.1",)
    assert made.connect_limit_s == CONNECT_LIMIT_S


def test_what_the_operator_lists_is_offered_instead() -> None:
    listed = read_addresses("192.0.2.7=198.51.100.1")
    assert make_setup(replace(SETTINGS, webrtc_addresses=listed)).addresses.offered == ("192.0.2.7",)


def test_a_gateway_on_all_addresses_offers_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bool, bool]] = []

    def machine(*, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        asked.append((use_ipv4, use_ipv6))
        return ["192.0.2.8", "2001:db8::8"]

    monkeypatch.setattr(ice, "get_host_addresses", machine)
    assert make_setup(replace(SETTINGS, host="0.0.0.0")).addresses.offered
    assert asked == [(True, True)]


def test_each_gateway_has_a_certificate_of_its_own() -> None:
    first, second = (make_setup(SETTINGS).certificate.getFingerprints()[0].value for _ in range(2))
    assert first != second
