"""Where recordings are kept: a folder, or a bucket with a folder on the way. Pure.

What is kept in a bucket is made in the folder first, because a disk does not go away in the middle of a call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from gateway.errors import GatewayError
from gateway.recordings.sidecar import Sidecar

SCHEME: Final = "s3://"
_URL: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[\w.=+-]+)*)/?", re.ASCII)


class BucketError(GatewayError):
    """The bucket cannot be used, or did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a part's sound file, and how many there are in all."""

    sound: bytes
    size: int


class Kept(Protocol):
    """A bucket, as far as anybody needs it. All of it blocks and raises `BucketError`."""

    def put(self, sidecar: Sidecar, sound: Path) -> None:
        """Put a part. Raises `OSError` if the sound cannot be read."""
        ...

    def parts(self, call_sid: str) -> list[Sidecar]:
        """What there is of a call, in the order of the parts."""
        ...

    def read(self, sidecar: Sidecar, first: int, most: int) -> Span:
        """Up to `most` bytes of a part's sound from byte `first`. Raises `FileNotFoundError`."""
        ...

    def sweep(self, put_before: datetime) -> int:
        """Drop the parts that were put before; how many."""
        ...


def read_bucket_url(text: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://BUCKET[/PREFIX]`. Raises `ValueError`."""
    match = _URL.fullmatch(text)
    if match is None or ".." in match[2].split("/"):
        raise ValueError(f"{text!r} is no bucket; write s3://BUCKET or s3://BUCKET/PREFIX")
    return match[1], match[2].strip("/")


def read_place(text: str) -> str:
    """A setting's text: a folder, or the URL of a bucket. Raises `ValueError`."""
    if text.startswith(SCHEME):
        read_bucket_url(text)
    elif "://" in text:
        raise ValueError(f"{text!r} is neither a folder nor s3://BUCKET/PREFIX")
    return text
