"""Streams for provider tests: what a provider is fed, and all that comes out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 60
"""A failing test ends; a passing one never comes near."""


async def stream_of(things: Iterable[T]) -> AsyncIterator[T]:
    for thing in things:
        yield thing


async def all_of(made: AsyncGenerator[T, None]) -> list[T]:
    async with asyncio.timeout(TIMEOUT_S), aclosing(made):
        return [thing async for thing in made]
