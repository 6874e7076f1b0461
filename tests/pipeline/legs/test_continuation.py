"""Going on where a model broke off."""

from __future__ import annotations

import pytest

from pipeline.events.items import InputText, Message, OutputText
from pipeline.legs.continuation import NOTE, continued, joined
from pipeline.provider import FunctionTool, Prompt

QUESTION = Message(id="1", role="user", content=(InputText(text="Who are you?"),))
PROMPT = Prompt("Be kind.", (QUESTION,), tools=(FunctionTool("look_up"),), temperature=0.5)


def test_the_next_model_sees_the_unfinished_words_as_its_own_and_a_note() -> None:
    prompt = continued(PROMPT, "I am ")
    assert (prompt.instructions, prompt.tools, prompt.temperature) == ("Be kind.", PROMPT.tools, 0.5)
    question, unfinished, note = prompt.items
    assert question == QUESTION
    assert isinstance(unfinished, Message) and isinstance(note, Message)
    assert (unfinished.role, unfinished.status) == ("assistant", "incomplete")
    assert unfinished.content == (OutputText(text="I am "),)
    assert (note.role, note.text) == ("system", NOTE)


@pytest.mark.parametrize("said", ["", " \n"])
def test_where_nothing_was_said_it_is_asked_as_before(said: str) -> None:
    assert continued(PROMPT, said) is PROMPT


@pytest.mark.parametrize(
    ("said", "text", "following"),
    [
        ("my", "name", " name"),
        ("Well,", "then", " then"),
        ("my ", "name", "name"),
        ("my", " name", " name"),
        ("my", ", oh", ", oh"),
        ("", "name", "name"),
        ("my", "", ""),
        ("über", "alles", " alles"),
        ("你", "好", "好"),
        ("สวัส", "ดี", "ดี"),
        ("it costs $", "5", "5"),
    ],
)
def test_words_are_joined_as_their_script_joins_them(said: str, text: str, following: str) -> None:
    assert joined(said, text) == following
