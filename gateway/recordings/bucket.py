"""A bucket that recordings are kept in: Amazon S3, or whatever speaks its language. All of this blocks.

obstore does the protocol: signatures, credentials of the environment, a machine or a Kubernetes account, parts of
large files, retries. Its blocking calls are used, in a thread, and not its asynchronous ones: a process that
leaves within a moment of one of those is sometimes aborted, because their answers come from threads of obstore's
own.

Below the prefix each call has a place of its own with the same two files for each part that the folder has. The
sidecar is put last, so a part that has one is there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from gateway.recordings.place import BucketError, Span, read_bucket_url
from gateway.recordings.sidecar import NotOurs, Sidecar, is_call_sid, part_of, read_sidecar, write_sidecar

log = logging.getLogger(__name__)

REQUEST_LIMIT: Final = timedelta(seconds=60)
"""For one request: a part of a large file has 5 MiB."""
CONNECT_LIMIT: Final = timedelta(seconds=5)
RETRIES: Final = 3
RETRY_LIMIT: Final = timedelta(seconds=30)
"""For obstore's own retries; whoever uploads tries again much longer."""


class Bucket:
    """See the module's docstring; `Kept`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, sidecar: Sidecar, sound: Path) -> None:
        with _told(sidecar.name):
            obstore.put(self._store, _key(sidecar.name), sound)
            obstore.put(self._store, _key(sidecar.note_name), write_sidecar(sidecar))

    def parts(self, call_sid: str) -> list[Sidecar]:
        if not is_call_sid(call_sid):
            return []
        with _told(call_sid):
            names = [one["path"].rsplit("/")[-1] for batch in obstore.list(self._store, call_sid) for one in batch]
            notes = [name for name in names if (part := part_of(name)) and part[2] == "json"]
            found = [sidecar for name in notes if (sidecar := self._read_note(name))]
        return sorted(found, key=lambda one: one.part)

    def read(self, sidecar: Sidecar, first: int, most: int) -> Span:
        with _told(sidecar.name):
            size = int(obstore.head(self._store, _key(sidecar.name))["size"])
            last = min(size, first + most)
            if first >= last:
                return Span(b"", size)
            return Span(bytes(obstore.get_range(self._store, _key(sidecar.name), start=first, end=last)), size)

    def sweep(self, put_before: datetime) -> int:
        dropped = 0
        with _told("the bucket"):
            for batch in obstore.list(self._store):
                for one in batch:
                    call_sid, _, name = one["path"].rpartition("/")
                    part = part_of(name)
                    if part is None or part[0] != call_sid or one["last_modified"] >= put_before:
                        continue
                    with contextlib.suppress(FileNotFoundError):  # another worker sweeps, too
                        obstore.delete(self._store, one["path"])
                    dropped += part[2] == "wav"
        return dropped

    def _read_note(self, name: str) -> Sidecar | None:
        try:
            return read_sidecar(bytes(obstore.get(self._store, _key(name)).bytes()))
        except (NotOurs, FileNotFoundError) as error:
            log.debug("%s %s", name, error)
            return None


def open_bucket(url: str) -> Bucket:
    """The bucket and prefix of `s3://BUCKET[/PREFIX]`, with what `AWS_*` says. Raises `BucketError`."""
    try:
        bucket, prefix = read_bucket_url(url)
    except ValueError as error:
        raise BucketError(str(error)) from error
    with _told(url):
        return Bucket(
            S3Store(
                bucket,
                prefix=prefix or None,
                client_options={"timeout": REQUEST_LIMIT, "connect_timeout": CONNECT_LIMIT},
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_LIMIT},
            )
        )


def _key(name: str) -> str:
    return f"{name.partition('.')[0]}/{name}"


@contextmanager
def _told(what: str) -> Iterator[None]:
    """obstore's errors as ours, without the pages of what they were made of."""
    try:
        yield
    except BaseError as error:
        raise BucketError(f"{what}: {str(error).partition(chr(10))[0]}") from error
