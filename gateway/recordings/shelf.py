"""Where finished and running recordings are found again: the folder, and the bucket behind it if there is one.

All of this blocks. A part that is in both is read from the folder, where it is complete before it is in the
bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.recordings.folder import Folder
from gateway.recordings.joined import joined
from gateway.recordings.place import Kept, Span
from gateway.recordings.sidecar import Sidecar


class Shelf:
    """See the module's docstring."""

    def __init__(self, folder: Folder, bucket: Kept | None = None) -> None:
        self._folder = folder
        self._bucket = bucket

    def parts(self, call_sid: str) -> list[Sidecar]:
        """What there is of a call, in the order of the parts. Raises `OSError` or `BucketError`."""
        found = {} if self._bucket is None else {one.part: one for one in self._bucket.parts(call_sid)}
        found.update({one.part: one for one in self._folder.parts(call_sid)})
        return [found[part] for part in sorted(found)]

    def read(self, sidecar: Sidecar, first: int, most: int) -> Span:
        """Up to `most` bytes of a part's sound file from byte `first`.

        Raises `FileNotFoundError` if the part is gone, other `OSError`s and `BucketError`.
        """
        try:
            return self._folder.read(sidecar, first, most)
        except FileNotFoundError:
            if self._bucket is None:
                raise
            return self._bucket.read(sidecar, first, most)

    def joined(self, parts: Sequence[Sidecar]) -> Iterator[bytes]:
        """These parts as one file, in pieces. Raises as `joined.joined` does, and as `read`."""
        return joined(parts, lambda part, first, most: self.read(part, first, most).sound)
