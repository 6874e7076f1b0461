from __future__ import annotations

import asyncio

import pytest

from gateway.calls import store as store_module
from gateway.calls.call import Call, CallState, EndReason
from gateway.calls.store import (
    ABANDONED_AFTER_S,
    CALL_LIFE_S,
    ENDED_LIFE_S,
    SWEEP_EVERY_S,
    TOKEN_LIFE_S,
    TOKEN_MEMORY_S,
    CallStore,
    MemoryStore,
)
from gateway.errors import TokenRefused

pytestmark = pytest.mark.anyio


def sid(number: int) -> str:
    return f"CA{number:032x}"


async def opened(store: CallStore, number: int = 1, at_s: float = 0.0) -> Call:
    call = Call(call_sid=sid(number), from_="+14155550134", to="+1", agent="reception", started_at_s=at_s)
    await store.open(call)
    return call


async def refusal(store: CallStore, token: str, now_s: float) -> str:
    with pytest.raises(TokenRefused) as refused:
        await store.claim(token, now_s)
    return refused.value.reason


async def test_an_open_call_is_found_listed_and_counted() -> None:
    store: CallStore = MemoryStore()
    call = await opened(store)
    assert await store.find(call.call_sid) is call
    assert await store.calls() == [call]
    assert await store.live_count() == 1
    assert await store.find(sid(2)) is None
    assert await store.journal(sid(2)) is None


async def test_a_call_is_opened_once() -> None:
    store = MemoryStore()
    await opened(store)
    with pytest.raises(KeyError, match="open already"):
        await opened(store)


async def test_a_token_opens_its_call_exactly_once() -> None:
    store = MemoryStore()
    call = await opened(store)
    token = await store.issue_token(call, 0.0)
    assert len(token) >= 43
    assert await store.claim(token, 1.0) is call
    assert await refusal(store, token, 1.0) == "used"


async def test_of_a_hundred_racers_one_wins() -> None:
    store = MemoryStore()
    call = await opened(store)
    token = await store.issue_token(call, 0.0)
    results = await asyncio.gather(*(store.claim(token, 1.0) for _ in range(100)), return_exceptions=True)
    assert [r for r in results if not isinstance(r, TokenRefused)] == [call]


async def test_a_token_expires_and_in_the_end_is_forgotten() -> None:
    store = MemoryStore()
    call = await opened(store)
    token = await store.issue_token(call, 0.0)
    assert await refusal(store, token, TOKEN_LIFE_S) == "expired"
    assert await refusal(store, token, TOKEN_LIFE_S + TOKEN_MEMORY_S) == "unknown"
    assert await refusal(store, "guessed", 0.0) == "unknown"


async def test_a_new_token_voids_the_earlier_one() -> None:
    store = MemoryStore()
    call = await opened(store)
    first = await store.issue_token(call, 0.0)
    second = await store.issue_token(call, 1.0)
    assert await refusal(store, first, 2.0) == "unknown"
    assert await store.claim(second, 2.0) is call
    assert call.generation == 2


async def test_a_token_of_an_ended_or_forgotten_call_opens_nothing() -> None:
    store = MemoryStore()
    call = await opened(store)
    token = await store.issue_token(call, 0.0)
    assert await store.end(call, EndReason.CANCELED, 1.0)
    assert await refusal(store, token, 2.0) == "expired"


async def test_a_call_ends_once_and_its_journal_closes() -> None:
    store = MemoryStore()
    call = await opened(store)
    journal = await store.journal(call.call_sid)
    assert journal is not None
    assert await store.end(call, EndReason.COMPLETED, 1.0)
    assert not await store.end(call, EndReason.FAILED, 2.0)
    async with asyncio.timeout(5):
        assert [event async for event in journal.follow()] == [
            {"event": "call.ended", "at_s": 1.0, "reason": "completed", "seconds": 1.0}
        ]
    assert (await store.live_count(), call.end_reason) == (0, EndReason.COMPLETED)


async def test_an_ended_call_is_known_for_a_quarter_of_an_hour() -> None:
    store = MemoryStore()
    call = await opened(store)
    await store.end(call, EndReason.COMPLETED, 0.0)
    await store.sweep(ENDED_LIFE_S - 1)
    assert await store.find(call.call_sid) is call
    await store.sweep(ENDED_LIFE_S + SWEEP_EVERY_S)
    assert await store.find(call.call_sid) is None
    assert await store.journal(call.call_sid) is None
    assert await store.calls() == []


async def test_of_many_ended_calls_the_longest_ended_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "ENDED_LIMIT_CALLS", 2)
    store = MemoryStore()
    for number in (3, 1, 2):
        await store.end(await opened(store, number), EndReason.COMPLETED, 1.0)
    assert [call.call_sid for call in await store.calls()] == [sid(1), sid(2)]


async def test_a_wait_for_a_call_ends_when_it_arrives() -> None:
    store = MemoryStore()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(store.arrival(sid(2)))
        await asyncio.sleep(0)
        await opened(store, 1)
        await asyncio.sleep(0)
        second = await opened(store, 2)
    assert waiting.result() is second
    assert await store.arrival(sid(2)) is second


async def test_calls_nobody_asks_for_any_more_are_swept_out() -> None:
    store = MemoryStore()
    ringing = await opened(store, 1)
    interrupted = await opened(store, 2)
    streaming = await opened(store, 3)
    for call in (interrupted, streaming):
        call.begin_stream(call.offer_stream("t", 0.0))
    interrupted.lose_stream(1, 50.0)
    assert await store.sweep(ABANDONED_AFTER_S - 1) == []
    assert await store.sweep(ABANDONED_AFTER_S + SWEEP_EVERY_S) == [ringing]
    assert await store.sweep(50.0 + ABANDONED_AFTER_S) == [interrupted]
    assert await store.sweep(20 * 3600.0) == [], "an account may have calls of a day"
    assert streaming.state is CallState.STREAMING
    assert await store.sweep(CALL_LIFE_S) == [streaming]
    assert {ringing.end_reason, interrupted.end_reason, streaming.end_reason} == {EndReason.ABANDONED}
    assert await store.live_count() == 0


async def test_a_sweep_soon_after_another_does_nothing() -> None:
    store = MemoryStore()
    await opened(store)
    assert await store.sweep(ABANDONED_AFTER_S - 1) == []
    assert await store.sweep(ABANDONED_AFTER_S) == []
