from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from mcp import Client

from pipeline.mcp.connection import Connection
from pipeline.mcp.line import MOST_WAITING, ServerLine
from pipeline.mcp.tool import McpFailure

pytestmark = pytest.mark.anyio


class Wire:
    """Makes connections that are only counted."""

    def __init__(self, *, has_one_stream: bool = False) -> None:
        self.opened = self.closed = 0
        self._has_one_stream = has_one_stream

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[Connection]:
        self.opened += 1
        try:
            yield Connection(cast(Client, self), has_one_stream=self._has_one_stream)
        finally:
            self.closed += 1


def say(answer: str) -> Callable[[Client], Awaitable[str]]:
    async def ask(client: Client) -> str:
        return answer

    return ask


async def hang(client: Client) -> str:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def break_down(client: Client) -> str:
    raise OSError("the wire broke")


async def failure_of(asked: Awaitable[Any]) -> McpFailure:
    with pytest.raises(McpFailure) as failed:
        await asked
    return failed.value


async def test_one_connection_serves_all_and_ends_with_the_line() -> None:
    wire = Wire()
    line = ServerLine(wire)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.run())
        assert [await line.ask(say(word), 5) for word in "abc"] == ["a", "b", "c"]
        assert (wire.opened, wire.closed) == (1, 0)
        line.hang_up()
    assert (wire.opened, wire.closed) == (1, 1)


async def test_nothing_is_connected_for_nobody() -> None:
    wire = Wire()
    line = ServerLine(wire)
    line.hang_up()
    await line.run()
    assert wire.opened == 0


async def test_a_broken_connection_is_replaced_for_the_next_wish() -> None:
    wire = Wire()
    line = ServerLine(wire)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.run())
        assert (await failure_of(line.ask(break_down, 5))).kind == "protocol_error"
        assert await line.ask(say("again"), 5) == "again"
        line.hang_up()
    assert (wire.opened, wire.closed) == (2, 2)


@pytest.mark.parametrize(("has_one_stream", "opened"), [(True, 2), (False, 1)])
async def test_a_late_answer_breaks_only_a_connection_whose_answers_stand_in_line(
    has_one_stream: bool, opened: int
) -> None:
    wire = Wire(has_one_stream=has_one_stream)
    line = ServerLine(wire)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.run())
        assert (await failure_of(line.ask(hang, 0.01))).code == 504
        assert await line.ask(say("next"), 5) == "next"
        line.hang_up()
    assert wire.opened == opened


async def test_a_wish_whose_asker_has_left_is_passed_over() -> None:
    wire = Wire()
    line = ServerLine(wire)
    left = [asyncio.create_task(line.ask(hang, 5)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.run())
        assert await line.ask(say("here"), 5) == "here"
        line.hang_up()
    assert wire.opened == 1


async def test_a_line_that_cannot_connect_is_late_and_tries_again() -> None:
    tries = []

    @contextlib.asynccontextmanager
    async def never() -> AsyncIterator[Connection]:
        tries.append(1)
        await asyncio.Event().wait()
        yield Connection(cast(Client, None), has_one_stream=False)

    line = ServerLine(never)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.run())
        for _ in range(2):
            assert (await failure_of(line.ask(say("x"), 0.01))).code == 504
        line.hang_up()
    assert len(tries) == 2


async def test_too_many_wishes_are_refused_and_a_full_line_can_still_hang_up() -> None:
    line = ServerLine(Wire())
    waiting = [asyncio.create_task(failure_of(line.ask(hang, 5))) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert "waiting" in (await failure_of(line.ask(say("x"), 5))).message
    line.hang_up()
    running = asyncio.create_task(line.run())
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert {(await task).code for task in waiting} == {502}


async def test_a_line_that_nobody_serves_is_late() -> None:
    assert (await failure_of(ServerLine(Wire()).ask(say("x"), 0.01))).code == 504


async def test_a_line_that_is_cut_fails_those_who_still_wait() -> None:
    begun = asyncio.Event()

    @contextlib.asynccontextmanager
    async def never() -> AsyncIterator[Connection]:
        begun.set()
        await asyncio.Event().wait()
        yield Connection(cast(Client, None), has_one_stream=False)

    line = ServerLine(never)
    waiting = [asyncio.create_task(failure_of(line.ask(say("x"), 5))) for _ in range(2)]
    running = asyncio.create_task(line.run())
    await asyncio.wait_for(begun.wait(), 5)
    line.hang_up()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert [(await task).code for task in waiting] == [502, 502]
