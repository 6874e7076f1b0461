"""The switch of a stream's recording: paused and gone on with from outside, here and wherever the call goes.

A pause belongs to the call and not to the stream: it is written down where the call's next worker reads it before
it is said to hold, so that what nobody may keep is in no part, whoever dies. What cannot be known counts as paused.
A caller whose stream breaks while they key in digits may go on with it on the next, so that begins silent, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, assert_never

from gateway.calls.call import Call
from gateway.calls.journal import JournalEvent
from gateway.calls.orders import (
    NOT_RECORDED,
    WORKER_GONE,
    Done,
    Outcome,
    PauseRecording,
    RecordingOrder,
    ResumeRecording,
)
from gateway.calls.redis_store import RedisStore
from gateway.calls.store import Attended, CallStore
from gateway.recordings.recording import Recording

log = logging.getLogger(__name__)

KEYS_S: Final = 20.0
"""Of silence at the beginning of a stream, where the one before was gone while digits were keyed in: as long as a
long number takes."""


class Switch:
    """Of one stream. `now` is Unix seconds, as all times of calls."""

    def __init__(self, call: Call, store: CallStore, attended: Attended, now: Callable[[], float]) -> None:
        self._call = call
        self._store = store
        self._attended = attended
        self._now = now
        self._recording: Recording | None = None
        self._collections = 0
        """Of digits, that go on."""

    def note(self, event: JournalEvent) -> None:
        """Write into the call's journal what has become of the recording, and the time."""
        self._attended.journal.append({**event, "at_s": round(self._now(), 4)})
        self._attended.touch()

    def take(self, recording: Recording | None) -> None:
        """What it switches from now on, paused if the call is; None: nothing is recorded."""
        self._recording, call = recording, self._call
        if recording is None:
            return
        if call.is_forgotten and call.generation > 1 and not call.revision:
            # Somebody may have paused it on the stream before, and nobody is left who knows.
            log.warning("it is not known whether the recording was paused, so it is; resume it if it may go on")
            call.is_recording_paused = True
        if call.is_recording_paused:
            recording.pause()
        if call.is_keying:
            by = object()
            recording.pause(by)
            asyncio.get_running_loop().call_later(KEYS_S, self._release, recording, by)

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """While digits are collected. A stream that ends in the middle of it leaves the call as it is then."""
        assert self._recording is not None, "there is something to hush"
        self._collections += 1
        try:
            with self._recording.hushed():
                self._call.is_keying = True
                self.note({"event": "recording.paused", "for": "keys"})
                yield
        finally:
            self._collections -= 1
        self._call.is_keying = self._collections > 0
        self.note({"event": "recording.resumed", "for": "keys"})

    def _release(self, recording: Recording, by: object) -> None:
        recording.resume(by)
        if not self._collections:
            self._call.is_keying = False

    async def carry_out(self, order: RecordingOrder) -> Outcome:
        """Does it, and says whether the call's next worker would know."""
        recording, call = self._recording, self._call
        if recording is None:
            return NOT_RECORDED
        generation = call.generation
        match order:
            case PauseRecording():
                recording.pause()
            case ResumeRecording():
                recording.resume()
            case _:
                assert_never(order)
        call.is_recording_paused = recording.is_paused_from_outside
        self.note({"event": "recording.paused" if call.is_recording_paused else "recording.resumed"})
        is_kept = await self._kept()
        if call.generation != generation:
            return WORKER_GONE  # it streams elsewhere by now, and knows nothing of this
        return Done("paused" if call.is_recording_paused else "recording", is_kept=is_kept)

    async def _kept(self) -> bool:
        if isinstance(self._store, RedisStore):
            return await self._store.copies.settle(self._call.call_sid)
        return True  # it is the one copy there is
