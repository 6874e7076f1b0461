"""The one thread of a process that writes recordings, so that no disk ever holds up a call.

Work is done in the order it was given. What waits is bounded by its size: sound that finds no room is refused, and
whoever gave it says so in the recording; the call goes on. What ends a recording has no size and is always taken.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

log = logging.getLogger(__name__)

MOST_WAITING_BYTES: Final = 32 * 1024 * 1024
"""A thousand calls for two seconds: a disk that is slower for longer does not keep up at all."""

LEAVE_LIMIT_S: Final = 5.0
"""For what is still to be written when the gateway leaves."""

Job: TypeAlias = Callable[[], None]


class Writer:
    """See the module's docstring."""

    def __init__(self, most_waiting_bytes: int = MOST_WAITING_BYTES) -> None:
        self._most = most_waiting_bytes
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[Job, int] | None] = queue.SimpleQueue()
        # A daemon: a disk that never answers must not keep the process from leaving.
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give(self, job: Job, size: int = 0) -> bool:
        """Have `job` done after all before it. False if `size` bytes more may not wait."""
        with self._lock:
            if size and self._waiting_bytes + size > self._most:
                return False
            self._waiting_bytes += size
        self._jobs.put((job, size))
        return True

    def stop(self) -> bool:
        """Blocks until everything given is done. False if that takes longer than it may."""
        self._jobs.put(None)
        self._thread.join(LEAVE_LIMIT_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, size = given
            try:
                job()
            except Exception:
                # One recording's fault must not end all the others.
                log.exception("a recording failed by a fault of ours")
            finally:
                with self._lock:
                    self._waiting_bytes -= size
