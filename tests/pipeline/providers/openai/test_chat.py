from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pipeline.events.items import InputText, Message
from pipeline.provider import (
    CutOff,
    FunctionTool,
    ModelOutput,
    Prompt,
    ProviderError,
    TextDelta,
    TokensUsed,
    ToolRequest,
)
from pipeline.providers.openai.chat import DEFAULT_MODEL, ChatModel
from simulator.standins.fault import Fault
from simulator.standins.openai import OpenAIScript
from simulator.standins.openai_chat import Called, Said, in_turn
from tests.pipeline.providers.openai.standing import KEY, answering, source_at, standing
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio

PROMPT = Prompt("Be kind.", (Message(id="u", role="user", content=(InputText(text="Are you open?"),)),))
ANSWER = Said("We are open from nine to five.")


def text_of(outputs: list[ModelOutput]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, TextDelta))


async def asked_of(model: ChatModel, prompt: Prompt = PROMPT) -> list[ModelOutput]:
    try:
        return await all_of(model.respond(prompt))
    finally:
        await model.aclose()


async def test_an_answer_comes_in_pieces_and_its_cost_at_the_end() -> None:
    async with standing(OpenAIScript(in_turn(ANSWER), cached_tokens=3)) as there:
        outputs = await asked_of(ChatModel(there.source("qwen3")))
    assert text_of(outputs) == ANSWER.text
    assert len(outputs) > 3
    assert outputs[-1] == TokensUsed(5, 7, 3)
    (asked,) = there.asked
    assert asked.authorization == f"Bearer {KEY}"
    assert asked.body == {
        "model": "qwen3",
        "stream": True,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Are you open?"}],
        "stream_options": {"include_usage": True},
    }


async def test_what_the_prompt_asks_for_is_asked_for() -> None:
    tool = FunctionTool("look_up")
    prompt = replace(PROMPT, tools=(tool,), tool_choice="required", temperature=0.5, max_output_tokens=99)
    options = {"temperature": 1.0, "reasoning_effort": "low", "usage": False, "body": {"top_k": 4}}
    async with standing() as there:
        await asked_of(ChatModel(there.source("m", **options)), prompt)
    body = dict(there.asked[0].body)
    assert body.pop("tools")[0]["function"]["name"] == "look_up"
    del body["messages"], body["model"], body["stream"]
    assert body == {
        "tool_choice": "required",
        "temperature": 0.5,
        "max_tokens": 99,
        "reasoning_effort": "low",
        "top_k": 4,
    }


async def test_the_field_for_the_limit_and_the_usual_temperature_are_options() -> None:
    async with standing() as there:
        source = there.source("m", max_tokens_field="max_completion_tokens", temperature=0.2)
        await asked_of(ChatModel(source), replace(PROMPT, max_output_tokens=7))
    assert (there.asked[0].body["max_completion_tokens"], there.asked[0].body["temperature"]) == (7, 0.2)


async def test_openais_own_models_are_told_not_to_think_first() -> None:
    ours, theirs, other = (
        ChatModel(source_at("")),
        ChatModel(source_at("http://127.0.0.1:1")),
        source_at("", "gpt-4.1"),
    )
    asked = ours._asked_for(replace(PROMPT, max_output_tokens=7))
    assert (asked["reasoning_effort"], asked["max_completion_tokens"]) == ("none", 7)
    assert "reasoning_effort" not in theirs._asked_for(PROMPT)
    assert "reasoning_effort" not in ChatModel(other)._asked_for(PROMPT)
    assert DEFAULT_MODEL.startswith("gpt-6")


def test_who_takes_pictures_is_an_option_and_openai_does() -> None:
    assert ChatModel(source_at("")).takes_images
    assert not ChatModel(source_at("http://127.0.0.1:1")).takes_images
    assert ChatModel(source_at("http://127.0.0.1:1", images=True)).takes_images
    assert ChatModel(source_at("", "m")).name == "openai/m"


async def test_functions_are_asked_for_when_the_answer_is_complete() -> None:
    said = Said("One moment.", (Called("look_up", '{"order": "4815"}'), Called("weather", '{"city": "Köln"}')))
    async with standing(OpenAIScript(in_turn(said))) as there:
        outputs = await asked_of(ChatModel(there.source()))
    assert text_of(outputs) == "One moment."
    requests = [output for output in outputs if isinstance(output, ToolRequest)]
    assert [(one.name, one.arguments) for one in requests] == [
        ("look_up", '{"order": "4815"}'),
        ("weather", '{"city": "Köln"}'),
    ]
    assert len({one.call_id for one in requests}) == 2
    assert outputs[-3:-1] == requests


@pytest.mark.parametrize("fault", [Fault.CLOSE_1006, Fault.CLOSE_1011, Fault.GARBAGE])
async def test_a_function_is_not_asked_for_when_the_answer_breaks_off(fault: Fault) -> None:
    said = Said("One moment, I will look.", (Called("hang_up"),))
    outputs: list[ModelOutput] = []
    async with standing(OpenAIScript(in_turn(said)), fault) as there:
        model = ChatModel(there.source())
        with pytest.raises(ProviderError):
            async with (
                asyncio.timeout(30),
                aclosing(model.respond(PROMPT)) as answer,
            ):
                async for output in answer:
                    outputs.append(output)  # noqa: PERF401  # what came before the end is the point
        await model.aclose()
    assert outputs
    assert all(isinstance(output, TextDelta) for output in outputs)


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
async def test_how_an_answer_was_cut_off_is_told(finish: str, reason: str) -> None:
    said = Said("We are open from", finish=finish)  # type: ignore[arg-type]  # one of its literals
    async with standing(OpenAIScript(in_turn(said))) as there:
        outputs = await asked_of(ChatModel(there.source()))
    (cut_off,) = (output for output in outputs if isinstance(output, CutOff))
    assert cut_off.reason == reason
    assert isinstance(outputs[-1], TokensUsed)


async def test_reasoning_is_not_heard() -> None:
    async with standing(OpenAIScript(in_turn(Said("Yes.", reasoning="They ask for hours")))) as there:
        assert text_of(await asked_of(ChatModel(there.source()))) == "Yes."


@pytest.mark.parametrize(
    ("fault", "is_retryable"),
    [
        (Fault.REFUSE, False),
        (Fault.TOO_MANY, True),
        (Fault.BROKEN, True),
        (Fault.CLOSE_1006, True),
        (Fault.CLOSE_1011, True),
        (Fault.GARBAGE, True),
        (Fault.BIG_CHUNK, True),
    ],
)
async def test_a_fault_of_the_server_is_the_providers(fault: Fault, is_retryable: bool) -> None:
    async with standing(fault=fault) as there:
        model = ChatModel(there.source())
        with pytest.raises(ProviderError) as failed:
            await asked_of(model)
    assert failed.value.retryable is is_retryable
    assert KEY not in str(failed.value)
    assert len(there.asked) == 1  # the second attempt is the engine's


async def test_a_body_cut_anywhere_is_read_as_if_it_were_whole() -> None:
    async with standing(OpenAIScript(in_turn("Größe: ümläut … 日本語")), Fault.ODD_PCM) as there:
        assert text_of(await asked_of(ChatModel(there.source()))) == "Größe: ümläut … 日本語"


async def test_an_answer_of_no_word_is_an_answer() -> None:
    async with standing(fault=Fault.ZERO_AUDIO) as there:
        assert text_of(await asked_of(ChatModel(there.source()))) == ""


WORD = b'data: {"choices": [{"delta": {"content": "on and on"}}]}\n\n'
END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


async def test_an_answer_nobody_wants_any_more_is_cut_off_at_the_server() -> None:
    gone = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            yield WORD
            await asyncio.Event().wait()
        finally:
            gone.set()

    async def answer(_request: Request) -> Response:
        return StreamingResponse(endless(), media_type="text/event-stream")

    async with answering(answer) as url:
        model = ChatModel(source_at(url))
        async with asyncio.timeout(30):
            async with aclosing(model.respond(PROMPT)) as outputs:
                assert await anext(outputs) == TextDelta("on and on")
            await gone.wait()
        await model.aclose()


async def test_turns_one_after_another_share_a_connection() -> None:
    ports: list[int] = []

    async def answer(request: Request) -> Response:
        assert request.client is not None
        ports.append(request.client.port)
        return StreamingResponse(stream_of((WORD, END)), media_type="text/event-stream")

    async with answering(answer) as url:
        model = ChatModel(source_at(url))
        await model.prepare()
        for _ in range(3):
            assert text_of(await all_of(model.respond(PROMPT))) == "on and on"
        await model.aclose()
    assert len(ports) == 4
    assert len(set(ports)) == 1
