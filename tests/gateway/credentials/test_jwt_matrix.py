"""Every way known to us to get past a check of JWTs; none may work. After RFC 8725 and faults of JWT libraries."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from gateway.credentials.access_tokens import LONGEST_TOKEN, AccessTokens, TokenFault
from gateway.credentials.credential import Scope
from tests.gateway.credentials.support import NEW, NOW_S, OLD, Clock, b64, forge, good_claims

MAX_S = 3600
NOW = int(NOW_S)
HEADER = {"alg": "HS256", "typ": "JWT", "kid": "new"}

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu
KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----"""


def tokens(clock: Clock | None = None) -> AccessTokens:
    return AccessTokens((NEW, OLD), max_life_s=MAX_S, now=clock or Clock(), make_id=lambda: "id")


def unsigned(alg: str) -> str:
    return f"{b64(json.dumps({**HEADER, 'alg': alg}).encode())}.{b64(json.dumps(good_claims()).encode())}."


def raw(claims: str) -> str:
    """Claims as text, for what `json.dumps` would not write."""
    return forge(claims)


def doubled(name: str, value: object) -> str:
    return raw(json.dumps(good_claims())[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}")


def with_text(name: str, text: str) -> str:
    """One claim replaced by bare text."""
    return raw(json.dumps(good_claims(**{name: "@"})).replace('"@"', text))


def header(**changes: object) -> str:
    return forge(good_claims(), header=HEADER | changes)


GUESSES: dict[str, str] = {
    "algorithm none": unsigned("none"),
    "algorithm NoNe": unsigned("NoNe"),
    "algorithm NONE, signed all the same": header(alg="NONE"),
    "no algorithm": forge(good_claims(), header={"typ": "JWT", "kid": "new"}),
    "algorithm null": header(alg=None),
    "algorithm a list": header(alg=["HS256"]),
    "algorithm hs256 in small letters": header(alg="hs256"),
    "algorithm HS512 with our secret": forge(good_claims(), header=HEADER | {"alg": "HS512"}, digest="sha512"),
    "RS256 named, HMAC made": header(alg="RS256"),
    "ES256 named, HMAC made": header(alg="ES256"),
    "HMAC with a public key for a secret": forge(good_claims(), secret=PUBLIC_KEY),
    "HMAC with an empty secret": forge(good_claims(), secret=""),
    "HMAC with the kid for a secret": forge(good_claims(), secret="new"),
    "the other key's secret under this kid": forge(good_claims(), secret=OLD.secret),
    "an unknown kid": header(kid="newer"),
    "no kid": forge(good_claims(), header={"alg": "HS256", "typ": "JWT"}),
    "an empty kid": header(kid=""),
    "a kid that is a path": header(kid="../../dev/null"),
    "a kid that is a number": header(kid=1),
    "a kid that is a list": header(kid=["new"]),
    "a kid that asks a database": header(kid="x' UNION SELECT 'k"),
    "a jku header": header(jku="https://evil.example/keys"),
    "an x5u header": header(x5u="https://evil.example/cert"),
    "a jwk header": header(jwk={"kty": "oct", "k": b64(b"k" * 32)}),
    "a crit header nobody knows": header(crit=["exp"], exp=1),
    "a crit header of b64": header(crit=["b64"], b64=True),
    "an unencoded payload": header(crit=["b64"], b64=False),
    "typ of another kind": header(typ="at+jwt"),
    "a header that is a list": forge(good_claims(), header=["HS256"]),
    "a header that is deep": forge(good_claims(), header="[" * 900 + "]" * 900),
    "a header with a number too long to read": forge(good_claims(), header='{"alg": ' + "9" * 2000 + "}"),
    "two parts": "abc.def",
    "four parts": forge(good_claims()) + ".x",
    "five parts, encrypted": "a.b.c.d.e",
    "nothing": "",
    "dots": "..",
    "claims left out": forge(""),
    "no base64": "a*.b*.c*",
    "a base64 of one character": "a.b.c",
    "a signature cut short": forge(good_claims())[:-4],
    "a signature left out": forge(good_claims()).rpartition(".")[0] + ".",
    "a signature with its padding": forge(good_claims()) + "=",
    "a line break behind": forge(good_claims()) + "\n",
    "letters outside ASCII": forge(good_claims()) + "é",
    "a lone surrogate": "\ud800.a.b",
    "5 KiB": forge(good_claims(padding="x" * 5 * 1024)),
    "8 MB": "a" * 4_000_000 + "." + "b" * 4_000_000 + ".c",
}
"""What anybody could send: the signature is not ours, or the header is not one we write."""

SIGNED: dict[str, str] = {
    **{f"no {name}": forge(good_claims(**{name: None})) for name in good_claims()},
    **{f"{name} null": with_text(name, "null") for name in good_claims()},
    "exp a text": forge(good_claims(exp=str(NOW + 600))),
    "exp a fraction": forge(good_claims(exp=NOW + 600.5)),
    "exp true": forge(good_claims(exp=True)),
    "exp a list": forge(good_claims(exp=[NOW + 600])),
    "exp NaN": with_text("exp", "NaN"),
    "exp Infinity": with_text("exp", "Infinity"),
    "exp -Infinity": with_text("exp", "-Infinity"),
    "exp 1e999": with_text("exp", "1e999"),
    "exp a number of 1,000 digits": with_text("exp", "9" * 1000),
    "exp negative": forge(good_claims(exp=-1)),
    "exp in the year 9999": forge(good_claims(exp=253_402_300_799)),
    "exp beyond the longest life": forge(good_claims(exp=NOW + MAX_S + 1)),
    "exp at iat": forge(good_claims(exp=NOW)),
    "exp before iat": forge(good_claims(iat=NOW, exp=NOW - 1)),
    "exp over": forge(good_claims(iat=NOW - 600, exp=NOW - 5)),
    "exp twice, the later first": doubled("exp", NOW + 60),
    "exp twice, the later last": doubled("exp", NOW + 6000),
    "sub twice": doubled("sub", "root"),
    "scope twice": doubled("scope", "admin"),
    "iat a text": forge(good_claims(iat=str(NOW))),
    "iat ahead": forge(good_claims(iat=NOW + 6, exp=NOW + 600)),
    "iat far ahead, to live longer": forge(good_claims(iat=NOW + 86_400, exp=NOW + 86_400 + MAX_S)),
    "nbf ahead": forge(good_claims(nbf=NOW + 6)),
    "nbf a text": forge(good_claims(nbf=str(NOW))),
    "nbf true": forge(good_claims(nbf=True)),
    "nbf null": with_text("nbf", "null"),
    "aud another": forge(good_claims(aud="switchboard-console")),
    "aud a part": forge(good_claims(aud="switchboard-real")),
    "aud a longer one": forge(good_claims(aud="switchboard-realtime-2")),
    "aud a list with ours": forge(good_claims(aud=["switchboard-realtime", "other"])),
    "aud a list of lists": forge(good_claims(aud=[["switchboard-realtime"]])),
    "aud in capitals": forge(good_claims(aud="SWITCHBOARD-REALTIME")),
    "iss another": forge(good_claims(iss="evil")),
    "iss a longer one": forge(good_claims(iss="switchboard.evil.example")),
    "iss a part": forge(good_claims(iss="switch")),
    "iss a list": forge(good_claims(iss=["switchboard"])),
    "sub a number": forge(good_claims(sub=1)),
    "sub empty": forge(good_claims(sub="")),
    "sub of 65 characters": forge(good_claims(sub="x" * 65)),
    "sub with a line break": forge(good_claims(sub="web\nforged log line")),
    "sub with a letter outside ASCII": forge(good_claims(sub="wéb")),
    "jti a number": forge(good_claims(jti=7)),
    "jti empty": forge(good_claims(jti="")),
    "jti of 129 characters": forge(good_claims(jti="x" * 129)),
    "scope a list": forge(good_claims(scope=["admin"])),
    "scope unknown": forge(good_claims(scope="realtime superuser")),
    "scope in capitals": forge(good_claims(scope="ADMIN")),
    "scope empty": forge(good_claims(scope="")),
    "single_use a text": forge(good_claims(single_use="no")),
    "single_use a number": forge(good_claims(single_use=0)),
    "sid a number": forge(good_claims(sid=1)),
    "sid empty": forge(good_claims(sid="")),
    "claims that are a list": raw("[]"),
    "claims that are a text": raw('"sub"'),
    "claims that are a blank": raw(" "),
    "claims that are not JSON": raw("{'sub': 1}"),
    "claims that are deep": raw("[" * 1400 + "]" * 1400),
    "claims that are not UTF-8": raw("\udcff"),
}
"""Signed as we sign, and still not believed."""


def test_the_matrix_is_large_enough() -> None:
    assert len(GUESSES) + len(SIGNED) >= 40


@pytest.mark.parametrize("text", GUESSES.values(), ids=GUESSES)
def test_what_we_did_not_sign_is_refused_as_a_guess(text: str) -> None:
    with pytest.raises(TokenFault) as fault:
        tokens().read(text)
    assert not fault.value.is_ours


@pytest.mark.parametrize("text", SIGNED.values(), ids=SIGNED)
def test_what_is_signed_but_wrong_is_refused_and_is_no_guess(text: str) -> None:
    with pytest.raises(TokenFault) as fault:
        tokens().read(text)
    assert fault.value.is_ours


ACCEPTED: dict[str, str] = {
    "all that is needed": forge(good_claims()),
    "the other key": forge(good_claims(), secret=OLD.secret, header=HEADER | {"kid": "old"}),
    "no typ": forge(good_claims(), header={"alg": "HS256", "kid": "new"}),
    "the longest life": forge(good_claims(exp=NOW + MAX_S)),
    "just expired, within the leeway": forge(good_claims(iat=NOW - 600, exp=NOW - 4)),
    "a clock five seconds ahead": forge(good_claims(iat=NOW + 5, nbf=NOW + 5)),
    "nbf past": forge(good_claims(nbf=NOW - 60)),
    "a claim of somebody's own": forge(good_claims(tenant="acme", deep={"a": [1.5]})),
    "as PyJWT writes it": jwt.encode(good_claims(), NEW.secret, "HS256", headers={"kid": "new"}),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_right_is_believed(text: str) -> None:
    token = tokens().read(text)
    assert (token.subject, token.scopes, token.token_id) == ("web", frozenset({Scope.REALTIME}), "one")


def test_a_token_of_the_longest_length_is_looked_at_and_one_a_character_longer_is_not() -> None:
    short = forge(good_claims(padding=""))
    # Three characters of claims make four of base64.
    fits = forge(good_claims(padding="x" * ((LONGEST_TOKEN - len(short)) // 4 * 3)))
    assert LONGEST_TOKEN - 4 < len(fits) <= LONGEST_TOKEN
    assert tokens().read(fits).subject == "web"
    for length, fault in ((LONGEST_TOKEN, "is no JWT"), (LONGEST_TOKEN + 1, "longer than 4096")):
        with pytest.raises(TokenFault, match=fault):
            tokens().read("x" * length)


def test_a_token_too_long_is_never_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = tokens()

    def parses(*_args: Any, **_options: Any) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr("gateway.credentials.access_tokens._signatures", parses)
    monkeypatch.setattr("gateway.credentials.access_tokens._SHAPE", parses)
    with pytest.raises(TokenFault, match="longer than"):
        reader.read(GUESSES["8 MB"])


def test_a_token_ends_when_its_time_is_over() -> None:
    clock = Clock()
    reader = tokens(clock)
    text, token = reader.mint("web", {Scope.REALTIME}, life_s=60)
    clock.now_s = token.expires_at_s + 4.9
    assert reader.read(text) == token
    clock.now_s = token.expires_at_s + 5
    with pytest.raises(TokenFault, match="expired"):
        reader.read(text)
    clock.now_s = NOW_S - 5.1
    with pytest.raises(TokenFault, match="not valid yet"):
        reader.read(text)


def test_while_keys_are_changed_tokens_of_both_are_believed_and_afterwards_only_of_the_new() -> None:
    def reader(*keys: Any) -> AccessTokens:
        return AccessTokens(keys, max_life_s=MAX_S, now=Clock(), make_id=lambda: "id")

    before, _ = reader(OLD).mint("web", {Scope.REALTIME}, life_s=60)
    during, _ = reader(NEW, OLD).mint("web", {Scope.REALTIME}, life_s=60)
    assert jwt.get_unverified_header(during)["kid"] == "new"
    for text in (before, during):
        assert reader(NEW, OLD).read(text).subject == "web"
    assert reader(NEW).read(during).subject == "web"
    with pytest.raises(TokenFault):
        reader(NEW).read(before)
