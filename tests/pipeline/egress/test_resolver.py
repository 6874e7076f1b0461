from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from pipeline.egress.refusal import EgressRefused, Reason
from pipeline.egress.resolver import MOST_WAITING, SystemResolver

pytestmark = pytest.mark.anyio


async def test_the_system_knows_its_own_name() -> None:
    resolve = SystemResolver()
    assert set(await resolve("localhost", 80)) & {"127.0.0.1", "::1"}
    resolve.close()


async def test_a_name_server_that_hangs_stops_neither_the_loop_nor_more_than_its_share() -> None:
    answered = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        assert answered.wait(10)
        return ["192.0.2.1"]

    resolve = SystemResolver(look_up=hang)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_resolved(resolve)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)  # all have asked
        with pytest.raises(EgressRefused, match="wait") as refused:
            await resolve("one.more.example", 443)
        assert refused.value.reason is Reason.LOOKUP
        answered.set()
    assert [task.result() for task in waiting] == [["192.0.2.1"]] * MOST_WAITING
    async with asyncio.timeout(5):
        while True:  # its place is free again once the loop has been told
            try:
                assert await resolve("one.more.example", 443) == ["192.0.2.1"]
                break
            except EgressRefused:
                await asyncio.sleep(0)
    resolve.close()


async def _resolved(resolve: SystemResolver) -> Sequence[str]:
    return await resolve("a.example", 443)


async def test_a_failure_of_the_look_up_is_told() -> None:
    def fail(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    resolve = SystemResolver(look_up=fail)
    with pytest.raises(OSError, match="no such name"):
        await resolve("a.example", 443)
    resolve.close()


def test_an_answer_after_the_loop_has_gone_is_dropped() -> None:
    begun, answered = threading.Event(), threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        begun.set()
        assert answered.wait(10)
        return []

    resolve = SystemResolver(look_up=hang)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolve("a.example", 443)
        assert begun.wait(10)

    asyncio.run(give_up())
    answered.set()
    resolve._threads.shutdown(wait=True)
