"""An asyncio event loop whose clock jumps: when all tasks wait, it is at once the moment the first of them awaits.

An hour passes in milliseconds, and always in the same order. A wait that nothing can end is an error instead of a
test that hangs. For tests without sockets and threads; a test module asks for it by this fixture:

    @pytest.fixture
    def anyio_backend() -> VirtualTime:
        return VIRTUAL_TIME
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

VirtualTime: TypeAlias = tuple[str, dict[str, Any]]

LONGEST_S: Final = 3_600.0
"""No test lasts longer; what still goes on then goes on for ever."""


class WaitsForever(Exception):
    """All tasks wait, and nothing is left that could wake one."""


class _Clock:
    """The time, and a selector that passes it instead of waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._files = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._files.select(0)
        if ready:
            return ready
        if timeout is None:
            raise WaitsForever("every task waits, and no timer is set")
        if timeout > 0 and self.now_s + timeout > LONGEST_S:
            raise WaitsForever(f"the test would go on for more than {LONGEST_S:g} seconds of its own time")
        self.now_s += max(0.0, timeout)
        return []

    def time(self) -> float:
        return self.now_s

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._files.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._files.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files.get_map()

    def close(self) -> None:
        self._files.close()


def virtual_loop() -> asyncio.AbstractEventLoop:
    """A new loop, at the moment 0."""
    clock = _Clock()
    loop = asyncio.SelectorEventLoop(cast("selectors.BaseSelector", clock))
    # The loop asks itself for the time, and has no other seam for it.
    setattr(loop, "time", clock.time)  # noqa: B010
    return loop


VIRTUAL_TIME: Final[VirtualTime] = ("asyncio", {"loop_factory": virtual_loop})


def now_s() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


async def settle() -> None:
    """Until all that can happen at this moment has happened. Costs a microsecond of the loop's time."""
    await asyncio.sleep(1e-6)
