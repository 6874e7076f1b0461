from __future__ import annotations

import re

import pytest

from gateway.setting_values import (
    account_sid,
    any_text,
    is_loopback,
    one_of,
    public_url,
    secret,
    switch,
    whole_number,
)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("voice.example", False),
        ("", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_what_only_this_machine_can_reach(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize(
    "url",
    [
        "https://voice.example",
        "https://voice.example:443",
        "https://voice.example/prefix",
        "https://Voice.Example",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost",
    ],
)
def test_a_public_url_is_kept_byte_for_byte(url: str) -> None:
    assert public_url(url) == url


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://voice.example", "is not https"),
        ("https://voice.example/", "ends with a slash"),
        ("https://voice.example?x=1", "query or fragment"),
        ("https://voice.example#x", "query or fragment"),
        ("https://user:pw@voice.example", "user or password; leave them out"),
        ("https://", "no https URL with a host"),
        ("wss://voice.example", "no https URL with a host"),
        ("voice.example", "no https URL with a host"),
        ("https://voice.example:0", "no https URL with a host"),
        ("https://voice.example:99999", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://voice example", "a blank or a character outside ASCII"),
        ("https://bücher.example", "a blank or a character outside ASCII"),
    ],
)
def test_a_public_url_that_cannot_work_is_refused_with_its_reason(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        public_url(url)


def test_a_refused_user_and_password_are_not_repeated() -> None:
    with pytest.raises(ValueError) as refusal:
        public_url("http://user:pw@voice.example")
    assert "pw" not in str(refusal.value).replace("password", "")


def test_words_numbers_and_switches_are_read_in_any_usual_spelling() -> None:
    assert one_of("json", "text")("JSON") == "json"
    assert whole_number(0, 65_535)("0080") == 80
    assert [switch(text) for text in ("1", "TRUE", "yes", "0", "False", "no")] == [True] * 3 + [False] * 3
    assert any_text("x y") == "x y"


@pytest.mark.parametrize("text", ["-1", "65536", "1.5", "x", "", "٣", "1" * 10])
def test_a_number_out_of_its_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number from 0 to 65535"):
        whole_number(0, 65_535)(text)


def test_a_word_or_switch_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="'xml' is not one of json, text"):
        one_of("json", "text")("xml")
    with pytest.raises(ValueError, match="write 1 or 0"):
        switch("maybe")


def test_an_account_sid_has_its_shape() -> None:
    assert account_sid("AC" + "0" * 32) == "AC" + "0" * 32
    with pytest.raises(ValueError, match="AC and 32"):
        account_sid("AC" + "0" * 32 + "\n")


def test_a_secret_with_a_blank_is_refused_without_being_repeated() -> None:
    assert secret("s3cret") == "s3cret"
    with pytest.raises(ValueError) as refusal:
        secret("s3c ret")
    assert "s3c" not in str(refusal.value)
