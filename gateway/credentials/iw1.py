"""IW1-HMAC-SHA256: how Inworld's clients sign the request for a session token, so that the secret never travels.

    Authorization: IW1-HMAC-SHA256 ApiKey=<id>,DateTime=<YYYYMMDDHHMMSS UTC>,Nonce=<hex>,Signature=<hex>

    k = "IW1" + secret;  for part in DateTime, host, method, nonce:  k = HMAC-SHA256(k, part)
    Signature = hex(HMAC-SHA256(k, "iw1_request"))          (Realtime reference, section A.3)

The host is signed so that what was meant for one gateway opens no other. We take it for the host of our public URL,
never for what a Host header says, or for the one that Inworld's own examples have written into them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from gateway.credentials.keyring import ApiKey, Keyring
from gateway.credentials.once import Once
from gateway.errors import CredentialRefused

SCHEME: Final = "IW1-HMAC-SHA256"
DOCUMENTED_HOST: Final = "api-engine.inworld.ai"
METHOD: Final = "ai.inworld.engine.WorldEngine/GenerateToken"

WINDOW_S: Final = 300
"""How far DateTime may be from our clock, either way; a nonce is remembered as long."""

_LONGEST_HEADER = 1024
_PARTS = re.compile(
    r"ApiKey=(?P<key_id>[A-Za-z0-9_-]{1,64}),\s?DateTime=(?P<date_time>[0-9]{14}),"
    r"\s?Nonce=(?P<nonce>[0-9A-Za-z]{8,64}),\s?Signature=(?P<signature>[0-9a-f]{64})"
)
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_NO_SECRET = "no key has this secret"
"""Signed with for an unknown key, so that it takes as long as a wrong signature. No client can make use of it: the
key is looked up again before anything is believed."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What the header says."""

    key_id: str
    date_time: str
    nonce: str
    signature: str


def parse(parameters: str) -> Signed | None:
    """What stands behind the scheme; None if it is not written as it should be."""
    found = _PARTS.fullmatch(parameters.strip()) if len(parameters) <= _LONGEST_HEADER else None
    return Signed(**found.groupdict()) if found else None


def sign(secret: str, date_time: str, host: str, nonce: str) -> str:
    """The signature, as hex."""
    key = b"IW1" + secret.encode()
    for part in (date_time, host, METHOD, nonce):
        key = _hmac(key, part)
    return _hmac(key, "iw1_request").hex()


def hosts_of(public_url: str) -> tuple[str, ...]:
    """The hosts that may be signed for a gateway with this URL: its own, without its scheme's usual port, and the
    documented one."""
    parts = urlsplit(public_url)
    return (parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "")), DOCUMENTED_HOST)


class Iw1Check:
    """Checks signatures. `now` gives Unix seconds."""

    def __init__(self, keyring: Keyring, hosts: tuple[str, ...], now: Callable[[], float]) -> None:
        self._keyring = keyring
        self._hosts = hosts
        self._now = now
        self._nonces = Once()

    def check(self, parameters: str) -> ApiKey:
        """The key that signed. Raises `CredentialRefused` (403); only who can sign is told what else is wrong."""
        signed = parse(parameters)
        if signed is None:
            raise _refused("It is not written as ApiKey=…,DateTime=…,Nonce=…,Signature=….", is_guess=True)
        key = self._keyring.named(signed.key_id)
        secret = key.secret if key and key.secret else None
        is_right = False
        for host in self._hosts:
            wanted = sign(secret or _NO_SECRET, signed.date_time, host, signed.nonce)
            is_right |= hmac.compare_digest(wanted, signed.signature)
        if key is None or secret is None or not is_right:
            raise _refused("Key, secret, host or order of the parts differ.", is_guess=True)
        moment_s = _seconds(signed.date_time)
        now_s = self._now()
        if moment_s is None or abs(moment_s - now_s) > WINDOW_S:
            raise _refused(f"DateTime: expected UTC within {WINDOW_S} s of this gateway's clock.")
        until_s = moment_s + WINDOW_S + 1
        if not self._nonces.take(f"{key.id}:{signed.nonce}", until_s=until_s, now_s=now_s):
            raise _refused("Nonce: expected one that was not used before.")
        return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


def _seconds(date_time: str) -> float | None:
    try:
        return datetime.strptime(date_time, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _refused(detail: str, *, is_guess: bool = False) -> CredentialRefused:
    words = f"invalid authorization signature. {detail}"
    return CredentialRefused(403, "invalid_signature", words, is_guess=is_guess)
