from __future__ import annotations

import pytest
from redis import exceptions

from gateway.redis.errors import LONGEST_WORDS, RedisRefused, RedisUnavailable, explained, is_down, laid_bare


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("gone"),
        exceptions.TimeoutError("late"),
        exceptions.BusyLoadingError("loading"),
        exceptions.AuthenticationError("WRONGPASS"),
        exceptions.ReadOnlyError("a replica"),
        exceptions.ClusterDownError("CLUSTERDOWN"),
        exceptions.SlotNotCoveredError("slot 3"),
        exceptions.ResponseError("BUSY Redis is busy running a script."),
        exceptions.ResponseError("MISCONF Redis cannot persist"),
        OSError("no route"),
    ],
)
def test_what_no_other_command_would_fare_better_with_is_down(error: Exception) -> None:
    assert is_down(error)
    told = explained(error, "claim", "r:1")
    assert type(told) is RedisUnavailable
    assert str(told).startswith("claim: ") and "r:1" in str(told)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation"),
        exceptions.NoPermissionError("this user has no permissions"),
        exceptions.OutOfMemoryError("command not allowed"),
        exceptions.RedisClusterException("No targets were found to execute ('GET', 'sesame') command on"),
    ],
)
def test_what_concerns_one_command_is_refused(error: Exception) -> None:
    assert not is_down(error)
    told = explained(error, "claim", "r:1")
    assert type(told) is RedisRefused
    assert "sesame" not in str(told)


def test_arguments_that_redis_repeats_are_left_out_and_long_words_are_cut() -> None:
    unknown = exceptions.ResponseError("unknown command 'FOO', with args beginning with: 'sesame' ")
    assert str(explained(unknown, "foo", "r:1")) == "foo: Redis at r:1 refused it (unknown command 'FOO')"
    long = str(explained(exceptions.ResponseError("x" * 1000), "foo", "r:1"))
    assert "…" in long and len(long) < LONGEST_WORDS + 50
    assert "(ResponseError)" in str(explained(exceptions.ResponseError(), "foo", "r:1"))


def test_a_wrong_password_names_the_setting() -> None:
    told = str(explained(exceptions.AuthenticationError("invalid username-password pair"), "get", "r:1"))
    assert "REDIS_URL" in told


def test_what_kept_a_cluster_from_being_found_is_laid_bare() -> None:
    cause = exceptions.AuthenticationError("WRONGPASS")
    outer = exceptions.RedisClusterException("Redis Cluster cannot be connected")
    assert laid_bare(outer) is outer
    outer.__cause__ = cause
    assert laid_bare(outer) is cause
    outer.__cause__ = exceptions.RedisClusterException("Cluster mode is not enabled on this node")
    bare = laid_bare(outer)
    assert is_down(bare) and "Cluster mode is not enabled" in str(bare)
