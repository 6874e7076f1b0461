"""A provider at its stand-in, made by the registry as the gateway does, and watched for what it leaves behind."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.provider import Closes, ProviderError
from pipeline.providers.registry import Access
from simulator.standins.fault import Fault, Faults

KEY: Final = "c3dpdGNoYm9hcmQtc3VpdGU6c2VjcmV0"
"""In base64, as Inworld issues its keys."""

PATIENCE_S: Final = 0.2
"""After so long without an end, who listens gives up, as the engine's watchdogs do."""

LIMIT_S: Final = 10.0
"""For whatever is to happen at all: a failing test ends, a passing one never comes near."""

Ending: TypeAlias = Literal["whole", "empty", "failed", "refused", "given up"]
"""`failed` is a `ProviderError` that may pass, `refused` one that will not; `given up`: it would wait for ever."""

Provider = TypeVar("Provider")


class Journal(list[Fault]):
    """What a stand-in's requests had; whoever waits for the next of them can."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    def append(self, fault: Fault) -> None:
        super().append(fault)
        told = asyncio.ensure_future(self._tell())  # kept by `_telling`, and over at once
        self._telling.add(told)
        told.add_done_callback(self._telling.discard)

    async def reaches(self, count: int) -> None:
        """Until so many requests have begun."""
        async with asyncio.timeout(LIMIT_S), self._grown:
            await self._grown.wait_for(lambda: len(self) >= count)

    async def _tell(self) -> None:
        async with self._grown:
            self._grown.notify_all()


class Floor:
    """Where all stand-ins stand, each behind a door with a number: `/7/v1/listen`."""

    def __init__(self) -> None:
        self.host = ""
        self._doors: dict[str, ASGIApp] = {}

    def place(self, door: Door) -> str:
        """The address of a new stand-in."""
        number = str(len(self._doors))
        self._doors[number] = door
        return f"http://{self.host}/{number}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, number, path = scope["path"].split("/", 2)
        scope["path"], scope["raw_path"] = f"/{path}", f"/{path}".encode()
        await self._doors[number](scope, receive, send)


class Door:
    """Stands in front of a stand-in, and knows who is inside: requests that go on, WebSockets that are open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._inside = 0
        self._left = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
            async with self._left:
                self._left.notify_all()

    async def at_most(self, count: int) -> None:
        """Until no more than `count` are inside."""
        async with asyncio.timeout(LIMIT_S), self._left:
            await self._left.wait_for(lambda: self._inside <= count)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stand-in stands, and what is known of it."""

    address: str
    faults: Faults
    journal: Journal
    door: Door

    def access(self, provider: str, path: str = "") -> Access:
        """The key and the place of a provider, as the gateway's settings tell them to the registry."""
        return Access(keys={provider: KEY}, base_urls={provider: self.address + path})


@asynccontextmanager
async def at_standin(
    floor: Floor, standin: ASGIApp, faults: Faults, make: Callable[[Place], Provider]
) -> AsyncGenerator[tuple[Provider, Place], None]:
    """What `make` makes. Closed in the end, it must leave no connection and no task."""
    journal = Journal()
    faults.taken = journal
    door = Door(standin)
    before = asyncio.all_tasks()
    place = Place(floor.place(door), faults, journal, door)
    provider = make(place)
    try:
        yield provider, place
    finally:
        if isinstance(provider, Closes):
            await provider.aclose()
    await door.at_most(0)
    await all_over(asyncio.all_tasks() - before)


async def all_over(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Fails if one of the tasks does not end."""
    if tasks:
        _, going_on = await asyncio.wait(tasks, timeout=LIMIT_S)
        assert not going_on, f"left behind: {going_on}"


@asynccontextmanager
async def taken_note_of(*, is_patient: bool = True) -> AsyncGenerator[list[Ending], None]:
    """How what is done in it ends, if it does not by itself: the list is then not empty."""
    endings: list[Ending] = []
    try:
        async with asyncio.timeout(LIMIT_S if is_patient else PATIENCE_S):
            yield endings
    except ProviderError as error:
        assert KEY not in "".join(traceback.format_exception(error))
        endings.append("failed" if error.retryable else "refused")
    except TimeoutError:
        assert not is_patient, "nothing came, and no error either"
        endings.append("given up")


NEVER_ENDING: Final = frozenset({Fault.HANG, Fault.STALL, Fault.SLOW_DRIP})

USUAL_ENDINGS: Final[dict[Fault, Ending]] = {
    Fault.REFUSE: "refused",
    Fault.TOO_MANY: "failed",
    Fault.BROKEN: "failed",
    Fault.HANG: "given up",
    Fault.STALL: "given up",
    Fault.SLOW_DRIP: "given up",
    Fault.CLOSE_1006: "failed",
    Fault.CLOSE_1011: "failed",
    Fault.GARBAGE: "failed",
    Fault.ODD_PCM: "whole",
    Fault.BIG_CHUNK: "failed",
}
"""What comes of each fault, whatever the provider. `ZERO_AUDIO` is each kind's own."""


def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def keep_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that was logged, by us or by a library, at whatever level, holds the key."""
    assert KEY not in caplog.text
