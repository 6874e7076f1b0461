"""A call whose worker dies in the middle of a word, and goes on in another: what its caller hears, to the word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.audio.formats import PCMU
from pipeline.call_controls import CallControls
from pipeline.commands import HangUp
from pipeline.opening import Act
from pipeline.provider import FunctionTool, ToolRequest
from pipeline.resumption import UNKNOWN, Resumption, resumption
from pipeline.snapshot import Snapshot, decoded, decoded_item, encoded, encoded_item
from pipeline.toolbox import Tool, ToolResult
from tests.fakes import STALL, WORD_MS, FakeModel, FakeTranscriber, Ids, Wait
from tests.pipeline.phone_call import PhoneCall, phone_call
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

STORY = "One two three four, five six seven. Eight nine ten! Eleven, twelve thirteen fourteen."
WORD = PCMU.bytes_in(WORD_MS)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


def carried(snapshot: Snapshot) -> Resumption:
    """Through JSON to another worker."""
    items = [decoded_item(encoded_item(item)) for item in snapshot.items]
    return resumption(decoded(encoded(snapshot), items, snapshot.config))


def heard(call: PhoneCall) -> tuple[int, bool]:
    """How many words its phone has played to their end, and whether it was in the middle of another."""
    return call.phone.position // WORD, call.phone.position % WORD > 0


@pytest.mark.parametrize("after_ms", range(20, 3_000, 140))
async def test_every_word_of_an_answer_is_heard_once(after_ms: int) -> None:
    ids, words = Ids(), STORY.split()
    async with phone_call(model=FakeModel(STORY), transcriber=FakeTranscriber("Tell me."), make_id=ids) as call:
        await call.utter()
        await call.wait(after_ms)
        on = carried(call.session.snapshot())
        whole, _ = heard(call)
    assert on.opening.act is (Act.SAY if whole < len(words) else Act.WAIT)
    caller = FakeTranscriber("And then?")
    async with phone_call(transcriber=caller, history=on.history, opening=on.opening, make_id=ids) as again:
        await again.wait(4_000)
        assert again.model.prompts == []
        said_again = " ".join(again.voice.clauses).split()
        assert again.phone.position == len(said_again) * WORD, "it was heard to its end"
        assert words[:whole] + said_again == words
        assert " ".join(text for who, text in again.said if who == "assistant").split() == words
        await again.utter()
        await again.wait(200)
        assert len(again.model.prompts) == 1, "the caller speaks next"


@pytest.mark.parametrize("after_ms", range(20, 3_000, 140))
async def test_a_greeting_may_break_off_twice(after_ms: int) -> None:
    ids, words = Ids(), STORY.split()
    async with phone_call(greeting=STORY, make_id=ids) as call:
        await call.wait(after_ms)
        on, first = carried(call.session.snapshot()), heard(call)[0]
    async with phone_call(history=on.history, opening=on.opening, make_id=ids) as call:
        await call.wait(after_ms // 2)
        on, second = carried(call.session.snapshot()), heard(call)[0]
    async with phone_call(history=on.history, opening=on.opening, make_id=ids) as call:
        await call.wait(4_000)
        rest = " ".join(call.voice.clauses).split()
    assert words[: first + second] + rest == words


async def test_an_answer_still_being_thought_goes_on_from_the_last_word_heard() -> None:
    ids = Ids()
    model = FakeModel(["One two three. Four five", STALL])
    async with phone_call(model=model, transcriber=FakeTranscriber("Count."), make_id=ids) as call:
        await call.utter()
        await call.wait(360)
        on, (whole, is_broken) = carried(call.session.snapshot()), heard(call)
    assert (whole, is_broken) == (2, True)
    async with phone_call(
        model=FakeModel("three. Four five six."), history=on.history, opening=on.opening, make_id=ids
    ) as again:
        await again.wait(2_000)
        (prompt,) = again.model.prompts
        assert '"One two"' in prompt.instructions
        assert 'about to say: "three. Four five"' in prompt.instructions
        assert again.said == [
            ("user", "Count."),
            ("assistant", "One two"),
            ("assistant", "three. Four five six."),
        ]


async def test_a_caller_who_waits_is_answered() -> None:
    ids = Ids()
    async with phone_call(model=FakeModel([STALL]), transcriber=FakeTranscriber("Hello."), make_id=ids) as call:
        await call.utter()
        on = carried(call.session.snapshot())
    async with phone_call(
        model=FakeModel("Good morning."), history=on.history, opening=on.opening, make_id=ids
    ) as again:
        await again.wait(1_000)
        assert again.said == [("user", "Hello."), ("assistant", "Good morning.")]


async def test_a_function_that_was_running_is_not_run_again() -> None:
    ids, runs = Ids(), list[str]()

    async def pay(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        runs.append("paid")
        await asyncio.sleep(3)
        return ToolResult("{}")

    tool = Tool(FunctionTool("pay"), pay)
    model = FakeModel([ToolRequest("call_1", "pay", "{}")])
    async with phone_call(model=model, transcriber=FakeTranscriber("Pay."), tools=(tool,), make_id=ids) as call:
        await call.utter()
        await call.wait(200)
        on = carried(call.session.snapshot())
    async with phone_call(
        model=FakeModel("Let me check."), tools=(tool,), history=on.history, opening=on.opening, make_id=ids
    ) as again:
        await again.wait(1_000)
        (prompt,) = again.model.prompts
        assert UNKNOWN in str(prompt.items[-1])
        assert again.said[-1] == ("assistant", "Let me check.")
    assert runs == ["paid"]


async def test_a_call_that_was_ending_ends_once_the_farewell_is_heard() -> None:
    ids = Ids()

    async def leave(arguments: Mapping[str, Any], controls: CallControls) -> ToolResult:
        return ToolResult("{}", ends_call=True, transfer_to="+4930123456", wants_answer=False)

    tool = Tool(FunctionTool("leave"), leave)
    model = FakeModel(["One two three four five.", ToolRequest("call_1", "leave", "{}")])
    async with phone_call(model=model, transcriber=FakeTranscriber("Bye."), tools=(tool,), make_id=ids) as call:
        await call.utter()
        await call.wait(800)
        on = carried(call.session.snapshot())
        whole, _ = heard(call)
    assert on.opening.ending is not None
    async with phone_call(tools=(tool,), history=on.history, opening=on.opening, make_id=ids) as again:
        assert await again.running == HangUp(reason="transferred", transfer_to="+4930123456")
        assert again.phone.position == (5 - whole) * WORD


async def test_the_last_snapshot_of_a_line_that_broke_is_of_the_moment_before() -> None:
    """The session closes when its line does, and cuts what was being said; whoever goes on need not know."""
    async with phone_call(greeting=STORY) as call:
        await call.wait(1_000)
        before = call.session.snapshot()
        call.engine.stop()
        await call.running
        assert call.session.snapshot() == before
        assert resumption(before).opening.act is Act.SAY


async def test_what_a_model_has_not_said_yet_waits_until_a_filler_is_over() -> None:
    ids = Ids()
    model = FakeModel([Wait(5.0), "Never."])
    async with phone_call(model=model, transcriber=FakeTranscriber("Hello."), make_id=ids) as call:
        await call.utter()
        await call.wait(100)
        call.engine._perform(call.session.fill("One moment please.", b"\x20" * 3 * WORD))
        await call.wait(500)
        on = carried(call.session.snapshot())
    async with phone_call(
        model=FakeModel("Good morning."), history=on.history, opening=on.opening, make_id=ids
    ) as again:
        await again.wait(2_000)
        (user, first, rest, answer) = again.said
        assert (user, answer) == (("user", "Hello."), ("assistant", "Good morning."))
        assert f"{first[1]} {rest[1]}" == "One moment please."
