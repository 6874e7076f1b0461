"""Telling and receiving at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.providers.full_duplex import received_while
from tests.pipeline.providers.streams import TIMEOUT_S, all_of

pytestmark = pytest.mark.anyio


def receiving(*messages: int | Exception) -> Callable[[], Coroutine[Any, Any, int]]:
    """Gives them in turn, then nothing for ever."""
    left = list(messages)

    async def receive() -> int:
        if not left:
            await asyncio.Event().wait()
        match left.pop(0):
            case Exception() as error:
                raise error
            case message:
                return message

    return receive


async def telling(answers_owed: bool) -> bool:
    await asyncio.sleep(0)
    return answers_owed


async def failing() -> bool:
    await asyncio.sleep(0)
    raise LookupError("no clause")


async def test_messages_come_while_and_after_something_is_told() -> None:
    async with asyncio.timeout(TIMEOUT_S), aclosing(received_while(telling(True), receiving(1, 2, 3))) as messages:
        assert [await anext(messages) for _ in range(3)] == [1, 2, 3]


async def test_it_ends_once_nothing_is_owed() -> None:
    assert await all_of(received_while(telling(False), receiving())) == []


async def test_what_fails_in_telling_is_raised_where_one_listens() -> None:
    with pytest.raises(LookupError, match="no clause"):
        await all_of(received_while(failing(), receiving()))


async def test_what_fails_in_receiving_ends_the_telling() -> None:
    ended: list[str] = []

    async def tell_for_ever() -> bool:
        try:
            return bool(await asyncio.Event().wait())
        finally:
            ended.append("telling")

    with pytest.raises(ConnectionError):
        await all_of(received_while(tell_for_ever(), receiving(1, ConnectionError())))
    assert ended == ["telling"]


async def test_who_stops_listening_stops_the_telling_too() -> None:
    ended: list[str] = []

    async def tell_for_ever() -> bool:
        try:
            return bool(await asyncio.Event().wait())
        finally:
            ended.append("telling")

    async with asyncio.timeout(TIMEOUT_S):
        async with aclosing(received_while(tell_for_ever(), receiving(1, 2))) as messages:
            assert await anext(messages) == 1
        assert ended == ["telling"]
