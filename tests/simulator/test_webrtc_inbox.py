"""The events of a client, and waiting for them, on a clock that jumps."""

from __future__ import annotations

import asyncio
import json

import pytest

from simulator.webrtc_inbox import LIMIT_S, Inbox, NothingCame
from tests.virtual_time import virtual_loop

pytestmark = pytest.mark.anyio


class Line:
    """An inbox, and whether more can come."""

    def __init__(self, *types: str) -> None:
        self.is_over = False
        self.inbox = Inbox(lambda: self.is_over, lambda: "on the line")
        self.tell(*types)

    def tell(self, *types: str) -> None:
        for type in types:
            self.inbox.receive(json.dumps({"type": type}))


def names(events: list[dict[str, str]]) -> list[str]:
    return [event["type"] for event in events]


async def test_events_come_one_by_one_in_order() -> None:
    inbox = Line("a", "b").inbox
    assert [await inbox.next(), await inbox.next()] == inbox.frames == [{"type": "a"}, {"type": "b"}]


async def test_an_event_is_waited_for() -> None:
    line = Line()
    asyncio.get_running_loop().call_soon(line.tell, "a")
    assert await line.inbox.next() == {"type": "a"}


async def test_all_up_to_the_wanted_event_are_given_and_passed_over() -> None:
    inbox = Line("a", "b", "c", "d").inbox
    assert names(await inbox.until("c", "d")) == ["a", "b", "c"]
    assert names(await inbox.until("d")) == ["d"]


async def test_an_error_that_is_not_waited_for_is_told_at_once() -> None:
    with pytest.raises(NothingCame, match=r"c was waited for, and this came: \{'type': 'error'\}"):
        await Line("a", "error", "c").inbox.until("c")


async def test_an_error_may_be_waited_for() -> None:
    assert names(await Line("a", "error").inbox.until("error")) == ["a", "error"]


async def test_nothing_is_waited_for_where_nothing_can_come() -> None:
    line = Line("a")
    line.is_over = True
    assert names([await line.inbox.next()]) == ["a"]
    with pytest.raises(NothingCame, match=r"b was waited for: no event came; on the line, events so far: \['a'\]"):
        await line.inbox.until("b")


async def test_the_end_wakes_who_waits() -> None:
    line = Line()

    def end() -> None:
        line.is_over = True
        line.inbox.wake()

    asyncio.get_running_loop().call_soon(end)
    with pytest.raises(NothingCame):
        await line.inbox.next()


async def test_seeing_an_event_passes_over_none() -> None:
    line = Line("a", "b")
    await line.inbox.seen("b")
    assert await line.inbox.next() == {"type": "a"}


async def test_an_error_ends_the_wait_for_an_event() -> None:
    with pytest.raises(NothingCame, match="b did not come"):
        await Line("a", "error").inbox.seen("b")


@pytest.mark.parametrize("message", [b'{"type":"a"}', "{", "[]", "{}", '{"type":1}'])
async def test_what_is_no_event_is_kept_aside(message: str | bytes) -> None:
    inbox = Line().inbox
    inbox.receive(message)
    assert (inbox.frames, inbox.unreadable) == ([], [message])


def test_every_wait_ends() -> None:
    async def wait() -> list[float]:
        loop, inbox, passed = asyncio.get_running_loop(), Line("a").inbox, []
        for wish in (inbox.until("b"), inbox.seen("b"), inbox.in_time(asyncio.Event().wait(), "it")):
            began_s = loop.time()
            with pytest.raises(NothingCame):
                await wish
            passed.append(loop.time() - began_s)
        return passed

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        until_s, seen_s, in_time_s = runner.run(wait())
    assert until_s == seen_s == in_time_s == LIMIT_S
