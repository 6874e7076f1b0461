"""Connections kept warm, on a clock that jumps: what is opened, lent, kept, aged and closed, and when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from pipeline.provider import ProviderError
from pipeline.providers.warm import CONNECT_LIMIT_S, WarmConnections
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

IDLE_S = 60.0
KEEP_ALIVE_S = 5.0


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass(eq=False)
class Line:
    """One connection."""

    number: int
    is_open: bool = True
    kept_alive_at_s: list[float] = field(default_factory=list)


@dataclass
class Service:
    """What is connected to."""

    lines: list[Line] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    handshake_s: float = 0.0
    goodbye_s: float = 0.0
    refuses: bool = False
    breaks_at_goodbye: bool = False
    broken_pings: list[BaseException] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Line, None]:
        await asyncio.sleep(self.handshake_s)
        if self.refuses:
            raise ProviderError("test", "refused", retryable=True)
        line = Line(len(self.lines) + 1)
        self.lines.append(line)
        try:
            yield line
        finally:
            line.is_open = False
            self.closed.append(line.number)
            await asyncio.sleep(self.goodbye_s)
            if self.breaks_at_goodbye:
                raise ConnectionResetError

    async def ping(self, line: Line) -> None:
        line.kept_alive_at_s.append(now_s())
        if self.broken_pings:
            raise self.broken_pings.pop()

    @property
    def open(self) -> list[int]:
        return [line.number for line in self.lines if line.is_open]


def warm(
    service: Service, *, keep_alive: Callable[[Line], Awaitable[None]] | None = None, spares: int = 1
) -> WarmConnections[Line]:
    return WarmConnections(
        "test",
        service.connect,
        is_open=lambda line: line.is_open,
        idle_s=IDLE_S,
        keep_alive=keep_alive,
        keep_alive_s=KEEP_ALIVE_S,
        spares=spares,
    )


async def used(connections: WarmConnections[Line], *, again: bool = True) -> int:
    """The number of the line that was lent for a moment, and came back fit to be used `again`."""
    async with connections.lease() as lease:
        lease.is_reusable = again
        return lease.connection.number


async def test_one_is_open_before_it_is_needed_and_another_behind_it() -> None:
    service = Service(handshake_s=0.5)
    connections = warm(service)
    await connections.prepare()
    assert (connections.waiting, service.open) == (1, [1])
    before_s = now_s()
    async with connections.lease() as lease:
        assert lease.connection.number == 1
        assert now_s() == before_s, "a lease waits for no handshake"
        assert connections.waiting == 0
        await asyncio.sleep(0.6)
        assert (connections.waiting, service.open) == (1, [1, 2])
    await connections.aclose()


async def test_without_a_spare_one_the_lease_waits_for_its_handshake() -> None:
    service = Service(handshake_s=0.5)
    connections = warm(service)
    async with connections.lease() as lease:
        assert (lease.connection.number, now_s()) == (1, 0.5)
    await connections.aclose()
    assert service.open == []


async def test_what_is_lent_is_nobody_elses() -> None:
    service = Service()
    connections = warm(service)
    async with connections.lease() as first, connections.lease() as second, connections.lease() as third:
        assert len({first.connection.number, second.connection.number, third.connection.number}) == 3
    await connections.aclose()


async def test_the_one_used_last_is_used_again() -> None:
    """It is surely alive; the other one may age."""
    service = Service()
    connections = warm(service)
    assert [await used(connections) for _ in range(4)] == [1, 1, 1, 1]
    await settle()
    assert len(service.lines) <= 2
    await connections.aclose()


async def test_what_is_not_fit_to_be_used_again_is_closed() -> None:
    service = Service()
    connections = warm(service)
    assert await used(connections, again=False) == 1
    await settle()
    assert service.closed == [1]
    assert service.open == [2]
    await connections.aclose()


async def test_an_error_while_it_is_lent_closes_it() -> None:
    service = Service()
    connections = warm(service)
    with pytest.raises(ValueError, match="mine"):
        async with connections.lease():
            raise ValueError("mine")
    await settle()
    assert service.closed == [1]
    await connections.aclose()


async def test_what_is_cut_while_it_is_lent_is_not_kept() -> None:
    service = Service()
    connections = warm(service)
    async with connections.lease() as lease:
        lease.is_reusable = True
        lease.connection.is_open = False
    await settle()
    assert service.closed == [1]
    await connections.aclose()


async def test_what_is_cut_while_it_waits_is_not_lent() -> None:
    service = Service()
    connections = warm(service)
    await connections.prepare()
    service.lines[0].is_open = False
    assert await used(connections) == 2
    await settle()
    assert service.closed == [1]
    await connections.aclose()


async def test_as_many_spare_ones_are_kept_as_were_asked_for() -> None:
    service = Service()
    connections = warm(service, spares=2)
    await connections.prepare()
    await connections.prepare()
    await connections.prepare()
    assert service.open == [1, 2]
    await connections.aclose()


async def test_one_that_waits_too_long_is_closed_and_not_before() -> None:
    service = Service()
    connections = warm(service)
    await connections.prepare()
    await asyncio.sleep(IDLE_S - 1)
    assert service.open == [1]
    await asyncio.sleep(2)
    assert (service.open, connections.waiting) == ([], 0)
    await connections.aclose()


async def test_every_use_makes_it_young_again() -> None:
    service = Service()
    connections = warm(service)
    for _ in range(4):
        assert await used(connections) == 1
        await asyncio.sleep(IDLE_S - 1)
    assert 1 in service.open
    await connections.aclose()


async def test_one_that_waits_is_kept_alive_and_one_that_is_lent_is_not() -> None:
    service = Service()
    connections = warm(service, keep_alive=service.ping)
    await connections.prepare()
    await asyncio.sleep(KEEP_ALIVE_S * 2 + 1)
    line = service.lines[0]
    assert line.kept_alive_at_s == [KEEP_ALIVE_S, KEEP_ALIVE_S * 2]
    async with connections.lease() as lease:
        assert lease.connection is line
        await asyncio.sleep(KEEP_ALIVE_S * 3)
    assert line.kept_alive_at_s == [KEEP_ALIVE_S, KEEP_ALIVE_S * 2]
    await connections.aclose()


async def test_even_one_that_is_kept_alive_grows_old() -> None:
    service = Service()
    connections = warm(service, keep_alive=service.ping)
    await connections.prepare()
    await asyncio.sleep(IDLE_S + KEEP_ALIVE_S)
    assert service.open == []
    assert len(service.lines[0].kept_alive_at_s) == IDLE_S / KEEP_ALIVE_S - 1
    await connections.aclose()


@pytest.mark.parametrize(
    "fault", [ProviderError("test", "cut", retryable=True), OSError("cut"), TimeoutError()], ids=repr
)
async def test_one_that_cannot_be_kept_alive_is_closed(fault: BaseException) -> None:
    service = Service(broken_pings=[fault])
    connections = warm(service, keep_alive=service.ping)
    await connections.prepare()
    await asyncio.sleep(KEEP_ALIVE_S + 1)
    assert (service.closed, connections.waiting) == ([1], 0)
    await asyncio.sleep(IDLE_S)
    assert service.lines[0].kept_alive_at_s == [KEEP_ALIVE_S]
    await connections.aclose()


async def test_one_found_cut_when_it_is_looked_at_is_closed() -> None:
    service = Service()
    connections = warm(service, keep_alive=service.ping)
    await connections.prepare()
    service.lines[0].is_open = False
    await asyncio.sleep(KEEP_ALIVE_S + 1)
    assert (service.closed, connections.waiting, service.lines[0].kept_alive_at_s) == ([1], 0, [])
    await connections.aclose()


async def test_one_whose_ping_fails_after_it_was_lent_is_closed_under_who_has_it() -> None:
    """He learns at once what he would else wait for in vain; it does not come back."""
    service = Service()
    pinged = asyncio.Event()

    async def fail_slowly(line: Line) -> None:
        pinged.set()
        await asyncio.sleep(1)
        raise ProviderError("test", "cut", retryable=True)

    connections = warm(service, keep_alive=fail_slowly)
    await connections.prepare()
    async with asyncio.timeout(IDLE_S):
        await pinged.wait()
    async with connections.lease() as lease:
        lease.is_reusable = True
        assert lease.connection.is_open
        await asyncio.sleep(2)
        assert service.closed == [1]
    await settle()
    assert (service.open, connections.waiting) == ([2], 1)
    await connections.aclose()


async def test_a_handshake_that_takes_too_long_is_an_error_that_may_pass() -> None:
    service = Service(handshake_s=CONNECT_LIMIT_S + 1)
    connections = warm(service)
    with pytest.raises(ProviderError, match="test: no connection within 2 seconds") as failure:
        await used(connections)
    assert failure.value.retryable
    assert now_s() == CONNECT_LIMIT_S
    await connections.aclose()
    assert service.open == []


async def test_a_spare_one_that_cannot_be_had_is_logged_and_tried_again_when_needed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service(refuses=True)
    connections = warm(service)
    with caplog.at_level(logging.WARNING):
        await connections.prepare()
    assert "no connection kept warm: test: refused" in caplog.text
    with pytest.raises(ProviderError, match="refused"):
        await used(connections)
    service.refuses = False
    assert await used(connections) == 1
    await connections.aclose()


async def test_a_lease_does_not_wait_for_its_line_to_be_closed() -> None:
    service = Service(goodbye_s=1.0)
    connections = warm(service)
    await used(connections, again=False)
    assert now_s() == 0
    await connections.aclose()


async def test_in_the_end_all_that_waits_is_closed_within_a_limit() -> None:
    service = Service(goodbye_s=3_000.0)
    connections = warm(service, spares=2)
    await connections.prepare()
    await connections.prepare()
    await connections.aclose()
    assert (sorted(service.closed), connections.waiting) == ([1, 2], 0)
    assert now_s() == CONNECT_LIMIT_S


async def test_a_line_that_breaks_while_it_is_closed_harms_nobody() -> None:
    service = Service(breaks_at_goodbye=True)
    connections = warm(service)
    await connections.prepare()
    await connections.aclose()
    assert service.closed == [1]


async def test_what_is_lent_in_the_end_is_closed_when_it_comes_back() -> None:
    service = Service()
    connections = warm(service)
    async with connections.lease() as lease:
        lease.is_reusable = True
        await settle()
        await connections.aclose()
        assert service.open == [1]
    await settle()
    assert (service.open, connections.waiting) == ([], 0)


async def test_a_spare_one_on_its_way_in_the_end_is_closed_as_it_comes() -> None:
    service = Service(handshake_s=0.5)
    connections = warm(service)
    async with connections.lease():
        await connections.aclose()
        assert service.open == [1]
        assert now_s() >= 1.0, "it waited for the spare one"
    await settle()
    assert service.open == []


async def test_after_the_end_no_spare_one_is_opened() -> None:
    service = Service()
    connections = warm(service)
    await connections.aclose()
    assert await used(connections) == 1
    await settle()
    assert (len(service.lines), service.open) == (1, [])
