"""The link's life on the virtual clock; far sessions are plain objects that live and die as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from pipeline.provider import ProviderError
from pipeline.upstream.far_session import FarSession, FarState
from pipeline.upstream.life import HARD_MARGIN_S, PAUSES_S, ROLL_MARGIN_S, Life
from tests.pipeline.upstream.test_shape import upstream
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio
REFUSED = ProviderError("remote", "is full", retryable=True)
FORBIDDEN = ProviderError("remote", "knows you not", retryable=False)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Far:
    """As much of a far session as its life is about."""

    def __init__(self, lives_s: float) -> None:
        self.upstream = upstream()
        self.state = FarState.READY
        self.failure: ProviderError | None = None
        self.ends_at_s = now_s() + lives_s
        self.lost = asyncio.Event()

    def give_up(self, why: str) -> None:
        self.state, self.failure = FarState.LOST, ProviderError("remote", why, retryable=True)
        self.lost.set()


class Remote:
    def __init__(self, *script: float | ProviderError) -> None:
        self.script = list(script)
        self.opened: list[Far] = []
        self.opened_at: list[float] = []
        self.used: list[Far] = []
        self.is_quiet: Callable[[bool], bool] = lambda is_late: True
        self.life = Life(self._open, self._take_over, lambda is_late: self.is_quiet(is_late))

    async def _open(self, tasks: asyncio.TaskGroup) -> FarSession:
        self.opened_at.append(now_s())
        step = self.script.pop(0) if self.script else 3_000.0
        if isinstance(step, ProviderError):
            raise step
        self.opened.append(Far(step))
        return cast("FarSession", self.opened[-1])

    def _take_over(self, far: FarSession) -> None:
        self.used.append(cast("Far", far))

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.life.run())
            await settle()
            yield
            task.cancel()


async def test_it_connects_before_anybody_asks() -> None:
    remote = Remote()
    async with remote.living():
        assert await remote.life.ready(1) is cast("FarSession", remote.opened[0])


async def test_what_is_lost_is_replaced_at_once_and_told_so() -> None:
    remote = Remote()
    async with remote.living():
        await asyncio.sleep(10)
        remote.opened[0].give_up("died")
        assert await remote.life.ready(1) is cast("FarSession", remote.opened[1])
        assert remote.used == remote.opened
        assert remote.opened_at[1] == pytest.approx(10, abs=0.01)


async def test_after_so_many_attempts_only_who_needs_it_makes_it_try_again() -> None:
    remote = Remote(*[REFUSED] * len(PAUSES_S))
    async with remote.living():
        await asyncio.sleep(60)
        assert len(remote.opened_at) == len(PAUSES_S)
        assert await remote.life.ready(1) is cast("FarSession", remote.opened[0])


async def test_what_is_forbidden_is_not_tried_again_by_itself() -> None:
    remote = Remote(FORBIDDEN, FORBIDDEN)
    async with remote.living():
        await asyncio.sleep(60)
        with pytest.raises(ProviderError, match="knows you not"):
            await remote.life.ready(1)
        assert len(remote.opened_at) == 2


async def test_a_remote_that_dies_as_soon_as_it_is_there_is_not_stormed() -> None:
    remote = Remote()
    async with remote.living():
        for number in range(4):
            while len(remote.opened) == number:  # noqa: ASYNC110 - on the virtual clock
                await asyncio.sleep(0.05)
            remote.opened[number].give_up("died")
        await asyncio.sleep(5)
        gaps = [b - a for a, b in zip(remote.opened_at, remote.opened_at[1:], strict=False)]
        assert gaps == sorted(gaps) and gaps[-1] >= PAUSES_S[-1]


async def test_nobody_waits_longer_than_they_will() -> None:
    remote = Remote(REFUSED, REFUSED, REFUSED)
    async with remote.living():
        with pytest.raises(ProviderError, match="no session within 0.1 seconds"):
            await remote.life.ready(0.1)


async def test_another_takes_over_at_a_quiet_moment_before_the_end() -> None:
    remote = Remote(900.0)
    remote.is_quiet = lambda is_late: now_s() > 850
    async with remote.living():
        await asyncio.sleep(845)
        assert len(remote.opened) == 2 and len(remote.used) == 1
        assert remote.opened_at[1] == pytest.approx(900 - ROLL_MARGIN_S, abs=0.1)
        await asyncio.sleep(10)
        assert remote.used == remote.opened
        assert remote.opened[0].state is FarState.LOST
        assert await remote.life.ready(1) is cast("FarSession", remote.opened[1])


async def test_if_it_is_never_quiet_any_moment_between_answers_will_do() -> None:
    remote = Remote(900.0)
    remote.is_quiet = lambda is_late: is_late
    async with remote.living():
        await asyncio.sleep(900 - HARD_MARGIN_S - 1)
        assert len(remote.used) == 1
        await asyncio.sleep(2)
        assert len(remote.used) == 2


async def test_the_one_that_is_to_take_over_is_tried_for_until_it_is_there() -> None:
    remote = Remote(900.0, REFUSED, REFUSED)
    async with remote.living():
        await asyncio.sleep(850)
        assert remote.used == remote.opened and len(remote.used) == 2


async def test_if_the_old_one_dies_the_fresh_one_takes_over_at_once() -> None:
    remote = Remote(900.0)
    remote.is_quiet = lambda is_late: False
    async with remote.living():
        await asyncio.sleep(850)
        remote.opened[1].give_up("died too")
        await asyncio.sleep(1)
        remote.opened[0].give_up("died")
        await asyncio.sleep(1)
        assert remote.used == [remote.opened[0], remote.opened[2]]


async def test_one_that_dies_while_no_other_can_be_had_is_simply_lost() -> None:
    remote = Remote(900.0, *[REFUSED] * 3)
    async with remote.living():
        await asyncio.sleep(841)
        remote.opened[0].give_up("died")
        await asyncio.sleep(1)
        assert remote.used == remote.opened and len(remote.used) == 2
