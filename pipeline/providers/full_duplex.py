"""Both directions of one socket at once, inside one async generator: telling runs beside receiving.

A task group may not span a `yield`: what fails in it would cancel whoever listens, in the middle of his own work.
Here the telling is one task that is watched, and is over before the generator is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

Message = TypeVar("Message")


async def received_while(
    telling: Coroutine[Any, Any, bool], receive: Callable[[], Coroutine[Any, Any, Message]]
) -> AsyncGenerator[Message, None]:
    """Messages as they come, while `telling` runs; an error of either is raised at once.

    `telling` returns whether an answer is still owed to what was told. If none is, this ends; otherwise it goes on
    until the listener closes it.
    """
    told = asyncio.ensure_future(telling)
    try:
        while True:
            receiving = asyncio.ensure_future(receive())
            try:
                if not told.done():
                    await asyncio.wait((told, receiving), return_when=asyncio.FIRST_COMPLETED)
                if told.done() and not told.result():
                    return
                message = await receiving
            finally:
                await _ended(receiving)
            yield message
    finally:
        await _ended(told)


async def _ended(task: asyncio.Future[Any]) -> None:
    """Cancel it and wait for its end, whatever that is: who wants its result has asked for it."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
