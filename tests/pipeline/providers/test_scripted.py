"""The scripted model, by whole answers to whole conversations."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline.agent import Agent, load_agent
from pipeline.agent_tools import TableTool
from pipeline.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
)
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
from pipeline.providers.scripted import ScriptedModel
from tests.pipeline.providers.streams import all_of

pytestmark = pytest.mark.anyio


def tables_of(agent: Agent) -> list[TableTool]:
    return [tool for tool in agent.tools if isinstance(tool, TableTool)]


@pytest.fixture(scope="module")
def agent() -> Agent:
    return load_agent("reception")


def caller(text: str | None, id: str = "item_1") -> Message:
    return Message(id=id, role="user", content=(InputAudio(transcript=text),))


def said(text: str, id: str = "item_0") -> Message:
    return Message(id=id, role="assistant", content=(OutputAudio(transcript=text),))


async def outputs(agent: Agent, *items: Item, tools: tuple[FunctionTool, ...] | None = None) -> list[ModelOutput]:
    """The answer, without what it cost."""
    offered = tuple(tool.function for tool in tables_of(agent)) if tools is None else tools
    *made, used = await everything(agent, Prompt("", items, offered))
    assert isinstance(used, TokensUsed)
    return made


async def everything(agent: Agent, prompt: Prompt) -> list[ModelOutput]:
    assert agent.dialogue is not None
    return await all_of(ScriptedModel(agent.dialogue).respond(prompt))


def text_of(made: list[ModelOutput]) -> str:
    return "".join(output.text for output in made if isinstance(output, TextDelta))


@pytest.mark.parametrize(
    ("words", "part_of_the_answer"),
    [
        ("what are your opening hours", "Monday to Friday"),
        ("can i talk to a person", "colleagues call you back"),
        ("stop please", "Of course."),
        ("tell me about your services", "second-hand books"),
        ("how much does it cost", "3.50"),
        ("thank you", "You are welcome"),
        ("no", "say goodbye when you are done"),
        ("hello", "How can I help you?"),
        ("yes", "How can I help you?"),
        ("where is my order", "number of your order"),
        ("", "Sorry, I did not catch that."),
        (None, "Sorry, I did not catch that."),
        ("the weather is nice", "Sorry, I did not catch that."),
    ],
)
async def test_the_reception_answers_in_words(agent: Agent, words: str | None, part_of_the_answer: str) -> None:
    made = await outputs(agent, said(agent.greeting), caller(words))
    assert part_of_the_answer in text_of(made)
    assert all(isinstance(output, TextDelta) for output in made)


async def test_words_come_one_by_one_and_joined_are_the_answer(agent: Agent) -> None:
    made = await outputs(agent, caller("stop"))
    assert made == [TextDelta(w) for w in ["Of", " course.", " What", " would", " you", " like", " to", " know?"]]


@pytest.mark.parametrize(
    "words", ["where is my order four eight one five", "4 8 1 5", "order number forty-eight 15"]
)
async def test_an_order_number_however_said_is_looked_up(agent: Agent, words: str) -> None:
    made = await outputs(agent, caller(words, id="item_7"))
    assert text_of(made) == "One moment, I am looking."
    assert made[-1] == ToolRequest("call_item_7", "look_up_order", json.dumps({"order_id": "4815"}))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("4815", "Order 4 8 1 5 is on its way and arrives on Thursday."),
        ("1623", "Order 1 6 2 3 is packed. It arrives early next week."),
        ("4242", "Order 4 2 4 2 was delivered this morning."),
        ("9999", "I cannot find an order 9 9 9 9. Could you check the number?"),
    ],
)
async def test_what_the_tool_found_is_said(agent: Agent, order: str, expected: str) -> None:
    arguments = json.dumps({"order_id": order})
    call = FunctionCall(id="item_2", call_id="c", name="look_up_order", arguments=arguments)
    result = FunctionCallOutput(id="item_3", call_id="c", output=tables_of(agent)[0].answer(arguments))
    conversation = (caller(f"order {order}"), said("One moment,", "item_4"), call, result)
    assert text_of(await outputs(agent, *conversation)) == expected


async def test_it_says_goodbye_and_hangs_up_and_has_nothing_to_add(agent: Agent) -> None:
    made = await outputs(agent, caller("thank you goodbye"))
    assert text_of(made).endswith("Goodbye!")
    assert made[-1] == ToolRequest("call_item_1", "hang_up", "{}")
    call = FunctionCall(id="item_2", call_id="call_item_1", name="hang_up", arguments="{}")
    result = FunctionCallOutput(id="item_3", call_id="call_item_1", output='{"status": "ok"}')
    assert await outputs(agent, caller("thank you goodbye"), call, result) == []


async def test_it_opens_a_conversation_nobody_has_spoken_in(agent: Agent) -> None:
    assert text_of(await outputs(agent)) == "Hello, how can I help you?"
    assert text_of(await outputs(agent, said("Hello"))) == "Hello, how can I help you?"


async def test_fallbacks_take_turns(agent: Agent) -> None:
    assert agent.dialogue is not None
    items = [caller("humbug", id=f"item_{n}") for n in range(3)]
    told = [text_of(await outputs(agent, *items[:n])) for n in (1, 2, 3)]
    assert told == [*agent.dialogue.fallback, agent.dialogue.fallback[0]]


@pytest.mark.parametrize("output", ["out of order", "[1]"])
async def test_a_result_that_is_no_object_gets_the_general_answer(agent: Agent, output: str) -> None:
    call = FunctionCall(id="item_2", call_id="c", name="look_up_order", arguments="{}")
    result = FunctionCallOutput(id="item_3", call_id="c", output=output)
    assert "I cannot find an order" in text_of(await outputs(agent, call, result))


async def test_a_result_without_its_call_gets_the_fallback(agent: Agent) -> None:
    result = FunctionCallOutput(id="item_3", call_id="c", output="{}")
    assert "did not catch that" in text_of(await outputs(agent, result))


async def test_a_tool_the_session_does_not_offer_is_an_error_that_names_it(agent: Agent) -> None:
    with pytest.raises(ProviderError, match="topic 'goodbye' calls the tool 'hang_up'") as failure:
        await outputs(agent, caller("goodbye"), tools=())
    assert not failure.value.retryable


PICTURE = InputImage(image_url="data:image/png;base64,AA==")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((PICTURE,), "did not catch that"), ((PICTURE, InputText(text="stop please")), "Of course.")],
)
async def test_it_goes_by_the_words_beside_a_picture(
    agent: Agent, parts: tuple[InputText | InputImage, ...], expected: str
) -> None:
    # What it said before may have been cut off ahead of its first word: a part without a transcript.
    silent = Message(id="item_0", role="assistant", content=(OutputAudio(),))
    assert expected in text_of(await outputs(agent, silent, Message(id="item_1", role="user", content=parts)))


async def test_it_says_what_an_answer_cost_in_words(agent: Agent) -> None:
    made = await everything(agent, Prompt("Be kind to all.", (said("Hello there."), caller("stop"))))
    assert len(text_of(made).split()) == 8
    assert made[-1] == TokensUsed(4 + 2 + 1, 8)


async def test_an_answer_that_may_not_be_so_long_is_cut_off_before_its_tool(agent: Agent) -> None:
    tools = tuple(tool.function for tool in tables_of(agent))
    prompt = Prompt("", (caller("order 4815"),), tools)
    whole = await everything(agent, prompt)
    say = [output for output in whole if isinstance(output, TextDelta)]
    assert isinstance(whole[len(say)], ToolRequest)
    for limit in (len(say) - 1, len(say)):
        *made, cut_off, used = await everything(agent, replace(prompt, max_output_tokens=limit))
        assert made == say[:limit]
        assert cut_off == CutOff("max_output_tokens")
        assert isinstance(used, TokensUsed) and used.output_tokens == limit


async def test_a_tool_is_called_where_the_dialogue_says_so_even_if_one_is_required(agent: Agent) -> None:
    prompt = Prompt(
        "", (caller("stop"),), tuple(tool.function for tool in tables_of(agent)), tool_choice="required"
    )
    assert await everything(agent, prompt) == await everything(agent, replace(prompt, tool_choice="auto"))
