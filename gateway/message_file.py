"""Messages that callers leave, kept in a file: one JSON object a line, on the disk before the caller is told."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path


class MessageFile:
    """The file at `path`, readable by its owner alone; made with the first message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()

    async def keep(self, message: Mapping[str, str]) -> None:
        """Write one. Raises `OSError` if it is not on the disk afterwards."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"at": at, **message}, ensure_ascii=False) + "\n"
        async with self._lock:
            await asyncio.to_thread(self._append, line.encode())

    def _append(self, line: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(handle, line) != len(line):
                raise OSError(f"{self._path}: the disk took only a part of a message")
            os.fsync(handle)
        finally:
            os.close(handle)
