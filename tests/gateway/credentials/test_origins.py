from __future__ import annotations

import pytest

from gateway.credentials.origins import Origins, read_origins
from gateway.errors import CredentialRefused

PUBLIC_URL = "https://voice.example/prefix"


def test_a_list_is_read_with_or_without_blanks() -> None:
    assert read_origins(" https://a.example ,http://b.example:81,") == ("https://a.example", "http://b.example:81")
    assert read_origins("*") == ("*",)
    assert read_origins("null,chrome-extension://abcdef") == ("null", "chrome-extension://abcdef")


@pytest.mark.parametrize(
    "text",
    ["a.example", "https://a.example/path", "https://*.example", "https://", "https://u@a.example", "javascript:1"],
)
def test_what_is_no_origin_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no origin; give scheme and host"):
        read_origins(f"https://fine.example,{text}")


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://voice.example", True),
        ("https://voice.example:443", True),
        ("HTTPS://VOICE.EXAMPLE", True),
        ("http://voice.example", False),
        ("https://voice.example:8443", False),
        ("https://voice.example.evil.example", False),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:5173", True),
        ("http://[::1]:80", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost@evil.example", False),
        ("http://evil.example@localhost", False),
        ("http://localhost/path", False),
        ("http://localhost, https://evil.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_without_a_list_pages_of_the_gateway_and_of_this_machine_may_ask(origin: str, is_allowed: bool) -> None:
    assert Origins((), PUBLIC_URL).allow(origin) is is_allowed


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://app.example", True),
        ("https://voice.example", True),
        ("http://localhost:3000", False),
        ("https://sub.app.example", False),
        ("null", False),
    ],
)
def test_with_a_list_these_and_the_gateways_own_may_ask(origin: str, is_allowed: bool) -> None:
    assert Origins(("https://app.example:443",), PUBLIC_URL).allow(origin) is is_allowed


def test_a_star_is_everybody() -> None:
    origins = Origins(("*",), PUBLIC_URL)
    assert origins.allow("https://evil.example")
    assert origins.allow("null")


def test_programs_send_no_origin_and_may() -> None:
    Origins(("https://app.example",), PUBLIC_URL).check(None)


@pytest.mark.parametrize(
    ("origin", "shown"), [("https://evil.example", "https://evil.example"), ("<script>", "this origin")]
)
def test_a_refusal_names_the_page_and_the_setting(origin: str, shown: str) -> None:
    with pytest.raises(CredentialRefused, match="SWITCHBOARD_REALTIME_ORIGINS") as refused:
        Origins((), PUBLIC_URL).check(origin)
    assert (refused.value.status_code, refused.value.code) == (403, "origin_not_allowed")
    assert f"Pages of {shown} may not" in str(refused.value)
