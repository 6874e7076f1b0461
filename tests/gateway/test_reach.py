from __future__ import annotations

from typing import cast

import pytest

from gateway.calls.call import Call, EndReason
from gateway.calls.orders import ENDING, NOT_STREAMING, OUT_OF_REACH, OVER, HangUp, Join, Listen, Refused, unknown
from gateway.calls.store import CallStore, MemoryStore
from gateway.calls.workers import WorkerLoad
from gateway.errors import Refusal, StoreUnavailable
from gateway.reach import Reach
from pipeline.dialects import Dialect

pytestmark = pytest.mark.anyio

SID = f"CA{1:032x}"
NOW_S = 1_800_000_000.0
LOAD = WorkerLoad(id="one", calls=0, sessions=0, is_draining=False, lag_ms=0.0, seen_at_s=NOW_S)


class AwayStore:
    """One that nobody can ask."""

    async def find(self, call_sid: str) -> Call | None:
        raise StoreUnavailable("away")


async def reach_with(call: Call | None) -> Reach:
    store = MemoryStore()
    if call is not None:
        await store.open(call)
    return Reach(store, None, lambda: LOAD)


def made() -> Call:
    return Call(call_sid=SID, from_="+14155550134", to="+1", agent="reception", started_at_s=NOW_S)


async def test_a_call_that_nobody_streams_is_refused_by_where_it_stands() -> None:
    ringing, ending, over = made(), made(), made()
    ending.finish(EndReason.AGENT_HUNG_UP, NOW_S)
    over.end(EndReason.COMPLETED, NOW_S)
    for call, why in ((None, unknown(SID)), (ringing, NOT_STREAMING), (ending, ENDING), (over, OVER)):
        reach = await reach_with(call)
        assert await reach.order(SID, HangUp()) == why
        async with reach.listening(SID) as ear:
            assert ear == why


async def test_a_call_said_to_stream_where_there_is_no_other_worker_is_about_to_be_picked_up() -> None:
    call = made()
    call.offer_stream("token", NOW_S)
    call.begin_stream(1)
    assert await (await reach_with(call)).order(SID, HangUp()) == NOT_STREAMING


async def test_while_nobody_knows_where_calls_are_that_is_said() -> None:
    reach = Reach(cast(CallStore, AwayStore()), None, lambda: LOAD)  # asked for nothing else
    assert await reach.order(SID, HangUp()) == OUT_OF_REACH
    with pytest.raises(Refusal) as refused:
        async with reach.side_band(SID, Dialect.GA):
            pass
    assert (refused.value.status_code, refused.value.reason) == (503, "redis_unavailable")


@pytest.mark.parametrize(("ends", "status_code"), [(False, 503), (True, 404)])
async def test_a_side_band_is_asked_to_come_back_only_if_that_may_help(ends: bool, status_code: int) -> None:
    call = made()
    if ends:
        call.end(EndReason.COMPLETED, NOW_S)
    with pytest.raises(Refusal) as refused:
        async with (await reach_with(call)).side_band(SID, Dialect.GA):
            pass
    assert refused.value.status_code == status_code


async def test_other_workers_are_refused_before_calls_can_stream_here() -> None:
    reach = await reach_with(made())
    assert await reach.carry_out(SID, HangUp()) == NOT_STREAMING
    for errand in (Listen(), Join(Dialect.GA)):
        assert isinstance(reach.attend(SID, errand), Refused)
    assert await reach.workers() == ((LOAD,), True)
