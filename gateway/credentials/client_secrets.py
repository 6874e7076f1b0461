"""Client secrets: `ek_…`, what a page in a browser is given instead of a key.

Each lives from 10 seconds to 2 hours and is bound to the session object it was made with. It may be used until it
expires, or as often as it was made for; a session may outlive it. Kept in memory, by hash, and bounded in number
and in bytes: when there is no room, expired ones go first, then those made first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.credentials.credential import Scope
from pipeline.dialects import Dialect

PREFIX: Final = "ek_"
"""OpenAI's browser SDK takes no credential that begins otherwise."""

LEAST_LIFE_S: Final = 10
MOST_LIFE_S: Final = 7200
USUAL_LIFE_S: Final = 600

MOST_SECRETS: Final = 10_000
MOST_SESSION_BYTES: Final = 64 * 1024 * 1024
"""Of all session objects together, as they came over the wire."""

REMEMBERED_S: Final = 600
"""How long an expired one is still known as such, and so not taken for a guess."""

_SWEEP_EVERY_S = 60


class SecretFault(Exception):
    """A secret that opens nothing. `is_ours` says that it once did."""

    def __init__(self, fault: str, *, is_ours: bool = False) -> None:
        super().__init__(fault)
        self.is_ours = is_ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a client secret stands for."""

    owner: str
    scopes: frozenset[Scope]
    session: object | None
    """The session object, as it was given."""
    dialect: Dialect
    """How it is spelled."""
    is_transcription: bool
    expires_at_s: int
    """Unix seconds."""
    max_uses: int | None
    """None: as often as one likes until it expires."""


@dataclass(slots=True)
class _Kept:
    grant: Grant
    session_bytes: int
    uses: int = 0


class ClientSecrets:
    """Those there are. `now` gives Unix seconds, `make_text` a text nobody can guess."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        make_text: Callable[[], str],
        most: int = MOST_SECRETS,
        most_session_bytes: int = MOST_SESSION_BYTES,
    ) -> None:
        self._now = now
        self._make_text = make_text
        self._most = most
        self._most_session_bytes = most_session_bytes
        self._kept: dict[bytes, _Kept] = {}
        """By hash, in the order they were made."""
        self._session_bytes = 0
        self._swept_at_s = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def mint(
        self,
        owner: str,
        scopes: frozenset[Scope],
        *,
        life_s: int,
        session: object | None = None,
        session_bytes: int = 0,
        dialect: Dialect = Dialect.GA,
        is_transcription: bool = False,
        max_uses: int | None = None,
    ) -> tuple[str, Grant]:
        """A new secret and what it stands for. `session_bytes` is what the object weighed on the wire.

        Raises `ValueError` for a life or a number of uses out of range.
        """
        if not LEAST_LIFE_S <= life_s <= MOST_LIFE_S:
            raise ValueError(f"life: expected {LEAST_LIFE_S} to {MOST_LIFE_S} s, got {life_s}")
        if max_uses is not None and max_uses < 1:
            raise ValueError(f"max_uses: expected 1 or more, got {max_uses}")
        grant = Grant(
            owner=owner,
            scopes=scopes,
            session=session,
            dialect=dialect,
            is_transcription=is_transcription,
            expires_at_s=int(self._now()) + life_s,
            max_uses=max_uses,
        )
        self._make_room(session_bytes)
        value = PREFIX + self._make_text()
        self._kept[_hash(value)] = _Kept(grant, session_bytes)
        self._session_bytes += session_bytes
        return value, grant

    def read(self, value: str) -> Grant:
        """What the secret stands for, without using it. Raises `SecretFault`."""
        return self._live(value).grant

    def use(self, value: str) -> Grant:
        """The same, and counts a use: a session begins. Raises `SecretFault`."""
        kept = self._live(value)
        kept.uses += 1
        return kept.grant

    def _live(self, value: str) -> _Kept:
        kept = self._kept.get(_hash(value))
        if kept is None:
            raise SecretFault("it is unknown")
        if kept.grant.expires_at_s <= self._now():
            raise SecretFault("it has expired", is_ours=True)
        if kept.grant.max_uses is not None and kept.uses >= kept.grant.max_uses:
            raise SecretFault("it was used as often as it may be", is_ours=True)
        return kept

    def _make_room(self, session_bytes: int) -> None:
        now_s = self._now()
        if now_s - self._swept_at_s >= _SWEEP_EVERY_S:
            self._swept_at_s = now_s
            self._drop_expired(now_s - REMEMBERED_S)
        if self._is_full(session_bytes):
            self._drop_expired(now_s)
        while self._kept and self._is_full(session_bytes):
            self._drop(next(iter(self._kept)))

    def _is_full(self, session_bytes: int) -> bool:
        has_too_many = len(self._kept) >= self._most
        return has_too_many or self._session_bytes + session_bytes > self._most_session_bytes

    def _drop_expired(self, before_s: float) -> None:
        for name in [name for name, kept in self._kept.items() if kept.grant.expires_at_s <= before_s]:
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        self._session_bytes -= self._kept.pop(name).session_bytes


def _hash(value: str) -> bytes:
    """Found by hash, so that how long the search takes tells nothing of the secrets there are."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
