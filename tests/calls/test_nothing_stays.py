"""When a call is over, nothing of it waits for Python's search for circles: it goes as soon as nobody needs it.

That search is off here. What a process keeps of an ended call on purpose is in Redis, so these calls are there.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.calls.call import Call
from gateway.media_stream.phone import Phone
from gateway.media_stream.reader import Reader
from gateway.media_stream.stream import Stream
from pipeline.cascade_worker import CascadeWorker
from pipeline.conversation import Conversation
from pipeline.engine import Engine
from pipeline.manners import Manners
from pipeline.provider import TextDelta, ToolRequest
from pipeline.responder import Responder
from pipeline.session import Session
from simulator.call_result import Happening
from simulator.caller import BargeIn, HangUp, Listen, Say, Step, Wait
from tests.calls.support import AGENT, LIMIT_S, cascade, clip, running_gateway
from tests.fakes import STALL, FakeModel
from tests.redis_server import redis_server

pytestmark = pytest.mark.anyio

PARTS = (
    Call,
    CascadeWorker,
    Conversation,
    Engine,
    Manners,
    Phone,
    Reader,
    Responder,
    Session,
    Stream,
)
"""What a call is made of."""

LONG = "word " * 200
GOODBYE = (TextDelta("Thank you for calling. Goodbye!"), ToolRequest("call_1", "hang_up", "{}"))
QUESTION = (Listen(quiet_ms=200), Say(clip("yes")))

ENDS: dict[str, tuple[tuple[Step, ...], Any]] = {
    "in the greeting": ((Wait(300), HangUp()), LONG),
    "after an answer": ((*QUESTION, Listen(quiet_ms=200), HangUp()), "Heard you."),
    "in an answer": ((*QUESTION, Wait(1_500), HangUp()), [LONG, STALL]),
    "after an interruption": ((*QUESTION, BargeIn(500, clip("no")), Wait(500), HangUp()), LONG),
    "by the agent": ((*QUESTION, Listen(quiet_ms=5_000)), GOODBYE),
}


@pytest.fixture
def no_search() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what other tests have left is none of ours, and is not found
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def parts() -> Counter[str]:
    """How many there are of each."""
    found = (type(one) for one in gc.get_objects())
    return Counter(kind.__name__ for kind in found if kind in PARTS)


async def gone(*, searched_for: bool = False) -> None:
    """Until the pacer and Redis have let go of a call that is over."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while parts():  # nobody tells
                if searched_for:
                    gc.collect()
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"these stay: {dict(parts())}")


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(("steps", "answer"), ENDS.values(), ids=ENDS)
async def test_every_part_of_a_call_goes_with_its_end(steps: Sequence[Step], answer: Any) -> None:
    model, agent = FakeModel(*[answer] * 10), replace(AGENT, greeting="Hello there, who is speaking?")
    engines: list[weakref.ref[Engine]] = []

    def look(happening: Happening) -> None:
        """In the middle of the first call."""
        if happening.name == "mark" and not engines:
            engines.extend(weakref.ref(one) for one in gc.get_objects() if type(one) is Engine)

    async with redis_server() as redis:
        async with running_gateway(providers=cascade(model=model), agent=agent, REDIS_URL=redis.url) as house:
            await house.call(Wait(300), HangUp())  # whatever is loaded once, into Redis too, is loaded now
            await gone(searched_for=True)
            for _ in range(2):
                await house.call(*steps, keeps_media=False, listener=look)
            await gone()
    assert engines, "a call was looked at while it was"
    assert [engine() for engine in engines] == [None] * len(engines)
