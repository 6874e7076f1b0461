"""What can go wrong with Redis, in our words, and what each error of redis-py means.

    GatewayError
    └── RedisUnavailable    no answer in time, no connection, or a Redis that can do nothing for anybody now
        └── RedisRefused    it answered, and this one command will not do

Who lives on without Redis catches the first. Messages hold where Redis is, never a credential and never what was
asked: Redis repeats arguments in some of its errors.
"""

from __future__ import annotations

from typing import Final

from redis import exceptions

from gateway.errors import GatewayError

LONGEST_WORDS: Final = 200
"""Characters of Redis's own words that a message repeats."""


class RedisUnavailable(GatewayError):
    """Redis did not answer in time, or refused; the message says what and where, and no secrets."""


class RedisRefused(RedisUnavailable):
    """Redis answered with an error: a fault of the command or script, or a right its user lacks."""


FAILURES: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""All that redis-py raises when it is asked for something."""

IS_DOWN: Final = (
    exceptions.ConnectionError,  # also: wrong credentials, still loading its data, too many connections
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,  # also: a replica without its primary
    exceptions.SlotNotCoveredError,
    OSError,
)
"""The next command will fare no better."""

BUSY_WORDS: Final = ("BUSY ", "MISCONF ")
"""Errors redis-py has no class for: a script that does not end; a disk that cannot be written."""

IS_DEMOTED: Final = (exceptions.ReadOnlyError, exceptions.MasterDownError)
"""Its connections lead to a replica now: new ones may lead to the primary."""


def laid_bare(error: Exception) -> Exception:
    """What a node said, where redis-py says only that no node of the cluster would do."""
    if isinstance(error, exceptions.RedisClusterException) and isinstance(error.__cause__, Exception):
        # A server that is no cluster will be none the next time.
        cause = error.__cause__
        return cause if isinstance(cause, IS_DOWN) else exceptions.ConnectionError(str(cause))
    return error


def is_down(error: Exception) -> bool:
    """Whether Redis can do nothing for anybody now."""
    return isinstance(error, IS_DOWN) or str(error).startswith(BUSY_WORDS)


def explained(error: Exception, op: str, where: str) -> RedisUnavailable:
    """The same fault in our words."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return RedisUnavailable(
            f"{op}: Redis at {where} refused the user or the password ({_words_of(error)}): check REDIS_URL"
        )
    if isinstance(error, exceptions.NoPermissionError):
        return RedisRefused(
            f"{op}: Redis at {where} does not permit it ({_words_of(error)}): give the ACL user of REDIS_URL the "
            "right, or another user"
        )
    if isinstance(error, exceptions.RedisClusterException):
        if is_down(error):
            return RedisUnavailable(f"{op}: the Redis Cluster at {where} has no node for this slot")
        # Its words repeat the whole command.
        return RedisRefused(
            f"{op}: the Redis Cluster at {where} has no one node for it; it needs keys, and all of one hash tag"
        )
    if is_down(error):
        return RedisUnavailable(f"{op}: Redis at {where} is not available ({_words_of(error)})")
    return RedisRefused(f"{op}: Redis at {where} refused it ({_words_of(error)})")


def _words_of(error: Exception) -> str:
    """Redis's words without what it repeats of the command."""
    words = str(error).partition(", with args beginning")[0].partition("\n")[0] or type(error).__name__
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"
