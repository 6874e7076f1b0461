"""A folder of kept things, each one file, which several processes share without asking each other.

A file is whole or not there, because it gets its name last; and whoever takes it has it alone, because taking
begins with giving it another name. Files say by their time when they were kept, and by their name, in a form nobody
can read, whose they are. All of this blocks, so it is called in a thread. It knows nothing of what is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

_OURS: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{64}\.(kept|[0-9a-f]{16}\.(new|taken))")
"""Nothing else in the folder is touched."""

_KEPT: Final = ".kept"


class KeptFiles:
    """See the module's docstring. Times are Unix seconds."""

    def __init__(self, folder: Path, *, keep_s: float, most: int, most_of_owner: int, most_bytes: int) -> None:
        self._folder = folder
        self._keep_s = keep_s
        self._most = most
        self._most_of_owner = most_of_owner
        self._most_bytes = most_bytes

    def write(self, name: str, owner: str, data: bytes, now_s: float) -> None:
        """Keep `data`, in place of what was kept by that name; the oldest go if there are too many.

        Raises `OSError` if it is not kept.
        """
        self._prepare()
        self._make_room(_prefix_of(owner), now_s)
        path = self._path(name, owner)
        new = path.with_suffix(f".{secrets.token_hex(8)}.new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as file:
                file.write(data)
            os.utime(new, (now_s, now_s))
            os.rename(new, path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    def take(self, name: str, owner: str) -> bytes | None:
        """What was kept, which is gone with that; None: nothing, or somebody else was quicker. Raises `OSError`."""
        path = self._path(name, owner)
        taken = path.with_suffix(f".{secrets.token_hex(8)}.taken")
        try:
            self._check()
            os.rename(path, taken)
        except FileNotFoundError:
            return None
        try:
            with open(taken, "rb") as file:
                return file.read(self._most_bytes + 1)
        finally:
            taken.unlink()

    def _path(self, name: str, owner: str) -> Path:
        return self._folder / f"{_prefix_of(owner)}{hashlib.sha256(name.encode()).hexdigest()}{_KEPT}"

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check()

    def _check(self) -> None:
        """Whoever else could write into it could put words into a conversation's mouth."""
        state = self._folder.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise PermissionError(
                f"{self._folder} is open to others; make it ours alone (chmod 700), or name a folder that is not "
                "there yet"
            )

    def _make_room(self, prefix: str, now_s: float) -> None:
        """For one more of this owner: what is expired goes, then the owner's oldest, then the oldest of all."""
        kept: list[tuple[float, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not _OURS.fullmatch(entry.name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # taken meanwhile
                    at_s = entry.stat(follow_symlinks=False).st_mtime
                    if at_s + self._keep_s <= now_s:
                        os.unlink(entry.path)
                    elif entry.name.endswith(_KEPT):
                        kept.append((at_s, entry.name))
        kept.sort()
        of_owner = [name for _, name in kept if name.startswith(prefix)]
        for name in _surplus(of_owner, self._most_of_owner) or _surplus([name for _, name in kept], self._most):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / name).unlink()


def _prefix_of(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()[:16] + "-"


def _surplus(oldest_first: list[str], most: int) -> list[str]:
    """Those that must go, so that one more can come."""
    return oldest_first[: max(0, len(oldest_first) + 1 - most)]
