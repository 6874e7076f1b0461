"""Access tokens: JWTs that we sign and later believe.

    header   {"alg": "HS256", "typ": "JWT", "kid": …}
    claims   iss, aud, sub, iat, exp, jti, scope; optional nbf, single_use, sid

Stricter than a JWT need be (RFC 7519, with the advice of RFC 8725): one algorithm, no header but these three,
claims of one type each, none twice, a life no longer than configured. PyJWT checks the signature; the claims are
checked here, because its checks read a clock of their own and are more lenient. Knows no request and no API key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from gateway.credentials.credential import OWNER, Scope, read_scopes
from gateway.credentials.once import Once
from gateway.credentials.signing_keys import SigningKey

ALGORITHM: Final = "HS256"
ISSUER: Final = "switchboard"
AUDIENCE: Final = "switchboard-realtime"

LONGEST_TOKEN: Final = 4096
"""Characters. Ours have some 400; a token of 8 MB would hold up the event loop for 0.4 s before it is refused."""

LEEWAY_S: Final = 5
"""How far the clocks of two machines may differ."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_LATEST_S = 2**40
"""Unix seconds of the year 36812; whatever is later is no time but an attempt."""

_signatures = jwt.PyJWS(options={"enforce_minimum_key_length": True})


class TokenFault(Exception):
    """A token we do not believe. `is_ours` says that the signature was good, so that it was no guess."""

    def __init__(self, fault: str, *, is_ours: bool = False) -> None:
        super().__init__(fault)
        self.is_ours = is_ours


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a token says."""

    subject: str
    scopes: frozenset[Scope]
    issued_at_s: int
    """Unix seconds, as the other times."""
    expires_at_s: int
    token_id: str
    session_id: str | None = None
    is_single_use: bool = False


class AccessTokens:
    """Mints and reads them. `now` gives Unix seconds, `make_id` an id nobody had and nobody can guess."""

    def __init__(
        self, keys: Sequence[SigningKey], *, max_life_s: int, now: Callable[[], float], make_id: Callable[[], str]
    ) -> None:
        self._signing = keys[0]
        self._secrets = {key.kid: key.secret for key in keys}
        self._max_life_s = max_life_s
        self._now = now
        self._make_id = make_id
        self._used = Once()

    def mint(
        self,
        subject: str,
        scopes: Iterable[Scope],
        *,
        life_s: int,
        is_single_use: bool = False,
        session_id: str | None = None,
    ) -> tuple[str, AccessToken]:
        """A new token, with what it says. Raises `ValueError` for a subject or life that would not be accepted."""
        if not OWNER.fullmatch(subject):
            raise ValueError(f"subject: expected up to 64 letters, digits, _ . @ and -, got {subject!r}")
        if not 1 <= life_s <= self._max_life_s:
            raise ValueError(f"life: expected 1 to {self._max_life_s} s, got {life_s}")
        now_s = int(self._now())
        token = AccessToken(
            subject=subject,
            scopes=frozenset(scopes),
            issued_at_s=now_s,
            expires_at_s=now_s + life_s,
            token_id=self._make_id(),
            session_id=session_id,
            is_single_use=is_single_use,
        )
        text = jwt.encode(
            _claims(token), self._signing.secret, algorithm=ALGORITHM, headers={"kid": self._signing.kid}
        )
        return text, token

    def read(self, text: str) -> AccessToken:
        """What a token says, if it is one of ours and its time is now. Raises `TokenFault`."""
        payload = self._signed(text)
        try:
            claims = json.loads(payload, object_pairs_hook=_without_doubles, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise TokenFault("its claims are no JSON object", is_ours=True) from error
        if not isinstance(claims, dict):
            raise TokenFault("its claims are no JSON object", is_ours=True)
        token = _token(claims)
        self._check_times(token, claims)
        return token

    def use(self, token: AccessToken) -> None:
        """Notes that a session begins with the token. Raises `TokenFault` for a single-use one that was used."""
        until_s = token.expires_at_s + LEEWAY_S
        if token.is_single_use and not self._used.take(token.token_id, until_s=until_s, now_s=self._now()):
            raise TokenFault("it was used before", is_ours=True)

    def was_used(self, token: AccessToken) -> bool:
        return token.is_single_use and self._used.was_taken(token.token_id, now_s=self._now())

    def _signed(self, text: str) -> bytes:
        """The payload, once the signature is found good."""
        if len(text) > LONGEST_TOKEN:
            raise TokenFault(f"it is longer than {LONGEST_TOKEN} characters")
        if not _SHAPE.fullmatch(text):
            raise TokenFault("it is no JWT")
        try:
            header = _signatures.get_unverified_header(text)
            if header.keys() - {"alg", "typ", "kid"} or header.get("typ", "JWT") != "JWT":
                raise TokenFault("its header holds more than alg, typ and kid")
            # Only ever a key of this table: a kid that is a path or a URL is just an unknown name.
            secret = self._secrets.get(header.get("kid", ""))
            if secret is None:
                raise TokenFault("its key is unknown")
            payload: bytes = _signatures.decode(text, secret, algorithms=[ALGORITHM])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenFault("its signature is wrong") from error
        return payload

    def _check_times(self, token: AccessToken, claims: dict[str, Any]) -> None:
        now_s = self._now()
        life_s = token.expires_at_s - token.issued_at_s
        if not 0 < life_s <= self._max_life_s:
            raise TokenFault(f"it lives {life_s} s, and {self._max_life_s} s is the most", is_ours=True)
        if token.expires_at_s <= now_s - LEEWAY_S:
            raise TokenFault("it has expired", is_ours=True)
        begins_s = max(token.issued_at_s, _time(claims, "nbf") if "nbf" in claims else 0)
        if begins_s > now_s + LEEWAY_S:
            raise TokenFault("it is not valid yet", is_ours=True)


def _claims(token: AccessToken) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": token.subject,
        "iat": token.issued_at_s,
        "exp": token.expires_at_s,
        "jti": token.token_id,
        "scope": " ".join(sorted(scope.value for scope in token.scopes)),
    }
    if token.is_single_use:
        claims["single_use"] = True
    if token.session_id is not None:
        claims["sid"] = token.session_id
    return claims


def _token(claims: dict[str, Any]) -> AccessToken:
    """The claims, each of its one type. Raises `TokenFault`."""
    if claims.get("iss") != ISSUER:
        raise TokenFault("its issuer is another", is_ours=True)
    if claims.get("aud") != AUDIENCE:
        raise TokenFault("it is for another audience", is_ours=True)
    single_use = claims.get("single_use", False)
    if not isinstance(single_use, bool):
        raise TokenFault("its claim single_use is not as expected", is_ours=True)
    try:
        scopes = read_scopes(_text(claims, "scope", re.compile(r"[a-z ]{1,64}")).split())
    except ValueError as error:
        raise TokenFault("its claim scope is not as expected", is_ours=True) from error
    return AccessToken(
        subject=_text(claims, "sub", OWNER),
        scopes=scopes,
        issued_at_s=_time(claims, "iat"),
        expires_at_s=_time(claims, "exp"),
        token_id=_text(claims, "jti", _ID),
        session_id=_text(claims, "sid", _ID) if "sid" in claims else None,
        is_single_use=single_use,
    )


def _text(claims: dict[str, Any], name: str, shape: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise TokenFault(f"its claim {name} is not as expected", is_ours=True)
    return value


def _time(claims: dict[str, Any], name: str) -> int:
    """Unix seconds. RFC 7519 allows fractions; nothing we mint has any."""
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LATEST_S:
        raise TokenFault(f"its claim {name} is not as expected", is_ours=True)
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519, section 4: "The Claim Names within a JWT Claims Set MUST be unique"."""
    claims = dict(pairs)
    if len(claims) < len(pairs):
        raise ValueError("a name stands there twice")
    return claims


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
