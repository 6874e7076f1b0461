from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.addresses import (
    MOST_BELIEVED,
    MOST_OFFERED,
    Addresses,
    Entry,
    Remote,
    addresses_for,
    believed,
    read_addresses,
)

OURS = Addresses(("10.0.0.5", "fd00::5"), {"10.0.0.5": "8.8.4.4"})


def host(address: str, port: int = 40_000) -> str:
    return f"1 1 udp 2130706431 {address} {port} typ host"


def no_machine() -> list[str]:
    raise AssertionError("the machine need not be asked")


def test_the_setting_holds_addresses_and_their_public_names() -> None:
    assert read_addresses(" 198.51.100.7 , 10.0.0.5=203.0.113.9,, fd00:0::5=2001:db8::1") == (
        Entry("198.51.100.7", "198.51.100.7"),
        Entry("10.0.0.5", "203.0.113.9"),
        Entry("fd00::5", "2001:db8::1"),
    )
    assert read_addresses("  ") == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gateway.example", "'gateway.example' is no IP address, nor two as in 10.0.0.5=203.0.113.9"),
        ("10.0.0.5=", "'10.0.0.5=' is no IP address"),
        ("=10.0.0.5", "'=10.0.0.5' is no IP address"),
        ("10.0.0.5:4000", "'10.0.0.5:4000' is no IP address"),
        ("10.0.0.0/8", "'10.0.0.0/8' is no IP address"),
        ("0.0.0.0", "which no peer can send to"),
        ("::", "which no peer can send to"),
        ("::ffff:10.0.0.5", "which no peer can send to"),
        ("10.0.0.5=0.0.0.0", "'0.0.0.0', which no peer can send to"),
        ("fe80::1", "a link-local address, which cannot be offered"),
        ("fe80::1%eth0", "is no IP address"),
        ("224.0.0.1", "a multicast address, which cannot be offered"),
        ("10.0.0.5=2001:db8::1", "maps an address of IPv4 to one of IPv6"),
        ("10.0.0.5, 10.0.0.5=203.0.113.9", "'10.0.0.5' stands there twice"),
        (",".join(f"10.0.0.{n}" for n in range(MOST_OFFERED + 1)), f"names {MOST_OFFERED + 1} addresses"),
    ],
)
def test_a_setting_that_cannot_be_offered_is_refused_with_its_words(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as fault:
        read_addresses(text)
    assert complaint in str(fault.value)


def test_the_setting_goes_before_all_else() -> None:
    entries = read_addresses("198.51.100.7,10.0.0.5=203.0.113.9")
    expected = Addresses(("198.51.100.7", "10.0.0.5"), {"10.0.0.5": "203.0.113.9"})
    assert addresses_for(entries, "192.168.1.1", no_machine) == expected


def test_without_the_setting_what_the_gateway_listens_on_is_offered() -> None:
    assert addresses_for((), "192.168.1.1", no_machine) == Addresses(("192.168.1.1",))
    assert addresses_for((), "127.0.0.1", no_machine) == Addresses(("127.0.0.1",))
    assert addresses_for((), "localhost", no_machine) == Addresses(("127.0.0.1",))
    assert addresses_for((), "::1", no_machine) == Addresses(("::1",))


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_a_gateway_that_listens_everywhere_offers_what_the_machine_has(everywhere: str) -> None:
    machine = ["127.0.0.1", "127.0.1.1", "::1", "fe80::1", "fe80::1%2", "169.254.1.1", "10.0.0.5", "2001:db8::5"]
    assert addresses_for((), everywhere, lambda: [*machine, "10.0.0.5"]) == Addresses(("10.0.0.5", "2001:db8::5"))


def test_a_machine_with_many_addresses_offers_the_first_few() -> None:
    machine = [f"10.0.0.{n}" for n in range(1, 100)]
    assert addresses_for((), "0.0.0.0", lambda: machine).offered == tuple(machine[:MOST_OFFERED])


def test_a_candidate_is_published_under_its_public_name() -> None:
    assert OURS.published(host("10.0.0.5")) == host("8.8.4.4")
    assert OURS.published(host("fd00::5")) == host("fd00::5")
    assert Addresses(("10.0.0.5",)).published(host("10.0.0.5")) == host("10.0.0.5")


def test_the_address_behind_a_candidate_is_not_given_away() -> None:
    relayed = "2 1 udp 1 8.8.8.8 5 typ relay raddr 10.0.0.5 rport 6"
    assert OURS.published(relayed) == "2 1 udp 1 8.8.8.8 5 typ relay raddr 8.8.4.4 rport 6"
    assert OURS.published("2 1 udp 1 8.8.8.8 5 typ relay raddr") == "2 1 udp 1 8.8.8.8 5 typ relay raddr"


def test_public_candidates_are_believed_in_their_order() -> None:
    candidates = (
        "abc 1 UDP 1685987071 1.1.1.1 50000 typ srflx raddr 192.168.0.2 rport 40000",
        "abd 1 udp 41885439 2606:4700:0::1111 3478 typ relay raddr 1.1.1.1 rport 50000 generation 0",
    )
    assert believed(candidates, OURS) == (
        Remote(foundation="abc", priority=1685987071, address="1.1.1.1", port=50_000, type="srflx"),
        Remote(foundation="abd", priority=41885439, address="2606:4700::1111", port=3478, type="relay"),
    )


@pytest.mark.parametrize(
    "candidate",
    [
        host("192.168.0.2"),
        host("10.1.2.3"),
        host("127.0.0.1"),
        host("169.254.169.254"),
        host("168.63.129.16"),
        host("100.100.100.200"),
        host("224.0.0.1"),
        host("255.255.255.255"),
        host("0.0.0.0"),
        host("::1"),
        host("fe80::1"),
        host("fe80::1%eth0"),
        host("fd00:ec2::254"),
        host("::ffff:10.0.0.1"),
        host("64:ff9b::a00:1"),
        host("8.8.4.4"),  # our own public address
        host("4a2f1c6e-9d3b-4f5a-8c7d-0e1f2a3b4c5d.local"),
        host("example.com"),
        host("1.1.1.1", 0),
        host("1.1.1.1", 65_536),
        host("1.1.1.1", -1),
        "1 2 udp 1 1.1.1.1 4000 typ host",  # RTCP of those that do not multiplex
        "1 1 tcp 1 1.1.1.1 9 typ host tcptype active",
        "1 1 udp 1 1.1.1.1 4000 typ prflx",
        "1 1 udp 1 1.1.1.1 4000 kind host",
        "1 1 udp 0 1.1.1.1 4000 typ host",
        "1 1 udp 99999999999 1.1.1.1 4000 typ host",
        "1 1 udp x 1.1.1.1 4000 typ host",
        "1 1 udp \u0661 1.1.1.1 4000 typ host",
        "1 1 udp 1 1.1.1.1 4000 typ",
        "",
    ],
)
def test_what_may_not_be_reached_or_read_is_passed_over(candidate: str) -> None:
    good = host("1.1.1.1")
    assert [remote.address for remote in believed((candidate, good), OURS)] == ["1.1.1.1"]


def test_only_a_version_we_have_an_address_of_is_believed() -> None:
    candidates = (host("2606:4700::1111"), host("1.1.1.1"))
    assert [r.address for r in believed(candidates, Addresses(("10.0.0.5",)))] == ["1.1.1.1"]
    assert [r.address for r in believed(candidates, Addresses(("fd00::5",)))] == ["2606:4700::1111"]


def test_a_candidate_counts_once_and_only_so_many_are_believed() -> None:
    assert len(believed([host("1.1.1.1")] * 5, OURS)) == 1
    many = [host("1.1.1.1", port) for port in range(1_000, 1_000 + 2 * MOST_BELIEVED)]
    assert [r.port for r in believed(many, OURS)] == list(range(1_000, 1_000 + MOST_BELIEVED))


@given(st.lists(st.text() | st.builds(host, st.ip_addresses().map(str), st.integers()), max_size=5))
def test_no_candidate_raises_or_leads_to_a_place_that_is_not_public(candidates: list[str]) -> None:
    for remote in believed(candidates, OURS):
        assert not remote.address.startswith(("10.", "127.", "192.168.", "169.254.", "fe80", "fd", "fc"))
        assert 0 < remote.port < 65_536


def test_it_needs_nothing_that_only_comes_with_webrtc() -> None:
    import subprocess

    code = "import sys, gateway.webrtc.addresses; print(any(m in sys.modules for m in ('aiortc', 'aioice', 'av')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
