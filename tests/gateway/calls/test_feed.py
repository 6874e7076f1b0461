"""The feed of one process: every event once and in order, and where some are gone, how many."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls.call import Call, EndReason
from gateway.calls.feed import GAP, MOST_READ, LocalFeed, Place, place_of
from gateway.calls.store import MemoryStore

pytestmark = pytest.mark.anyio

places = st.builds(Place, st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)), st.integers(0, 10**6 - 1))


def a_feed(limit_events: int = 100, at_s: float = 1_800_000_000.0) -> LocalFeed:
    return LocalFeed("one", lambda: at_s, limit_events=limit_events)


def tell(feed: LocalFeed, *numbers: int) -> None:
    for number in numbers:
        feed.append(f"CA{number % 3}", {"event": "e", "n": number})


def numbers_in(events: list[dict[str, Any]]) -> list[int]:
    return [event["n"] for event in events if event["event"] != GAP]


def last_place(events: list[dict[str, Any]]) -> Place:
    return place_of(events[-1]["id"])


@given(places)
def test_a_place_is_found_again_by_its_text(place: Place) -> None:
    assert place_of(str(place)) == place


@pytest.mark.parametrize("text", ["", "1", "1-2", "1-2.", "-2.3", "1-2.3.4", "x-2.3", "1-2.3 ", "9" * 20 + "-0.0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        place_of(text)


async def test_an_event_says_whose_it_is_and_where_to_go_on() -> None:
    feed = a_feed()
    tell(feed, 7)
    (event,) = await feed.read()
    assert event == {"id": event["id"], "call_sid": "CA1", "worker": "one", "event": "e", "n": 7}
    assert await feed.read(place_of(event["id"])) == []


async def test_events_of_all_calls_come_in_order_from_where_one_stopped() -> None:
    feed = a_feed()
    tell(feed, 0, 1, 2)
    before = await feed.read()
    tell(feed, 3, 4)
    assert numbers_in(await feed.read(last_place(before))) == [3, 4]


async def test_one_answer_is_bounded_and_the_next_goes_on() -> None:
    feed = a_feed(limit_events=3 * MOST_READ)
    tell(feed, *range(MOST_READ + 5))
    first = await feed.read()
    assert len(first) == MOST_READ
    assert numbers_in(await feed.read(last_place(first))) == list(range(MOST_READ, MOST_READ + 5))


async def test_who_comes_too_late_is_told_how_many_are_gone() -> None:
    feed = a_feed(limit_events=2)
    tell(feed, 0)
    seen = last_place(await feed.read())
    tell(feed, 1, 2, 3, 4)
    gap, *rest = await feed.read(seen)
    assert (gap, numbers_in(rest)) == ({"event": GAP, "dropped": 2}, [3, 4])


@pytest.mark.parametrize("age_s", [-1000.0, 1000.0])
async def test_a_place_of_another_process_is_a_gap_and_then_all_there_is(age_s: float) -> None:
    before, feed = a_feed(at_s=1_800_000_000.0 - age_s), a_feed()
    tell(before, 1)
    tell(feed, 5, 6)
    gap, *rest = await feed.read(last_place(await before.read()))
    assert (gap, numbers_in(rest)) == ({"event": GAP}, [5, 6])


async def test_a_follower_gets_what_is_there_and_then_what_comes() -> None:
    feed = a_feed()
    tell(feed, 0, 1)
    async with asyncio.timeout(5), aclosing(feed.follow()) as events:
        assert [(await anext(events))["n"] for _ in range(2)] == [0, 1]
        coming = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert not coming.done()
        tell(feed, 2)
        assert (await coming)["n"] == 2


@given(st.lists(st.one_of(st.integers(1, 6), st.none()), max_size=30))
def test_whatever_the_order_nothing_is_lost_untold_and_nothing_comes_twice(steps: list[int | None]) -> None:
    """A number: so many events come. None: the reader looks."""

    async def play() -> None:
        feed, told, accounted = a_feed(limit_events=5), 0, 0
        since: Place | None = None
        for step in [1, None, *steps, None]:
            if step is not None:
                tell(feed, *range(told, told + step))
                told += step
                continue
            for event in await feed.read(since):
                if event["event"] == GAP:
                    accounted += event["dropped"]
                else:
                    assert event["n"] == accounted
                    accounted, since = accounted + 1, place_of(event["id"])
            assert accounted == told

    asyncio.run(play())


async def test_what_is_written_into_any_calls_journal_comes_by() -> None:
    store = MemoryStore()
    for sid in ("CA1", "CA2"):
        await store.open(Call(call_sid=sid, from_="", to="", agent="", started_at_s=0.0))
        await store.note(sid, {"event": "call.started"})
    call = await store.find("CA2")
    assert call is not None
    async with store.attend(call, lambda: None, lambda: None) as attended:
        attended.journal.append({"event": "stream.started"})
    await store.end(call, EndReason.COMPLETED, 1.0)
    assert [(event["call_sid"], event["event"]) for event in await store.feed.read()] == [
        ("CA1", "call.started"),
        ("CA2", "call.started"),
        ("CA2", "stream.started"),
        ("CA2", "call.ended"),
    ]
