"""The keys our JWTs are signed with, as a setting writes them: `kid:secret[,kid:secret]`.

The first signs and all verify, so that a new key can be put in front while tokens of the old one live out their
time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

LEAST_SECRET_BYTES: Final = 32
"""RFC 7518, section 3.2: "A key of the same size as the hash output … or larger MUST be used". 32 for HS256."""

MOST_KEYS: Final = 8
"""A rotation needs two."""

_KID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_SECRET = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key."""

    kid: str
    """Its name, in the header of what it signed."""
    secret: str = field(repr=False)


def read_signing_keys(text: str) -> tuple[SigningKey, ...]:
    """The keys of the setting. Raises `ValueError` with all faults, none of which repeats a secret."""
    keys: list[SigningKey] = []
    faults: list[str] = []
    for number, entry in enumerate(text.split(","), start=1):
        kid, colon, secret = entry.strip().partition(":")
        if not colon or not _KID.fullmatch(kid):
            faults.append(f"key {number} is not written kid:secret, the kid of letters, digits, _ . and -")
        elif not _SECRET.fullmatch(secret):
            faults.append(f"the secret of key {kid} is empty or has a blank or a character outside ASCII")
        elif len(secret) < LEAST_SECRET_BYTES:
            faults.append(
                f"the secret of key {kid} has {len(secret)} bytes and needs at least {LEAST_SECRET_BYTES}; "
                "make one with: openssl rand -hex 32"
            )
        elif kid in {key.kid for key in keys}:
            faults.append(f"there are two keys named {kid}; give the new one a new name")
        else:
            keys.append(SigningKey(kid, secret))
    if not faults and len(keys) > MOST_KEYS:
        faults.append(f"there are {len(keys)} keys; a rotation needs 2, and {MOST_KEYS} is the most")
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(keys)
