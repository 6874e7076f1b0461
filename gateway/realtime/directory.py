"""The directory: every session that runs in this process, by the name others may join it under.

A Realtime session goes by its own id, a phone call by its CallSid (Realtime reference, section E.1, side-band
control). It also counts the Realtime sessions of each key. Memory of one process; it opens and ends nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.credentials.credential import Credential, Kind, Scope
from gateway.errors import Refusal
from gateway.realtime.allowance import ResponseAllowance
from gateway.realtime.floor import Floor
from gateway.realtime.session_end import SessionEnd
from pipeline.engine import Engine

PHONE_CALL_PREFIX = "CA"
"""Of every CallSid; sessions' ids begin with `sess_`."""

MOST_SIDE_BANDS = 8
"""Of one session: a few supervisors and recorders. Each costs the session its encoding once more."""


@dataclass(slots=True, kw_only=True, eq=False)
class LiveSession:
    """One that runs."""

    id: str
    owner: str
    engine: Engine
    call_id: str = ""
    """Another name of it: that of its peer connection, `rtc_…`."""
    opened_at_s: float
    """Unix time of its first input sample."""
    expires_at_s: float | None = None
    """Unix time."""
    allowance: ResponseAllowance | None = None
    """What its responses are counted on; None: they are not."""
    floor: Floor = field(default_factory=Floor)
    finish: Callable[[SessionEnd], None] | None = None
    """Ends it, for a named reason; None: a phone call, which ends otherwise."""
    side_bands: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it is gone."""
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its seat is free as well."""


class Directory:
    """See the module's docstring. `sessions_per_key` 0 is no limit."""

    def __init__(self, sessions_per_key: int = 0) -> None:
        self._sessions_per_key = sessions_per_key
        self._sessions: dict[str, LiveSession] = {}
        self._by_call_id: dict[str, LiveSession] = {}
        self._seats: Counter[str] = Counter()

    @property
    def seated(self) -> int:
        """Realtime sessions open or about to open; phone calls are counted elsewhere."""
        return self._seats.total()

    def ids(self) -> list[str]:
        """Of all that run, oldest first."""
        return list(self._sessions)

    @contextmanager
    def seat(self, owner: str) -> Iterator[asyncio.Event]:
        """A place for one more session of this key, while inside; and what is set once that is free again.

        Raises `Refusal` (429) if there is none.
        """
        if 0 < self._sessions_per_key <= self._seats[owner]:
            raise Refusal(
                429,
                "SESSION_RESOURCES_EXHAUSTED",
                f"SESSION_RESOURCES_EXHAUSTED: {self._sessions_per_key} sessions of this key are open, which is as "
                "many as it may have. End one, or raise SWITCHBOARD_REALTIME_SESSIONS_PER_KEY.",
            )
        freed = asyncio.Event()
        self._seats[owner] += 1
        try:
            yield freed
        finally:
            self._seats[owner] -= 1
            if not self._seats[owner]:
                del self._seats[owner]
            freed.set()

    @contextmanager
    def listed(self, session: LiveSession) -> Iterator[None]:
        """Can be joined while inside. A call's newer stream takes the place of the one before."""
        self._sessions[session.id] = session
        if session.call_id:
            self._by_call_id[session.call_id] = session
        try:
            yield
        finally:
            session.over.set()
            self._by_call_id.pop(session.call_id, None)
            if self._sessions.get(session.id) is session:
                del self._sessions[session.id]

    def join(self, call_id: str, credential: Credential) -> LiveSession:
        """The session that somebody wants to join. Raises `CredentialRefused` (403), or `Refusal` with 404 or 429.

        Phone calls need the scope `control`. A Realtime session may also be joined with the very API key it belongs
        to, but not with what was minted from that: a browser's token must not hear another browser.
        """
        session = self._theirs(call_id, credential)
        if session.side_bands >= MOST_SIDE_BANDS:
            raise Refusal(
                429, "too_many_side_bands", f"{MOST_SIDE_BANDS} others have joined it, which is the most."
            )
        return session

    def own(self, session_id: str, credential: Credential) -> LiveSession | None:
        """The session of this name, if it runs and is this owner's."""
        session = self._sessions.get(session_id)
        return session if session is not None and session.owner == credential.owner else None

    def hang_up(self, call_id: str, credential: Credential) -> None:
        """End the Realtime session of this name. Raises as `join` does; phone calls are not hung up on here."""
        session = self._theirs(call_id, credential)
        if session.finish is None:
            raise Refusal(404, "call_not_found", f"No Realtime session '{call_id[:64]}' is running here.")
        session.finish(SessionEnd.HUNG_UP)

    def finish_all(self, why: SessionEnd) -> None:
        """End every Realtime session; phone calls go on."""
        for session in tuple(self._sessions.values()):
            if session.finish is not None:
                session.finish(why)

    def _theirs(self, call_id: str, credential: Credential) -> LiveSession:
        if not _may_join_own(credential) or call_id.startswith(PHONE_CALL_PREFIX):
            credential.demand(Scope.CONTROL)
        session = self._sessions.get(call_id) or self._by_call_id.get(call_id)
        is_theirs = session is not None and (session.owner == credential.owner or credential.allows(Scope.CONTROL))
        if session is None or not is_theirs:
            raise Refusal(404, "call_not_found", f"No session or call '{call_id[:64]}' is running here.")
        return session

    @contextmanager
    def joined(self, session: LiveSession) -> Iterator[None]:
        """One more has joined it, while inside."""
        session.side_bands += 1
        try:
            yield
        finally:
            session.side_bands -= 1


def _may_join_own(credential: Credential) -> bool:
    return credential.kind in (Kind.KEY, Kind.DEV) and credential.allows(Scope.REALTIME)
