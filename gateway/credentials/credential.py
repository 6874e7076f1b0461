"""A credential: who somebody is and what they may do, once they were let in.

Made by the door, read by everything behind it. Holds no key, token or secret, so it may be logged.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.errors import CredentialRefused
from pipeline.dialects import Dialect

OWNER: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
"""The id of a key and the subject of a token: fit for a log line and a metric, and no place for a colon."""


class Scope(enum.Enum):
    """What a credential may be used for. Each is granted by name; only `admin` holds the others.

    `control` does not hold `realtime`: a dashboard that reads calls has no need to start sessions that cost money.
    """

    REALTIME = "realtime"
    """Open Realtime sessions and mint what opens them."""
    CONTROL = "control"
    """Read and steer calls."""
    ADMIN = "admin"
    """Everything."""


class Kind(enum.Enum):
    """What was shown at the door."""

    KEY = "key"
    """An API key, or the operator's `SWITCHBOARD_TOKEN`."""
    ACCESS_TOKEN = "access_token"
    """A JWT."""
    CLIENT_SECRET = "client_secret"
    """An `ek_…`."""
    DEV = "dev"
    """Nothing that counts: a gateway for development lets everybody on its machine in."""


ALL_SCOPES: Final = frozenset(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Somebody who was let in."""

    owner: str
    """The id of the key that all this came from, or the subject of the token; limits per key count by it."""
    scopes: frozenset[Scope]
    kind: Kind
    session: object | None = None
    """The session object a client secret was made with, as it was given: not to be widened by who holds it."""
    dialect: Dialect | None = None
    """How `session` is spelled; BETA also says that the connection speaks it."""
    is_transcription: bool = False
    """Whether a client secret was made for a transcription session."""
    session_id: str | None = None
    """The session named in a JWT."""
    expires_at_s: int | None = None
    """Unix seconds; None if it does not expire. A session begun before may outlive it."""
    is_single_use: bool = False

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def demand(self, scope: Scope) -> None:
        """Raises `CredentialRefused` (403) without the scope."""
        if not self.allows(scope):
            granted = ", ".join(sorted(one.value for one in self.scopes)) or "none"
            raise CredentialRefused(
                403,
                "insufficient_scope",
                f"This needs the scope `{scope.value}`; the credential of {self.owner} has: {granted}.",
            )


def read_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Scopes by their names. Raises `ValueError` for a name there is none of."""
    return frozenset(Scope(word) for word in words)
