"""Conversations of sessions that were cut off, for ten minutes, until their clients go on with them.

A client names its old session when it opens a new one (`?session_id=`), and finds its conversation, once. That id
is all it needs beside a credential of the same owner, so `new_session_id` makes ids that nobody can guess.

With a folder they lie in files, where other processes and the next start of this one find them; without, or while
the folder takes nothing, in memory. What can't be had is the same refusal, whatever the reason, so that nobody can
find out by asking which sessions there were.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from gateway.errors import Refusal
from gateway.realtime.kept_files import KeptFiles
from pipeline.kept_conversation import MOST_BYTES, KeptConversation, Unreadable, decoded, encoded
from pipeline.limits import MIB

log = logging.getLogger(__name__)

KEPT_S: Final = 600.0
"""Longer than a restart, a tunnel or a reload takes; shorter than anybody remembers what was being said."""
MOST_SESSIONS: Final = 1_000
"""All sessions that a drain may cut off at once, and more. In files they have at most about 1 GiB."""
MOST_OF_OWNER: Final = 20
"""So that a client that opens and drops sessions pushes out its own, and nobody else's."""
MEMORY_BYTES: Final = 64 * MIB
"""64 of the largest; most have a few dozen KiB. The oldest go first."""
DISK_LIMIT_S: Final = 2.0
"""A folder that takes longer, on a network that hangs, counts as one that takes nothing."""
_RECORD_BYTES: Final = MOST_BYTES + 1_024
"""With whose it is, and since when."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A file's content."""

    session_id: str
    owner: str
    kept_at_s: float
    """Unix time."""
    conversation: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Remembered:
    owner: str
    kept_at_s: float
    conversation: bytes


class KeptSessions:
    """See the module's docstring. `now_s` is Unix time: files outlive a process."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is made if it is not there; None: memory only."""
        self._files = None if folder is None else _files(folder)
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        """Oldest first."""
        self._remembered_bytes = 0
        self._count_of: Counter[str] = Counter()
        """By owner."""

    @property
    def remembered_bytes(self) -> int:
        """In memory."""
        return self._remembered_bytes

    def __len__(self) -> int:
        """In memory."""
        return len(self._remembered)

    async def keep(self, session_id: str, owner: str, kept: KeptConversation, now_s: float) -> None:
        """Keep it for `KEPT_S`. Without items there is nothing to go on with, and nothing is kept."""
        if not kept.items:
            return
        conversation = encoded(kept)
        if not await self._filed(session_id, owner, conversation, now_s):
            self._remember(session_id, _Remembered(owner, now_s, conversation))

    async def take(self, session_id: str, owner: str, now_s: float) -> KeptConversation:
        """What was kept of this session, for whoever goes on with it. Raises `Refusal` (404)."""
        remembered = self._recall(session_id, owner, now_s)
        # Both are asked: a folder that was too slow may have taken it after all, and nobody else should have that.
        filed = await self._fetched(session_id, owner, now_s)
        conversation = remembered or filed
        if conversation is not None:
            try:
                return decoded(conversation)
            except Unreadable as error:
                log.warning("a kept session cannot be read", extra={"owner": owner, "reason": str(error)})
        raise Refusal(
            404,
            "session_not_found",
            "No session of this id is kept for you. One that was cut off can be gone on with once, within "
            f"{KEPT_S / 60:g} minutes; open a session without 'session_id'.",
        )

    # In files

    async def _filed(self, session_id: str, owner: str, conversation: bytes, now_s: float) -> bool:
        if self._files is None:
            return False
        record = _Record(
            session_id=session_id, owner=owner, kept_at_s=now_s, conversation=msgspec.Raw(conversation)
        )
        text = msgspec.json.encode(record)
        try:
            async with asyncio.timeout(DISK_LIMIT_S):
                await asyncio.to_thread(self._files.write, session_id, owner, text, now_s)
        except OSError as error:  # a TimeoutError is one
            log.warning("a session is kept in memory only", extra={"owner": owner, "reason": _told(error)})
            return False
        return True

    async def _fetched(self, session_id: str, owner: str, now_s: float) -> bytes | None:
        if self._files is None:
            return None
        try:
            async with asyncio.timeout(DISK_LIMIT_S):
                text = await asyncio.to_thread(self._files.take, session_id, owner)
            if text is None:
                return None
            record = msgspec.json.decode(text, type=_Record)
        except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            log.warning("a kept session cannot be read", extra={"owner": owner, "reason": _told(error)})
            return None
        if (record.session_id, record.owner) != (session_id, owner):
            log.warning("a kept session is not what its file says", extra={"owner": owner})
            return None
        return None if _is_expired(record.kept_at_s, now_s) else bytes(record.conversation)

    # In memory

    def _remember(self, session_id: str, kept: _Remembered) -> None:
        self._forget(session_id)
        self._remembered[session_id] = kept
        self._remembered_bytes += len(kept.conversation)
        self._count_of[kept.owner] += 1
        if self._count_of[kept.owner] > MOST_OF_OWNER:
            self._forget(next(key for key, other in self._remembered.items() if other.owner == kept.owner))
        while self._is_too_much(kept.kept_at_s):
            self._forget(next(iter(self._remembered)))

    def _is_too_much(self, now_s: float) -> bool:
        oldest = next(iter(self._remembered.values()))
        is_full = len(self._remembered) > MOST_SESSIONS or self._remembered_bytes > MEMORY_BYTES
        return is_full or _is_expired(oldest.kept_at_s, now_s)

    def _recall(self, session_id: str, owner: str, now_s: float) -> bytes | None:
        kept = self._remembered.get(session_id)
        if kept is None or kept.owner != owner:
            return None
        self._forget(session_id)
        return None if _is_expired(kept.kept_at_s, now_s) else kept.conversation

    def _forget(self, session_id: str) -> None:
        kept = self._remembered.pop(session_id, None)
        if kept is None:
            return
        self._remembered_bytes -= len(kept.conversation)
        self._count_of[kept.owner] -= 1
        if not self._count_of[kept.owner]:
            del self._count_of[kept.owner]


def _files(folder: Path) -> KeptFiles:
    return KeptFiles(
        folder, keep_s=KEPT_S, most=MOST_SESSIONS, most_of_owner=MOST_OF_OWNER, most_bytes=_RECORD_BYTES
    )


def new_session_id() -> str:
    """An id of 128 random bits: whoever knows it may go on with the session, so it must not be counted up."""
    return f"sess_{secrets.token_urlsafe(16)}"


def _is_expired(kept_at_s: float, now_s: float) -> bool:
    return kept_at_s + KEPT_S <= now_s


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
