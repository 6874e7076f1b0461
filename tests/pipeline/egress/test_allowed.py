from __future__ import annotations

import ipaddress

import pytest

from pipeline.egress.allowed import read_allowed
from pipeline.egress.url import read


@pytest.mark.parametrize(
    ("entry", "url", "is_named"),
    [
        ("api.example.com", "https://api.example.com/", True),
        ("api.example.com", "http://api.example.com/", True),
        ("api.example.com", "https://api.example.com:8443/", True),
        ("api.example.com", "https://api.example.com:8000/", False),
        ("API.example.com:8000", "https://api.example.com:8000/", True),
        ("api.example.com:8000", "https://api.example.com/", False),
        ("api.example.com:*", "https://api.example.com:6379/", True),
        ("api.example.com", "https://xapi.example.com/", False),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://badexample.com/", False),
        ("*.example.com:81", "http://a.example.com:81/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://internal/", False),
        ("10.0.0.0/8:9000", "http://10.1.2.3:9000/", True),
        ("127.0.0.1:*", "http://127.0.0.1:5/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", True),
        ("::1", "http://[::1]/", True),
        ("[::1]:9000", "http://[::1]:9000/", True),
        ("[fd00::/8]:*", "http://[fd00::1]:9000/", True),
        ("10.0.0.0/8", "http://[fd00::1]/", False),
    ],
)
def test_an_entry_names_what_it_says(entry: str, url: str, is_named: bool) -> None:
    (found,) = read_allowed(entry)
    assert found.names(read(url)) is is_named


@pytest.mark.parametrize(
    ("entry", "url", "address", "is_permitted"),
    [
        ("shop.example", "https://shop.example/", "10.0.0.1", True),
        ("shop.example", "https://shop.example/", "::ffff:10.0.0.1", True),
        ("shop.example", "https://shop.example/", "100.64.0.1", True),
        ("shop.example", "https://shop.example/", "127.0.0.1", True),
        ("shop.example", "https://shop.example/", "169.254.169.254", False),
        ("shop.example", "https://shop.example/", "168.63.129.16", False),
        ("shop.example", "https://shop.example/", "64:ff9b::10.0.0.1", False),
        ("shop.example", "https://shop.example:81/", "10.0.0.1", False),
        ("other.example", "https://shop.example/", "10.0.0.1", False),
        ("10.0.0.0/8", "https://shop.example/", "10.0.0.1", True),
        ("10.0.0.0/8", "https://shop.example:81/", "10.0.0.1", False),
        ("169.254.169.254", "http://169.254.169.254/", "169.254.169.254", True),
        ("64:ff9b::/96", "https://shop.example/", "64:ff9b::8.8.8.8", True),
        ("64:ff9b::/96", "https://shop.example/", "64:ff9b::169.254.169.254", False),
    ],
)
def test_an_entry_permits_addresses(entry: str, url: str, address: str, is_permitted: bool) -> None:
    (found,) = read_allowed(entry)
    assert found.permits(read(url), ipaddress.ip_address(address)) is is_permitted


def test_a_list_may_have_blanks() -> None:
    assert [entry.name for entry in read_allowed(" a.example , ,b.example,")] == ["a.example", "b.example"]
    assert read_allowed("") == ()


@pytest.mark.parametrize(
    "text",
    ["https://a.example", "a b", "*", "*.*.example", "a.example:", "a.example:0", "a.example:70000", "10.0.0.1/8",
     "[a.example]:1", "10.0.0.1/8:80", "a_.example/", "::1:zz"],
)  # fmt: skip
def test_a_bad_entry_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="SWITCHBOARD_EGRESS_ALLOW"):
        read_allowed(f"good.example,{text}")
