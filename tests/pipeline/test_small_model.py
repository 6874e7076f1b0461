"""A word from a model beside the conversation."""

from __future__ import annotations

import pytest

from pipeline.events.items import FunctionCall, InputText, Message
from pipeline.provider import Prompt, ProviderError, TokensUsed, ToolRequest
from pipeline.small_model import MOST_CHARS, ask, spoken, tail_of
from tests.fakes import FakeModel, failure

pytestmark = pytest.mark.anyio

PROMPT = Prompt(instructions="Say one word.", items=())


def message(text: str) -> Message:
    return Message(id=text, role="user", content=(InputText(text=text),))


async def test_its_words_are_joined_and_nothing_else_of_it_counts() -> None:
    model = FakeModel([" mm", "-hm \n", ToolRequest("c", "f", "{}"), TokensUsed(3, 1)])
    assert await ask(model, PROMPT) == "mm-hm"
    assert (model.prompts, model.running) == ([PROMPT], 0)


async def test_a_model_that_writes_on_is_cut_off_and_closed() -> None:
    model = FakeModel(["word " * 50] * 50)
    assert len(await ask(model, PROMPT)) == MOST_CHARS - 1  # without the blank at its end
    assert model.running == 0


async def test_its_failure_is_the_askers_to_deal_with() -> None:
    with pytest.raises(ProviderError):
        await ask(FakeModel([failure()]), PROMPT)


def test_the_tail_has_the_last_messages_that_have_words() -> None:
    call = FunctionCall(id="c", call_id="c", name="f", arguments="{}")
    items = (message("one"), message("two"), message(""), call, message("three"))
    assert tail_of(items, 2) == (message("two"), message("three"))
    assert tail_of(items, 9) == (message("one"), message("two"), message("three"))
    assert tail_of(items, 0) == ()
    assert spoken("three").text == "three"
