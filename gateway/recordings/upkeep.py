"""What is done for recordings besides making them: closing what dead workers left, uploading, sweeping.

One thread, because all of it blocks. Nothing is remembered but in the files themselves, so a restart loses
nothing: whatever is finished and in the folder is to be uploaded. Two processes may share a folder; whoever
uploads or closes a part holds its lock.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.recordings.folder import DAY_S, Folder
from gateway.recordings.place import BucketError, Kept
from gateway.recordings.sidecar import Sidecar, State

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 30.0
"""For parts that others left behind. Our own are told."""

FIRST_RETRY_S: Final = 2.0
LONGEST_RETRY_S: Final = 300.0
"""A bucket that is away for hours is asked so often."""

LEAVE_LIMIT_S: Final = 5.0
"""For uploads at the end of the process; what is not done then is found at the next start."""


class Upkeep:
    """See the module's docstring. `show_waiting` is told how many bytes wait to be uploaded."""

    def __init__(
        self, folder: Folder, bucket: Kept | None, keep_days: int, show_waiting: Callable[[int], None]
    ) -> None:
        """`keep_days`: 0 keeps for ever."""
        self._folder = folder
        self._bucket = bucket
        self._keep_days = keep_days
        self._show_waiting = show_waiting
        self._wake = threading.Event()
        self._leaves = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recordings-upkeep", daemon=True)
        self._failures = 0
        self._retry_at_s = 0.0
        self._swept_at_s = float("-inf")

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """A part has been finished."""
        self._wake.set()

    def stop(self) -> bool:
        """Blocks while what is finished is uploaded. False if that takes longer than it may."""
        self._leaves.set()
        self._wake.set()
        self._thread.join(LEAVE_LIMIT_S)
        return not self._thread.is_alive()

    def turn(self, now_s: float) -> None:
        """Do what is to be done by now (seconds of any steady clock)."""
        self._folder.recover()
        if self._bucket is not None and now_s >= self._retry_at_s:
            self._upload_all(self._bucket, now_s)
        if self._keep_days and now_s - self._swept_at_s >= DAY_S:
            self._swept_at_s = now_s
            self._sweep()

    def _run(self) -> None:
        while True:
            leaves = self._leaves.is_set()
            self._wake.clear()
            try:
                self.turn(time.monotonic())
            except OSError as error:
                log.error("the folder of recordings cannot be used: %s", error)  # it may come back
            except Exception:
                log.exception("the upkeep of recordings failed by a fault of ours")
            if leaves:
                return
            self._wake.wait(LOOK_EVERY_S if not self._failures else min(LOOK_EVERY_S, self._retry_in_s()))

    def _retry_in_s(self) -> float:
        return max(0.0, self._retry_at_s - time.monotonic())

    def _upload_all(self, bucket: Kept, now_s: float) -> None:
        finished = [one for one in self._folder.parts() if one.state is not State.RECORDING]
        self._show_waiting(self._folder.waiting_bytes())
        for sidecar in finished:
            try:
                self._upload(bucket, sidecar)
            except BucketError as error:
                self._back_off(error, now_s, len(finished))
                return
            except OSError as error:
                log.error("%s cannot be uploaded: %s", sidecar.name, error)
                continue
            if self._failures:
                log.info("recordings are uploaded again")
            self._failures = 0
        if finished:
            self._show_waiting(self._folder.waiting_bytes())

    def _upload(self, bucket: Kept, sidecar: Sidecar) -> None:
        try:
            with self._folder.locked(sidecar) as is_ours:
                if is_ours:
                    bucket.put(sidecar, self._folder.path / sidecar.name)
                    self._folder.drop(sidecar)
        except FileNotFoundError:
            self._folder.drop(sidecar)  # uploaded by another, or taken away: a sidecar alone is nothing

    def _back_off(self, error: Exception, now_s: float, waiting: int) -> None:
        if not self._failures:
            log.error("recordings cannot be uploaded; %d wait in the folder: %s", waiting, error)
        wait_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        # Apart from each other, so that a bucket that comes back does not meet all workers at once.
        self._retry_at_s = now_s + wait_s * random.uniform(0.5, 1.0)

    def _sweep(self) -> None:
        now = datetime.now(UTC)
        dropped = self._folder.sweep(self._keep_days, now.timestamp())
        if self._bucket is not None:
            try:
                dropped += self._bucket.sweep(now - timedelta(days=self._keep_days))
            except BucketError as error:
                log.error("old recordings in the bucket cannot be dropped: %s", error)
        if dropped:
            log.info("%d recordings are older than %d days and were dropped", dropped, self._keep_days)
