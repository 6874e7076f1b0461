from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.egress.refusal import EgressRefused, Reason
from pipeline.egress.url import WebAddress, read

GOOD = [
    ("https://example.com", "example.com", 443, "https://example.com"),
    ("HTTPS://Example.COM./mcp?a=b#c", "example.com", 443, "https://example.com/mcp?a=b#c"),
    ("https://example.com:443/", "example.com", 443, "https://example.com/"),
    ("https://example.com:8443/x", "example.com", 8443, "https://example.com:8443/x"),
    ("http://my_host/", "my_host", 80, "http://my_host/"),
    ("https://bücher.example/", "xn--bcher-kva.example", 443, "https://xn--bcher-kva.example/"),
    ("https://8.8.8.8/", "8.8.8.8", 443, "https://8.8.8.8/"),
    ("https://8.8.8.8./", "8.8.8.8", 443, "https://8.8.8.8/"),
    ("https://[2A00:0::1]:8443/", "2a00::1", 8443, "https://[2a00::1]:8443/"),
    ("https://1password.com", "1password.com", 443, "https://1password.com"),
    ("https://0x7f.example", "0x7f.example", 443, "https://0x7f.example"),
]

BAD = [
    "",
    "example.com",
    "//example.com/",
    "https:/example.com",
    "https:example.com",
    "https://",
    "https:///mcp",
    "https://?x",
    "https://user@example.com/",
    "https://user:word@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com\\.evil.example/",
    "https:\\\\example.com",
    "https://exam ple.com/",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/\r\nHost: x",
    "https://example.com/\x00",
    "https://exam\tple.com/",
    "https://ex\u200bample.com/",
    "https://example.com/\u202emoc",
    "https://example.com:/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:443443/",
    "https://example.com:44a/",
    "https://example.com:-1/",
    "https://example.com:４４３/",
    "https://0/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1.1/",
    "https://127.0.0.0x1/",
    "https://1.2.3/",
    "https://example.0x/",
    "https://256.1.1.1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://ⓛocalhost/",
    "https://%31%32%37.0.0.1/",
    "https://localhost%00.example.com/",
    "https://[::1/",
    "https://::1/",
    "https://[::1]x/",
    "https://[fe80::1%25eth0]/",
    "https://[127.0.0.1]/",
    "https://[::ffff:127.0.0.256]/",
    "https://[v1.x]/",
    "https://.example.com/",
    "https://example..com/",
    "https://example.com../",
    "https://-a.example/",
    "https://a-.example/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 127 + "example/",
    "https://example.com/" + "a" * 2_048,
    "https://exam!ple.com/",
    "https://\ud800.example/",
    "https://a\u0301\u200d.example/",
    "https://\u0378.example/",
]

OTHER_SCHEMES = ["ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ws://example.com/"]


@pytest.mark.parametrize(("text", "host", "port", "url"), GOOD)
def test_a_plain_address_is_read(text: str, host: str, port: int, url: str) -> None:
    web = read(text)
    assert (web.host, web.port, web.url) == (host, port, url)


@pytest.mark.parametrize("text", BAD)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(EgressRefused) as refused:
        read(text)
    assert refused.value.reason is Reason.URL


@pytest.mark.parametrize("text", OTHER_SCHEMES)
def test_other_schemes_are_refused(text: str) -> None:
    with pytest.raises(EgressRefused, match="https") as refused:
        read(text)
    assert refused.value.reason is Reason.SCHEME


def test_only_an_address_in_numbers_is_literal() -> None:
    assert read("https://example.com/").literal is None
    assert str(read("https://8.8.8.8/").literal) == "8.8.8.8"
    assert str(read("https://[2a00::1]/").literal) == "2a00::1"


def test_what_is_shown_of_an_address_has_no_path_or_query() -> None:
    web = read("https://[2a00::1]/hidden?key=geheim")
    assert web.place == "https://[2a00::1]:443"
    assert "geheim" not in repr(web)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        web = read(f"https://{text}")
    except EgressRefused:
        return
    assert isinstance(web, WebAddress)
    assert read(web.url) == web
