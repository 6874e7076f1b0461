"""What a model without tokens says it used, and where it stops."""

from __future__ import annotations

import pytest

from pipeline.events.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Message,
    OutputAudio,
)
from pipeline.provider import CutOff, FunctionTool, ModelOutput, Prompt, TextDelta, TokensUsed, ToolRequest
from pipeline.providers.word_tokens import metered, words_of_prompt

ANSWER = (TextDelta("One"), TextDelta(" moment,"), TextDelta(" please."), ToolRequest("c", "look_up", '{"id": 7}'))
WORDS = 1 + 1 + 1 + 3


def test_a_prompt_costs_the_words_of_all_its_parts() -> None:
    items = (
        Message(id="1", role="user", content=(InputText(text="Look at this"), InputImage(image_url="data:,"))),
        Message(id="2", role="user", content=(InputAudio(transcript=None), InputAudio(transcript="and this"))),
        Message(id="3", role="assistant", content=(OutputAudio(), OutputAudio(transcript="I see"))),
        FunctionCall(id="4", call_id="c", name="look_up", arguments='{"id": 7}'),
        FunctionCallOutput(id="5", call_id="c", output="it is gone"),
    )
    assert words_of_prompt(Prompt("Be kind to all.", items)) == 4 + 3 + 2 + 2 + 3 + 3
    assert words_of_prompt(Prompt("", (), (FunctionTool("look_up", "Finds an order"),))) == 4
    assert words_of_prompt(Prompt("", ())) == 0


@pytest.mark.parametrize("limit", [None, WORDS, WORDS + 1])
def test_an_answer_within_its_limit_is_whole(limit: int | None) -> None:
    prompt = Prompt("Be kind.", (), max_output_tokens=limit)
    assert list(metered(prompt, ANSWER)) == [*ANSWER, TokensUsed(2, WORDS)]


@pytest.mark.parametrize(("limit", "outputs", "used"), [(1, 1, 1), (2, 2, 2), (3, 3, 3), (WORDS - 1, 3, 3)])
def test_an_answer_past_its_limit_is_cut_off_where_the_next_output_does_not_fit(
    limit: int, outputs: int, used: int
) -> None:
    prompt = Prompt("Be kind.", (), max_output_tokens=limit)
    expected: list[ModelOutput] = [*ANSWER[:outputs], CutOff("max_output_tokens"), TokensUsed(2, used)]
    assert list(metered(prompt, ANSWER)) == expected


def test_an_answer_of_no_words_costs_its_prompt_alone() -> None:
    assert list(metered(Prompt("Be kind.", (), max_output_tokens=1), ())) == [TokensUsed(2, 0)]
