"""The life of a session's link to a remote Realtime service: connected before it is needed, connected again when it
is lost, and handed over to a fresh session before the remote ends the old one.

Services end a session after 15, 30 or 60 minutes, in the middle of a word. So a second one is opened in good time
beside it, and takes over at a moment when nothing is going on; nobody hears it. Which moment that is, and what the
fresh one must be told, others say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from pipeline.provider import ProviderError
from pipeline.upstream.far_session import FarSession, FarState

log = logging.getLogger(__name__)

PAUSES_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Before each attempt at a connection in a row; then it is tried again only when somebody needs it."""

SETTLED_S: Final = 2.0
"""A session that lived so long was a good one; its successor is not held back."""

ROLL_MARGIN_S: Final = 60.0
"""Before the end of a session, a quiet moment is looked for. No sentence is longer."""

HARD_MARGIN_S: Final = 15.0
"""So short before the end, any moment between two answers will do."""

LOOK_S: Final = 0.1
"""Between two looks for a quiet moment: a minute's worth of them costs nothing."""

AGAIN_S: Final = 2.0
"""Between two attempts at the session that is to take over."""


class Life:
    """`open` makes a far session that is ready, and its `run` a task of the group; `take_over` is told of each that
    is to be used from then on; `is_quiet` says whether nothing is going on (with True: whether no answer is)."""

    def __init__(
        self,
        open: Callable[[asyncio.TaskGroup], Awaitable[FarSession]],
        take_over: Callable[[FarSession], None],
        is_quiet: Callable[[bool], bool],
    ) -> None:
        self._open = open
        self._take_over = take_over
        self._is_quiet = is_quiet
        self._far: FarSession | None = None
        self._failure: ProviderError | None = None
        """The last attempt's, while no other is being made."""
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        attempts, now = 0, asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(PAUSES_S[attempts])
                began_s = now()
                try:
                    failure = await self._live(await self._open(tasks), tasks)
                except ProviderError as error:
                    failure = error
                log.warning("%s", failure)
                attempts = 0 if now() - began_s > SETTLED_S else attempts + 1
                if attempts == len(PAUSES_S) or not failure.retryable:
                    await self._rest(failure)
                    attempts = 0

    async def ready(self, limit_s: float) -> FarSession:
        """A far session to be used now. Raises `ProviderError`."""
        self._failure = None  # it is tried again for whoever asks
        self._wanted.set()
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    far = self._far
                    if far is not None and far.state is FarState.READY:
                        return far
                    if self._failure is not None:
                        raise self._failure
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise ProviderError("remote", f"no session within {limit_s:g} seconds", retryable=True) from None

    def _use(self, far: FarSession) -> None:
        self._far, self._failure = far, None
        self._take_over(far)
        self._news.set()

    async def _rest(self, failure: ProviderError) -> None:
        """It was tried often enough: who needs it now is told why; who comes later makes it try again."""
        self._failure = failure
        self._wanted.clear()
        self._news.set()
        await self._wanted.wait()
        self._failure = None

    async def _live(self, far: FarSession, tasks: asyncio.TaskGroup) -> ProviderError:
        """From one far session to the next, until one is lost: why."""
        while far.state is FarState.READY:
            self._use(far)
            far = await self._next(far, tasks)
        self._far = None
        return far.failure or ProviderError(far.upstream.label, "was closed", retryable=True)

    async def _next(self, far: FarSession, tasks: asyncio.TaskGroup) -> FarSession:
        """The one that is to be used after this one; this one itself, once it is lost."""
        assert far.ends_at_s is not None, "it is open"
        now = asyncio.get_running_loop().time
        margin_s = min(ROLL_MARGIN_S, (far.ends_at_s - now()) / 2)
        hard_at_s = far.ends_at_s - min(HARD_MARGIN_S, margin_s / 2)
        if await _lost(far, far.ends_at_s - now() - margin_s):
            return far
        while True:
            try:
                fresh = await self._open(tasks)
            except ProviderError as error:
                log.warning("the session that is to take over: %s", error)
                if await _lost(far, AGAIN_S):
                    return far
                continue
            while fresh.state is FarState.READY:
                if far.state is FarState.LOST or self._is_quiet(now() >= hard_at_s):
                    log.info("%s: another session takes over", far.upstream.label)
                    far.give_up("has been followed by another session")
                    return fresh
                await _lost(far, LOOK_S)


async def _lost(far: FarSession, limit_s: float) -> bool:
    """Whether it is lost within this time."""
    try:
        async with asyncio.timeout(max(0.0, limit_s)):
            await far.lost.wait()
    except TimeoutError:
        return False
    return True
