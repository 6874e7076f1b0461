from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict

from gateway.auth import SignatureCheck
from gateway.errors import SignatureRefused
from gateway.settings import Settings
from tests.gateway.signed import PUBLIC_URL, SECONDARY, SETTINGS, TOKEN, VOICE, sign

PATH = "/twilio/voice"
URL = PUBLIC_URL + PATH
MEDIA = "/twilio/media/one-time"
CHECK = SignatureCheck(SETTINGS)
OTHER_TOKEN = "0" * 32


def form(fields: Mapping[str, str] = VOICE, *more: tuple[str, str]) -> ImmutableMultiDict[str, str]:
    return ImmutableMultiDict([*fields.items(), *more])


@pytest.mark.parametrize(
    ("settings", "target", "signature"),
    [
        (SETTINGS, PATH, sign(URL, VOICE)),
        (SETTINGS, PATH, sign(URL, VOICE, SECONDARY)),
        (SETTINGS, PATH, sign("https://voice.example:443" + PATH, VOICE)),
        (SETTINGS, PATH + "?a=%20b", sign(URL + "?a=%20b", VOICE)),
        (
            replace(SETTINGS, public_url="https://voice.example:8443"),
            PATH,
            sign("https://voice.example:8443" + PATH, VOICE),
        ),
        (replace(SETTINGS, public_url="https://voice.example:443"), PATH, sign(URL, VOICE)),
        (
            replace(SETTINGS, public_url="https://voice.example/pre"),
            PATH,
            sign("https://voice.example/pre" + PATH, VOICE),
        ),
        (replace(SETTINGS, public_url="http://[::1]:80"), PATH, sign("http://[::1]:80" + PATH, VOICE)),
    ],
)
def test_what_twilio_signed_passes(settings: Settings, target: str, signature: str) -> None:
    SignatureCheck(settings).check_header(target, signature)
    SignatureCheck(settings).check_webhook(target, form(), signature)


def test_a_repeated_field_is_signed_with_all_its_values() -> None:
    repeated = form(VOICE, ("Digits", "2"), ("Digits", "1"))
    CHECK.check_webhook(PATH, repeated, sign(URL, repeated))


@pytest.mark.parametrize(
    ("target", "fields", "signature", "reason"),
    [
        (PATH, form(), None, "no_signature"),
        (PATH, form(), "", "bad_signature"),
        (PATH, form(), "x" * 28, "bad_signature"),
        (PATH, form(), sign(URL, VOICE) + "\n", "bad_signature"),
        (PATH, form(), sign(URL, VOICE) * 2, "bad_signature"),
        (PATH, form(), "\ud800" * 28, "bad_signature"),
        (PATH, form(), sign(URL, VOICE, OTHER_TOKEN), "bad_signature"),
        (PATH, form(), sign(URL), "bad_signature"),
        (PATH + "/", form(), sign(URL, VOICE), "bad_signature"),
        (PATH + "?x", form(), sign(URL, VOICE), "bad_signature"),
        (PATH, form(), sign("http://voice.example" + PATH, VOICE), "bad_signature"),
        (PATH, form(), sign("https://voice.example:8443" + PATH, VOICE), "bad_signature"),
        (PATH, form(), sign("https://other.example" + PATH, VOICE), "bad_signature"),
        (PATH, form(VOICE, ("Extra", "1")), sign(URL, VOICE), "bad_signature"),
        (PATH, form({"CallSid": "x"}), sign(URL, VOICE), "bad_signature"),
        (PATH, form({"CallSid": "\ud800"}), sign(URL, VOICE), "bad_signature"),
        (PATH, b"CallSid=x", sign(URL, VOICE), "bad_signature"),
        (PATH, "CallSid=x", sign(URL, VOICE), "bad_signature"),
        (PATH, {"CallSid": 5}, sign(URL, VOICE), "bad_signature"),
    ],
)
def test_what_twilio_did_not_sign_is_refused(
    target: str, fields: object, signature: str | None, reason: str
) -> None:
    with pytest.raises(SignatureRefused) as refusal:
        CHECK.check_webhook(target, cast(Any, fields), signature)
    assert refusal.value.reason == reason


@given(
    st.text(st.characters(exclude_categories=())),
    st.dictionaries(st.text(), st.text(st.characters(exclude_categories=()))),
    st.none()
    | st.text(st.characters(exclude_categories=()))
    | st.from_regex(r"[A-Za-z0-9+/]{27}=", fullmatch=True),
)
def test_whatever_comes_the_check_refuses_and_never_breaks(
    target: str, fields: dict[str, str], signature: str | None
) -> None:
    with pytest.raises(SignatureRefused):
        CHECK.check_webhook(target, form(fields), signature)
    with pytest.raises(SignatureRefused):
        CHECK.check_handshake(target, signature)


def test_a_refusal_says_which_url_was_signed_and_how_to_mend_it() -> None:
    with pytest.raises(SignatureRefused) as refusal:
        CHECK.check_webhook(PATH, form(), sign(URL, VOICE, OTHER_TOKEN))
    words = str(refusal.value)
    assert "Checked over https://voice.example/twilio/voice with 2 auth tokens." in words
    assert "set PUBLIC_URL" in words
    assert not [token for token in (TOKEN, SECONDARY) if token in words]


def test_a_refusal_shows_no_media_token_and_no_endless_url() -> None:
    with pytest.raises(SignatureRefused) as refusal:
        CHECK.check_handshake(MEDIA, None)
    assert "one-time" not in str(refusal.value)
    with pytest.raises(SignatureRefused) as refusal:
        CHECK.check_webhook("/" + "x" * 10_000, form(), None)
    assert len(str(refusal.value)) < 1_000


@pytest.mark.parametrize(
    ("public_url", "signed_url"),
    [
        ("https://voice.example", "wss://voice.example" + MEDIA),
        ("https://voice.example", "wss://voice.example:443" + MEDIA),
        ("https://voice.example:443", "wss://voice.example:443" + MEDIA),
        ("https://voice.example:443", "wss://voice.example" + MEDIA),
        ("https://voice.example:8443", "wss://voice.example:8443" + MEDIA),
        ("https://[2001:db8::1]", "wss://[2001:db8::1]:443" + MEDIA),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080" + MEDIA),
        ("http://localhost", "ws://localhost:80" + MEDIA),
    ],
)
def test_a_handshake_is_signed_over_the_websocket_url(public_url: str, signed_url: str) -> None:
    SignatureCheck(replace(SETTINGS, public_url=public_url)).check_handshake(MEDIA, sign(signed_url))


@pytest.mark.parametrize(
    "signed_url",
    [
        "https://voice.example" + MEDIA,
        "ws://voice.example" + MEDIA,
        "wss://voice.example" + MEDIA + "/",
        "wss://voice.example",
        "wss://voice.example:8443" + MEDIA,
        "wss://other.example" + MEDIA,
    ],
)
def test_a_handshake_signed_over_another_url_is_refused(signed_url: str) -> None:
    with pytest.raises(SignatureRefused):
        CHECK.check_handshake(MEDIA, sign(signed_url))


def test_without_a_token_nothing_passes() -> None:
    check = SignatureCheck(Settings(public_url=PUBLIC_URL))
    with pytest.raises(SignatureRefused):
        SignatureCheck(Settings()).check_handshake(MEDIA, sign("ws" + MEDIA))
    for token in ("", TOKEN):
        with pytest.raises(SignatureRefused, match="with 0 auth tokens"):
            check.check_webhook(PATH, form(), sign(URL, VOICE, token))


def test_insecure_dev_lets_everything_pass() -> None:
    check = SignatureCheck(Settings(public_url=PUBLIC_URL, insecure_dev=True))
    check.check_header(PATH, None)
    check.check_webhook(PATH, form(), None)
    check.check_handshake(MEDIA, None)
    assert check.is_off
    assert not CHECK.is_off
