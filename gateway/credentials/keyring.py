"""The API keys of a gateway: a TOML file, one table each.

    [[key]]
    id = "web"                         # in logs and limits; letters, digits, _ and -
    hash = "sha256:2c26b46b…"          # of the whole key, id and colon included
    scopes = ["realtime"]              # realtime, control, admin

    [[key]]
    id = "unity"
    secret = "…"                       # instead of the hash: only for the IW1-HMAC mint, which needs it itself
    scopes = ["realtime"]

A key's text is `id:secret`, so that its base64 is a key as Inworld's clients expect one; both forms are accepted.
All faults of a file are told together, and no fault repeats a hash or a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.credentials.credential import Scope, read_scopes
from gateway.errors import SettingsError
from pipeline.checked_table import CheckedTable

LONGEST_KEY: Final = 1024
"""Characters, in either form. One made by `switchboard key new` has at most 108, in base64 at most 144."""

LEAST_SECRET_CHARS: Final = 16

RESERVED_IDS: Final = frozenset({"dev", "operator"})
"""Owners that stand for no key of the file."""

KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(r"[\x21-\x7e]+")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NOBODY = bytes(32)
"""What the hash of a key with an unknown id is compared with, so that it takes as long as a wrong secret."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of the file."""

    id: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    secret: str | None = field(default=None, repr=False)
    """Only where the file holds it."""


class Keyring:
    """The keys, found by what a client shows."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {key.id: key for key in keys}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, shown: str) -> ApiKey | None:
        """The key whose text this is, plain or in base64."""
        text = plain_text(shown)
        if text is None:
            return None
        key = self._keys.get(text.partition(":")[0])
        is_right = hmac.compare_digest(digest_of(text), key.digest if key else _NOBODY)
        return key if is_right else None

    def named(self, id: str) -> ApiKey | None:
        return self._keys.get(id)


def plain_text(shown: str) -> str | None:
    """`id:secret`, from itself or its base64 in either alphabet, padded or not; None if it is neither."""
    if len(shown) > LONGEST_KEY:
        return None
    if ":" in shown:
        return shown
    try:
        padded = shown.rstrip("=").translate(_TO_STANDARD)
        text = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return text if ":" in text else None


def base64_of(text: str) -> str:
    """The key as Inworld's clients take it."""
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def entry(id: str, secret: str, scopes: Iterable[Scope], *, keeps_secret: bool = False) -> str:
    """A key's table, to be appended to the file."""
    words = json.dumps(sorted(scope.value for scope in scopes))
    proof = f"secret = {json.dumps(secret)}" if keeps_secret else f'hash = "sha256:{_hex(f"{id}:{secret}")}"'
    return f"\n[[key]]\nid = {json.dumps(id)}\n{proof}\nscopes = {words}\n"


def load_keys(path: str | Path) -> Keyring:
    """The keys of a file. Raises `SettingsError` with all its faults."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "make one with: switchboard key new --id web --scope realtime >> " + str(path)
        raise SettingsError([f"SWITCHBOARD_API_KEYS: {path}: cannot be read ({error}); {hint}"]) from error
    return parse_keys(text, str(path))


def parse_keys(text: str, path: str) -> Keyring:
    """The keys that `text` describes; `path` is for messages only. Raises `SettingsError`."""
    faults: list[str] = []
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"SWITCHBOARD_API_KEYS: {path}: is not TOML: {error}"]) from error
    listed = values.get("key")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        faults.append("key: expected one table [[key]] or more; switchboard key new writes one")
        listed = []
    CheckedTable({name: None for name in values if name != "key"}, key="", faults=faults).no_more()
    keys = [_read_key(table, f"key[{index}]", faults) for index, table in enumerate(listed)]
    ids = [key.id for key in keys if key]
    faults += [
        f"key: there are {ids.count(id)} keys with the id {id!r}" for id in sorted(set(ids)) if ids.count(id) > 1
    ]
    if faults:
        raise SettingsError([f"SWITCHBOARD_API_KEYS: {path}: {fault}" for fault in faults])
    return Keyring(key for key in keys if key)


def _read_key(values: dict[str, Any], place: str, faults: list[str]) -> ApiKey | None:
    """One table, None if it has a fault. The checked table repeats values, so hash and secret stay out of it."""
    faults_before = len(faults)
    proof: dict[str, Any] = {name: values[name] for name in ("hash", "secret") if name in values}
    table = CheckedTable({name: v for name, v in values.items() if name not in proof}, key=place, faults=faults)
    id = table.text("id")
    if id and (not KEY_ID.fullmatch(id) or id in RESERVED_IDS):
        table.fault(
            "id", "expected up to 64 letters, digits, _ and -, and none of " + ", ".join(sorted(RESERVED_IDS))
        )
    words = table.texts("scopes", required=True)
    if unknown := [word for word in words if word not in {scope.value for scope in Scope}]:
        table.fault("scopes", f"expected only {', '.join(scope.value for scope in Scope)}, not {unknown[0]!r}")
    table.no_more()
    digest = _read_proof(id, proof, place, faults)
    if len(faults) > faults_before or digest is None:
        return None
    return ApiKey(id, digest, read_scopes(words), proof.get("secret"))


def _read_proof(id: str, proof: dict[str, Any], place: str, faults: list[str]) -> bytes | None:
    """The digest, from the hash or the secret; they must agree."""
    if not proof:
        faults.append(f"{place}.hash: expected sha256: and 64 hex digits of the whole key, it is missing")
        return None
    hash_, secret = proof.get("hash"), proof.get("secret")
    found = _HASH.fullmatch(hash_) if isinstance(hash_, str) else None
    if hash_ is not None and not found:
        faults.append(
            f"{place}.hash: expected sha256: and 64 lower-case hex digits of the whole key, got something else"
        )
    if secret is not None and not (
        isinstance(secret, str) and _SECRET.fullmatch(secret) and len(secret) >= LEAST_SECRET_CHARS
    ):
        faults.append(
            f"{place}.secret: expected {LEAST_SECRET_CHARS} or more characters of ASCII without a blank, "
            "got something else"
        )
        return None
    own = digest_of(f"{id}:{secret}") if secret is not None else None
    told = bytes.fromhex(found[1]) if found else None
    if own and told and own != told:
        faults.append(f"{place}.hash: is not the hash of id and secret beside it; leave the hash out")
    return own or told


def _hex(text: str) -> str:
    return digest_of(text).hex()


_TO_STANDARD = str.maketrans("-_", "+/")
