"""What every language model keeps to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.events.items import FunctionCall, FunctionCallOutput, InputAudio, InputImage, InputText, Item, Message
from pipeline.provider import CutOff, FunctionTool, ModelOutput, Prompt, TextDelta, TokensUsed, ToolRequest
from simulator.standins.fault import Fault
from simulator.standins.openai_chat import Called, FinishReason, Json, Said, words_of
from tests.pipeline.providers.conformance.models import MODELS, ModelMaker, Thinking
from tests.pipeline.providers.conformance.standing import (
    LIMIT_S,
    NEVER_ENDING,
    USUAL_ENDINGS,
    Floor,
    keep_no_secret,
    log_everything,
    taken_note_of,
)
from tests.pipeline.providers.streams import all_of

pytestmark = pytest.mark.anyio

ALL = pytest.mark.parametrize("maker", MODELS, ids=str)
AT_STANDINS = pytest.mark.parametrize("maker", [maker for maker in MODELS if maker.has_standin], ids=str)

ENDINGS = {**USUAL_ENDINGS, Fault.ZERO_AUDIO: "empty"}

TEXT = "We are open from nine to six, Grüezi.  What else can I do for you?"
LOOK_UP = FunctionTool(
    "look_up", "Looks up an order.", {"type": "object", "properties": {"id": {"type": "string"}}}
)
CALLS = (
    Called("look_up", '{"id": "4815", "street": "Zürichstraße"}', id="call_a"),
    Called("look_up", "{}", id="call_b"),
)
REQUESTS = [ToolRequest(call.id, call.name, call.arguments) for call in CALLS]


def user(text: str = "Xyzzy?") -> Message:
    return Message(id="u", role="user", content=(InputAudio(transcript=text),))


def prompt(*items: Item, **more: Any) -> Prompt:
    return Prompt("Be brief.", items or (user(),), **more)


async def answer(thinking: Thinking, asked: Prompt | None = None) -> list[ModelOutput]:
    return await all_of(thinking.model.respond(asked or prompt()))


def text_of(outputs: Sequence[ModelOutput]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, TextDelta))


@ALL
async def test_words_come_in_order_and_in_pieces(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        expected = thinking.answers(TEXT)
        outputs = await answer(thinking)
        assert text_of(outputs) == expected
        assert sum(isinstance(output, TextDelta) for output in outputs) >= len(expected.split())


@ALL
async def test_what_it_cost_is_told_once_and_last(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        expected = thinking.answers(TEXT)
        outputs = await answer(thinking)
        used = [output for output in outputs if isinstance(output, TokensUsed)]
        assert used == [outputs[-1]]
        assert used[0].output_tokens == len(expected.split())
        assert used[0].input_tokens > 0


@ALL
async def test_an_answer_at_its_limit_says_that_it_is_cut_off(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        expected = thinking.answers(Said("We are", finish="length"))
        *words, cut, used = await answer(thinking, prompt(max_output_tokens=2))
        assert text_of(words) and expected.startswith(text_of(words))
        assert cut == CutOff("max_output_tokens")
        assert isinstance(used, TokensUsed)


@AT_STANDINS
@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("stop", None)]
)
async def test_why_an_answer_was_cut_off_is_told_behind_its_words(
    maker: ModelMaker, floor: Floor, finish: FinishReason, reason: Any
) -> None:
    async with maker.open(floor) as thinking:
        thinking.answers(Said(TEXT, finish=finish))
        outputs = [output for output in await answer(thinking) if not isinstance(output, TextDelta)]
        assert outputs[:-1] == ([CutOff(reason)] if reason else [])


@AT_STANDINS
async def test_functions_are_asked_for_whole_in_order_and_behind_the_words(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        thinking.answers(Said("One moment.", calls=CALLS))
        outputs = await answer(thinking, prompt(tools=(LOOK_UP,)))
        words = [output for output in outputs if isinstance(output, TextDelta)]
        assert text_of(words) == "One moment."
        assert outputs[len(words) : -1] == REQUESTS


@AT_STANDINS
@pytest.mark.parametrize(
    ("tools", "choice", "expected"),
    [((LOOK_UP,), "auto", "auto"), ((LOOK_UP,), "required", "required"), ((), "required", None)],
)
async def test_the_service_is_told_the_tools_and_whether_one_must_be_used(
    maker: ModelMaker, floor: Floor, tools: tuple[FunctionTool, ...], choice: Any, expected: str | None
) -> None:
    async with maker.open(floor) as thinking:
        thinking.answers(TEXT)
        await answer(thinking, prompt(tools=tools, tool_choice=choice))
        (body,) = thinking.asked
        assert body.get("tool_choice") == expected
        assert [tool["function"]["name"] for tool in body.get("tools", ())] == [tool.name for tool in tools]


@AT_STANDINS
async def test_pictures_go_only_to_models_that_say_they_take_them(maker: ModelMaker, floor: Floor) -> None:
    picture = InputImage(image_url="data:image/png;base64,AAAA")
    async with maker.open(floor) as thinking:
        thinking.answers(TEXT)
        assert thinking.model.takes_images is maker.takes_images
        await answer(thinking, prompt(Message(id="u", role="user", content=(InputText(text="Look!"), picture))))
        assert ("image_url" in str(thinking.asked)) is maker.takes_images
        assert "Look!" in str(thinking.asked)


@AT_STANDINS
async def test_words_come_at_once_and_who_stops_listening_stops_the_service(
    maker: ModelMaker, floor: Floor
) -> None:
    """The service would never come to the end by itself."""
    async with maker.open(floor) as thinking:
        thinking.answers(TEXT)
        thinking.next_fault(Fault.STALL)
        asked = thinking.model.respond(prompt())
        async with asyncio.timeout(LIMIT_S), aclosing(asked):
            first = await anext(asked)
        assert isinstance(first, TextDelta) and TEXT.startswith(first.text)
        await thinking.at_most(0)
        assert text_of(await answer(thinking)) == TEXT


@ALL
async def test_who_stops_listening_does_not_spoil_the_next_answer(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        expected = thinking.answers(TEXT)
        async with aclosing(thinking.model.respond(prompt())) as outputs:
            await anext(outputs)
        assert text_of(await answer(thinking)) == expected


@AT_STANDINS
async def test_an_answer_given_up_before_its_first_word_leaves_nothing(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        assert thinking.place is not None
        thinking.answers(TEXT)
        thinking.next_fault(Fault.HANG)
        waiting = asyncio.ensure_future(answer(thinking))
        await thinking.place.journal.reaches(1)
        waiting.cancel()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(waiting, return_exceptions=True)
        await thinking.at_most(0)
        assert text_of(await answer(thinking)) == TEXT


@ALL
async def test_answers_at_the_same_time_do_not_mix(maker: ModelMaker, floor: Floor) -> None:
    async with maker.open(floor) as thinking:
        own = thinking.answers(lambda messages: Said(f"You said {words_of(messages[-1])} and nothing else."))
        thinking.script.token_s = 0.001  # words of one come between those of another
        questions = [f"Q{number}" for number in range(8)]
        answers = await asyncio.gather(*(answer(thinking, prompt(user(question))) for question in questions))
        assert [text_of(outputs) for outputs in answers] == [
            own or f"You said {question} and nothing else." for question in questions
        ]


def call(number: int) -> FunctionCall:
    return FunctionCall(id=f"f{number}", call_id=f"call_{number}", name="look_up", arguments='{"id": "1"}')


def result(number: int) -> FunctionCallOutput:
    return FunctionCallOutput(id=f"o{number}", call_id=f"call_{number}", output=f"result {number}")


def answered_at_once(messages: Sequence[Json]) -> bool:
    """Chat completions, `messages`: each call must be followed by its result before anything else is said, and a
    result must follow its call."""
    owed: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in owed:
                return False
            owed.remove(message["tool_call_id"])
        elif owed:
            return False
        else:
            owed = [call["id"] for call in message.get("tool_calls", ())]
    return not owed


HISTORIES: dict[str, tuple[Item, ...]] = {
    "nothing was said yet": (),
    "parallel calls": (user(), call(1), call(2), result(2), result(1)),
    "results apart": (user(), call(1), call(2), result(1), user("And?"), result(2)),
    "a call without a result": (user(), call(1), user("Still there?")),
    "a result without a call": (result(7), user()),
    "a call made twice": (user(), call(1), result(1), call(1), result(1), user("Again?")),
}


@ALL
@pytest.mark.parametrize("history", HISTORIES.values(), ids=list(HISTORIES))
async def test_any_history_is_one_that_can_be_answered(
    maker: ModelMaker, floor: Floor, history: tuple[Item, ...]
) -> None:
    async with maker.open(floor) as thinking:
        thinking.answers(TEXT)
        assert isinstance((await answer(thinking, Prompt("Be brief.", history)))[-1], TokensUsed)
        assert all(answered_at_once(body["messages"]) for body in thinking.asked)


@AT_STANDINS
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_a_fault_costs_one_answer_and_is_told(
    maker: ModelMaker, floor: Floor, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    log_everything(caplog)
    async with maker.open(floor) as thinking:
        thinking.answers(Said(TEXT, calls=CALLS))
        thinking.next_fault(fault)
        outputs: list[ModelOutput] = []
        async with taken_note_of(is_patient=fault not in NEVER_ENDING) as endings:
            async with aclosing(thinking.model.respond(prompt(tools=(LOOK_UP,)))) as made:
                async for output in made:
                    outputs.append(output)  # noqa: PERF401 (what came before it broke off counts)
            endings.append("whole" if text_of(outputs) == TEXT else "empty")
        expected = maker.endings.get(fault, ENDINGS[fault])
        assert endings == [expected]
        if fault is not Fault.BIG_CHUNK:
            assert TEXT.startswith(text_of(outputs))
        # What broke off may be asked again: no function of it may have been called.
        requests = [output for output in outputs if isinstance(output, ToolRequest)]
        assert requests == (REQUESTS if expected == "whole" else [])
        await thinking.at_most(0)
        assert text_of(await answer(thinking)) == TEXT
    keep_no_secret(caplog)
