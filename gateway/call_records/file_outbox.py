"""The outbox of one process, in a folder: a file for each letter, on the disk before `put` returns.

    CA….json          a letter that waits: when it was put, and its body
    dead/CA….json     one that is not tried any more, and why

What a process has in hand and how often it tried is in its memory; after a restart every letter is due at once. Two
processes that share a folder would both deliver its letters: give each its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gateway.call_records.outbox import (
    DEAD_KEPT_S,
    DONE_KEPT_S,
    MOST_DEAD,
    MOST_LETTERS,
    DeadLetter,
    Fate,
    Fill,
    Letter,
    OutboxUnavailable,
)

T = TypeVar("T")

_NAME: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.json")


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """A file."""

    put_at_s: float
    body: str
    died_at_s: float = 0.0
    tries: int = 0
    why: str = ""


@dataclass(slots=True)
class _Slip:
    """What is known of a letter that waits."""

    put_at_s: float
    due_at_s: float
    tries: int = 0


class FileOutbox:
    """See the module's docstring. Call `prepare` first."""

    def __init__(self, folder: Path, *, most_letters: int = MOST_LETTERS) -> None:
        self._folder = folder
        self._most_letters = most_letters
        self._slips: dict[str, _Slip] = {}
        self._done: OrderedDict[str, float] = OrderedDict()
        self._lock = asyncio.Lock()
        """The folder is changed by one at a time."""

    async def prepare(self) -> None:
        """Makes the folder if need be, and finds what the process before has left. Raises `OutboxUnavailable`."""
        async with self._lock:
            await self._on_disk(self._make)
            await self._find()

    async def put(self, call_sid: str, body: bytes, now_s: float) -> bool:
        if _NAME.fullmatch(f"{call_sid}.json") is None:
            raise ValueError(f"{call_sid[:70]!r} is no call's id: expected letters, digits, - or _")
        async with self._lock:
            self._forget_done(now_s)
            if call_sid in self._slips or call_sid in self._done:
                return False
            if len(self._slips) >= self._most_letters:
                raise OutboxUnavailable(f"{self._folder}: full, {len(self._slips)} records wait to be taken")
            page = _Page(put_at_s=now_s, body=body.decode())
            is_dead = await self._on_disk(lambda: self._dead_path(call_sid).exists())
            if is_dead:
                return False
            await self._on_disk(lambda: _write(self._path(call_sid), page))
            self._slips[call_sid] = _Slip(now_s, due_at_s=now_s)
            return True

    async def claim(self, now_s: float, *, most: int, lease_s: float) -> Sequence[Letter]:
        async with self._lock:
            due = sorted((slip.due_at_s, sid) for sid, slip in self._slips.items() if slip.due_at_s <= now_s)
            letters = []
            for _, call_sid in due[:most]:
                page = await self._on_disk(partial(_read, self._path(call_sid)))
                slip = self._slips[call_sid]
                if page is None:  # somebody took it away by hand
                    del self._slips[call_sid]
                    continue
                slip.tries += 1
                slip.due_at_s = now_s + lease_s
                letters.append(Letter(call_sid, page.body.encode(), slip.put_at_s, slip.tries))
            return letters

    async def deliver(self, letter: Letter, now_s: float) -> None:
        async with self._lock:
            await self._on_disk(lambda: self._path(letter.call_sid).unlink(missing_ok=True))
            self._slips.pop(letter.call_sid, None)
            self._done[letter.call_sid] = now_s

    async def put_off(self, letter: Letter, due_at_s: float) -> None:
        slip = self._slips.get(letter.call_sid)
        if slip is not None and slip.tries == letter.tries:
            slip.due_at_s = due_at_s

    async def bury(self, letter: Letter, why: str, now_s: float) -> None:
        call_sid = letter.call_sid
        async with self._lock:
            slip = self._slips.get(call_sid)
            if slip is None or slip.tries != letter.tries:
                return
            page = _Page(
                put_at_s=letter.put_at_s,
                body=letter.body.decode(),
                died_at_s=now_s,
                tries=letter.tries,
                why=why,
            )

            def move() -> None:
                _write(self._dead_path(call_sid), page)
                self._path(call_sid).unlink(missing_ok=True)
                self._clear(now_s)

            await self._on_disk(move)
            del self._slips[call_sid]

    async def fates(self, call_sids: Sequence[str]) -> Sequence[Fate]:
        # A disk forgets nothing; what somebody took away by hand is not put back.
        return [Fate.WAITING if call_sid in self._slips else Fate.OVER for call_sid in call_sids]

    async def fill(self) -> Fill:
        async with self._lock:
            await self._find()
        oldest_at_s = min((slip.put_at_s for slip in self._slips.values()), default=None)
        return Fill(len(self._slips), oldest_at_s, len(await self._on_disk(self._dead_sids)))

    async def dead(self) -> Sequence[DeadLetter]:
        return await self._on_disk(self._dead)

    async def dead_body(self, call_sid: str) -> bytes | None:
        page = await self._dead_page(call_sid)
        return None if page is None else page.body.encode()

    async def revive(self, call_sid: str, now_s: float) -> bool:
        async with self._lock:
            page = await self._dead_page(call_sid)
            if page is None:
                return False
            fresh = _Page(put_at_s=now_s, body=page.body)

            def move() -> None:
                _write(self._path(call_sid), fresh)
                self._dead_path(call_sid).unlink(missing_ok=True)

            await self._on_disk(move)
            self._slips[call_sid] = _Slip(now_s, due_at_s=now_s)
            return True

    async def _find(self) -> None:
        """Letters that the process before has left, or somebody has put back."""
        for call_sid in await self._on_disk(lambda: _sids(self._folder)):
            if call_sid not in self._slips:
                page = await self._on_disk(partial(_read, self._path(call_sid)))
                if page is not None:
                    self._slips[call_sid] = _Slip(page.put_at_s, due_at_s=0.0)

    async def _dead_page(self, call_sid: str) -> _Page | None:
        if _NAME.fullmatch(f"{call_sid}.json") is None:
            return None
        return await self._on_disk(lambda: _read(self._dead_path(call_sid)))

    async def _on_disk(self, act: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(act)
        except OSError as error:
            raise OutboxUnavailable(f"{self._folder}: {error.strerror or error}") from error

    def _path(self, call_sid: str) -> Path:
        return self._folder / f"{call_sid}.json"

    def _dead_path(self, call_sid: str) -> Path:
        return self._folder / "dead" / f"{call_sid}.json"

    def _forget_done(self, now_s: float) -> None:
        while self._done and now_s - next(iter(self._done.values())) > DONE_KEPT_S:
            self._done.popitem(last=False)

    # What follows blocks, and runs in a thread.

    def _make(self) -> None:
        for folder in (self._folder, self._folder / "dead"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            told = folder.lstat()
            if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.geteuid():
                # The usual place is under a folder that everybody may write to.
                raise OSError("it is no folder of this user's; numbers and talks would be open to others")

    def _dead_sids(self) -> list[str]:
        return _sids(self._folder / "dead")

    def _dead(self) -> list[DeadLetter]:
        pages = [(sid, _read(self._dead_path(sid))) for sid in self._dead_sids()]
        told = [DeadLetter(sid, page.died_at_s, page.tries, page.why) for sid, page in pages if page is not None]
        return sorted(told, key=lambda one: one.died_at_s, reverse=True)

    def _clear(self, now_s: float) -> None:
        for place, one in enumerate(self._dead()):
            if place >= MOST_DEAD or now_s - one.died_at_s > DEAD_KEPT_S:
                self._dead_path(one.call_sid).unlink(missing_ok=True)


def _sids(folder: Path) -> list[str]:
    return [match[1] for path in sorted(folder.iterdir()) if (match := _NAME.fullmatch(path.name))]


def _read(path: Path) -> _Page | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Page)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None  # gone, or no letter of ours


def _write(path: Path, page: _Page) -> None:
    """Whole or not at all, whenever the machine stops."""
    draft = path.with_suffix(".draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(handle, "wb") as file:
        file.write(msgspec.json.encode(page))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
