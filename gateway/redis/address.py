"""Where Redis is and who we are there, out of one URL. Pure.

    redis://[user:password@]host[:port][/database]       plain
    rediss://…                                           the same under TLS
    unix://[user:password@]/path/to.sock[?db=number]     a socket of this machine

The schemes are those IANA lists (https://www.iana.org/assignments/uri-schemes/prov/redis) and redis-py's `unix`.
Options in the query are refused: the limits of a connection are ours to set, not the URL's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_PORT: Final = 6379
MOST_DATABASES: Final = 1 << 20
"""Redis has 16 unless it is told otherwise; this only keeps nonsense out."""


@dataclass(frozen=True, slots=True)
class Address:
    """One Redis. Either `host` and `port`, or `path`, which then is not empty."""

    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    is_tls: bool = False

    @property
    def where(self) -> str:
        """For people and logs: no credentials in it."""
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(url: str) -> Address:
    """Raises `ValueError`, in words that repeat nothing of the URL: a password may stand anywhere."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise ValueError(
            "has a host or port that cannot be read; in a password write / ? # @ : % as %2F %3F %23 %40 %3A %25"
        ) from None
    if split.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("does not begin with redis://, rediss:// or unix://")
    if split.fragment or (split.query and not re.fullmatch(r"db=[0-9]{1,7}", split.query)):
        raise ValueError("has a ? or # in it; leave options out, and in a password write them as %3F and %23")
    username, password = unquote(split.username or ""), unquote(split.password or "")
    if username and not password:
        raise ValueError("has a user and no password; write user:password@, or :password@ for the default user")
    if split.scheme == "unix":
        return _socket(split, username, password)
    if not split.hostname:
        raise ValueError("names no host; write redis://host:6379")
    if split.query:
        raise ValueError("has its database in the query; write it behind the port: redis://host:6379/0")
    if not re.fullmatch(r"(/[0-9]{0,7})?", split.path):
        raise ValueError(
            "has a path that is no database's number; write redis://host:6379/0, and / in a password as %2F"
        )
    return Address(
        host=split.hostname,
        port=DEFAULT_PORT if port is None else port,
        username=username,
        password=password,
        database=_database(split.path.removeprefix("/")),
        is_tls=split.scheme == "rediss",
    )


def _socket(split: SplitResult, username: str, password: str) -> Address:
    if split.hostname or len(split.path) < 2:
        raise ValueError("names no absolute path; write unix:///run/redis/redis.sock, with three slashes")
    database = _database(split.query.removeprefix("db="))
    return Address(path=unquote(split.path), username=username, password=password, database=database)


def _database(digits: str) -> int:
    number = int(digits or 0)
    if number >= MOST_DATABASES:
        raise ValueError(f"names database {number}, and Redis has 16")
    return number
