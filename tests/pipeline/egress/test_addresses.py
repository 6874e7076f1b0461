from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.egress.addresses import Kind, carried, kind_of, unmapped

TABLE = [
    ("8.8.8.8", Kind.PUBLIC),
    ("1.1.1.1", Kind.PUBLIC),
    ("172.15.255.255", Kind.PUBLIC),
    ("172.32.0.0", Kind.PUBLIC),
    ("100.63.255.255", Kind.PUBLIC),
    ("100.128.0.0", Kind.PUBLIC),
    ("0.0.0.0", Kind.RESERVED),
    ("0.1.2.3", Kind.RESERVED),
    ("10.0.0.1", Kind.PRIVATE),
    ("100.64.0.1", Kind.SHARED),
    ("100.100.100.200", Kind.SHARED),
    ("127.0.0.1", Kind.LOOPBACK),
    ("127.255.255.254", Kind.LOOPBACK),
    ("168.63.129.16", Kind.METADATA),
    ("169.254.169.254", Kind.LINK_LOCAL),
    ("172.16.0.1", Kind.PRIVATE),
    ("172.31.255.255", Kind.PRIVATE),
    ("192.0.0.8", Kind.RESERVED),
    ("192.0.2.1", Kind.DOCUMENTATION),
    ("192.88.99.1", Kind.TUNNEL),
    ("192.168.1.1", Kind.PRIVATE),
    ("198.18.0.1", Kind.RESERVED),
    ("198.51.100.1", Kind.DOCUMENTATION),
    ("203.0.113.1", Kind.DOCUMENTATION),
    ("224.0.0.1", Kind.MULTICAST),
    ("239.255.255.255", Kind.MULTICAST),
    ("240.0.0.1", Kind.RESERVED),
    ("255.255.255.255", Kind.RESERVED),
    ("2606:4700:4700::1111", Kind.PUBLIC),
    ("2a00:1450:4001:81b::200e", Kind.PUBLIC),
    ("::", Kind.RESERVED),
    ("::1", Kind.LOOPBACK),
    ("::127.0.0.1", Kind.TUNNEL),
    ("::8.8.8.8", Kind.TUNNEL),
    ("::ffff:127.0.0.1", Kind.TUNNEL),
    ("::ffff:8.8.8.8", Kind.TUNNEL),
    ("::ffff:0:7f00:1", Kind.TUNNEL),
    ("64:ff9b::7f00:1", Kind.TUNNEL),
    ("64:ff9b::8.8.8.8", Kind.TUNNEL),
    ("64:ff9b:1::1", Kind.TUNNEL),
    ("100::1", Kind.RESERVED),
    ("2001::1", Kind.TUNNEL),
    ("2001:2::1", Kind.RESERVED),
    ("2001:20::1", Kind.RESERVED),
    ("2001:db8::1", Kind.DOCUMENTATION),
    ("2002:7f00:1::1", Kind.TUNNEL),
    ("2002:808:808::1", Kind.TUNNEL),
    ("2a00::5efe:7f00:1", Kind.TUNNEL),
    ("2a00::200:5efe:808:808", Kind.TUNNEL),
    ("3fff::1", Kind.DOCUMENTATION),
    ("5f00::1", Kind.RESERVED),
    ("fc00::1", Kind.PRIVATE),
    ("fd00:ec2::254", Kind.PRIVATE),
    ("fe80::1", Kind.LINK_LOCAL),
    ("fec0::1", Kind.PRIVATE),
    ("ff02::1", Kind.MULTICAST),
    ("4000::1", Kind.RESERVED),
]


@pytest.mark.parametrize(("text", "kind"), TABLE)
def test_every_special_block_is_known(text: str, kind: Kind) -> None:
    assert kind_of(ipaddress.ip_address(text)) is kind


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("::ffff:10.0.0.1", ["10.0.0.1"]),
        ("::10.0.0.1", ["10.0.0.1"]),
        ("64:ff9b::10.0.0.1", ["10.0.0.1"]),
        ("64:ff9b:1:a00:0:100::", ["10.0.0.1", "0.0.0.0"]),
        ("64:ff9b:1::10.0.0.1", ["0.0.0.0", "10.0.0.1"]),
        ("2002:a00:1::", ["10.0.0.1"]),
        ("2a00::5efe:10.0.0.1", ["10.0.0.1"]),
        ("2001:0:a00:1::", ["10.0.0.1", "255.255.255.255"]),
        ("2a00::1", []),
        ("::1", []),
        ("::", []),
        ("10.0.0.1", []),
    ],
)
def test_the_address_inside_another_is_found(text: str, inside: list[str]) -> None:
    assert [str(address) for address in carried(ipaddress.ip_address(text))] == inside


def test_a_mapped_address_is_the_one_of_version_4() -> None:
    assert unmapped(IPv6Address("::ffff:10.0.0.1")) == IPv4Address("10.0.0.1")
    assert unmapped(IPv6Address("2a00::1")) == IPv6Address("2a00::1")
    assert unmapped(IPv4Address("10.0.0.1")) == IPv4Address("10.0.0.1")


@given(st.ip_addresses())
def test_what_the_standard_library_holds_back_is_never_public(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert kind_of(address) is not Kind.PUBLIC


@given(st.ip_addresses(v=4))
def test_no_disguise_of_any_address_is_public(address: IPv4Address) -> None:
    number = int(address)
    for disguise in (
        number,
        0xFFFF << 32 | number,
        0xFFFF << 48 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80,
        0x2A00 << 112 | 0x5EFE << 32 | number,
    ):
        assert kind_of(IPv6Address(disguise)) is not Kind.PUBLIC
