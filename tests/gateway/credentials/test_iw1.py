from __future__ import annotations

import pytest

from gateway.credentials.credential import Scope
from gateway.credentials.iw1 import WINDOW_S, Iw1Check, hosts_of, parse, sign
from gateway.credentials.keyring import ApiKey, Keyring, digest_of
from gateway.errors import CredentialRefused
from tests.gateway.credentials.support import NONCE, SECRETS, Clock, client_signature, iw1_header

SECRET = SECRETS["unity"]
HOSTS = hosts_of("https://voice.example")
KEYS = Keyring(
    [
        ApiKey("unity", digest_of(f"unity:{SECRET}"), frozenset({Scope.REALTIME}), SECRET),
        ApiKey("web", digest_of(f"web:{SECRET}"), frozenset({Scope.REALTIME})),
    ]
)


def check(parameters: str) -> ApiKey:
    return Iw1Check(KEYS, HOSTS, Clock()).check(parameters)


def refusal(parameters: str, checker: Iw1Check | None = None) -> CredentialRefused:
    with pytest.raises(CredentialRefused) as refused:
        (checker or Iw1Check(KEYS, HOSTS, Clock())).check(parameters)
    assert refused.value.status_code == 403
    assert str(refused.value).startswith("invalid authorization signature")
    return refused.value


@pytest.mark.parametrize("host", ["voice.example", "api-engine.inworld.ai"])
def test_who_signs_for_our_host_or_the_documented_one_is_known(host: str) -> None:
    assert check(iw1_header(host=host)).id == "unity"


@pytest.mark.parametrize(
    ("public_url", "host"),
    [
        ("https://voice.example:443/prefix", "voice.example"),
        ("https://Voice.Example:8443", "voice.example:8443"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_our_host_stands_without_its_schemes_port(public_url: str, host: str) -> None:
    assert hosts_of(public_url)[0] == host


@pytest.mark.parametrize("ahead_s", [-WINDOW_S, 0, WINDOW_S])
def test_a_clock_within_five_minutes_will_do(ahead_s: int) -> None:
    assert check(iw1_header(at_s=Clock().now_s + ahead_s)).id == "unity"


@pytest.mark.parametrize("ahead_s", [-WINDOW_S - 1, WINDOW_S + 1])
def test_a_clock_further_off_is_told_so_because_the_signature_is_right(ahead_s: int) -> None:
    refused = refusal(iw1_header(at_s=Clock().now_s + ahead_s))
    assert "DateTime" in str(refused)
    assert not refused.is_guess


def test_a_date_that_is_none_is_refused_even_signed() -> None:
    signature = client_signature(SECRET, "20261399999999", "voice.example", NONCE)
    assert "DateTime" in str(refusal(f"ApiKey=unity,DateTime=20261399999999,Nonce={NONCE},Signature={signature}"))


def test_a_nonce_is_good_once_for_each_key() -> None:
    clock = Clock()
    checker = Iw1Check(KEYS, HOSTS, clock)
    assert checker.check(iw1_header())
    assert "Nonce" in str(refusal(iw1_header(), checker))
    clock.now_s += WINDOW_S
    assert "Nonce" in str(refusal(iw1_header(), checker))
    assert checker.check(iw1_header(at_s=clock.now_s, nonce="fffffffffff"))


def test_a_wrong_signature_uses_up_no_nonce() -> None:
    checker = Iw1Check(KEYS, HOSTS, Clock())
    refusal(iw1_header(secret="other"), checker)
    assert checker.check(iw1_header())


def test_an_unknown_key_a_key_without_a_secret_and_a_wrong_secret_are_refused_in_the_same_words() -> None:
    told = {
        str(refusal(one))
        for one in (
            iw1_header(key_id="nobody"),
            iw1_header(key_id="web"),
            iw1_header(secret="wrong"),
            iw1_header(host="evil.example"),
            iw1_header(key_id="nobody", secret="no key has this secret"),
            iw1_header(key_id="web", secret="no key has this secret"),
            iw1_header(key_id="web", secret=""),
        )
    }
    assert len(told) == 1
    assert refusal(iw1_header(secret="wrong")).is_guess


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "ApiKey=unity",
        iw1_header().replace("unity", "../unity"),
        iw1_header().replace("Nonce=", "Nonce=!"),
        iw1_header().replace(NONCE, "short"),
        iw1_header() + ",Extra=1",
        iw1_header()[:-1],
        iw1_header().upper(),
        iw1_header() + " " * 2000,
    ],
)
def test_what_is_not_written_as_it_should_be_is_a_guess(parameters: str) -> None:
    refused = refusal(parameters)
    assert "is not written as" in str(refused)
    assert refused.is_guess


def test_blanks_behind_the_commas_are_as_good() -> None:
    assert parse(iw1_header().replace(",", ", ")) == parse(iw1_header())
    assert sign(SECRET, "20260101000000", "h", NONCE) == client_signature(SECRET, "20260101000000", "h", NONCE)
