from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
from pipeline.provider import FunctionTool, Prompt
from pipeline.providers.openai.messages import NOT_FINISHED, is_object, messages_of, tools_of

PNG = "data:image/png;base64,AAAA"


def user(text: str) -> Message:
    return Message(id="u", role="user", content=(InputAudio(transcript=text),))


def assistant(text: str) -> Message:
    return Message(id="a", role="assistant", content=(OutputAudio(transcript=text),))


def call(number: int, arguments: str = "{}") -> FunctionCall:
    return FunctionCall(id=f"f{number}", call_id=f"call_{number}", name="look_up", arguments=arguments)


def output(number: int, said: str = "done") -> FunctionCallOutput:
    return FunctionCallOutput(id=f"o{number}", call_id=f"call_{number}", output=said)


def told(*items: Item, instructions: str = "", takes_images: bool = False) -> list[dict[str, object]]:
    return messages_of(Prompt(instructions, items), takes_images=takes_images)


def asked(number: int, arguments: str = "{}") -> dict[str, object]:
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "look_up", "arguments": arguments},
    }


def test_instructions_come_first_and_words_keep_their_speakers() -> None:
    system = Message(id="s", role="system", content=(InputText(text="The caller is angry."),))
    assert told(user("hi"), assistant("hello"), system, instructions="Be kind.") == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "system", "content": "The caller is angry."},
    ]


def test_a_prompt_of_nothing_is_still_a_message() -> None:
    assert told() == [{"role": "system", "content": ""}]


def test_parallel_calls_are_one_message_followed_by_what_each_returned() -> None:
    assert told(user("both"), call(1, '{"a": 1}'), call(2), output(2, "two"), output(1, "one")) == [
        {"role": "user", "content": "both"},
        {"role": "assistant", "content": None, "tool_calls": [asked(1, '{"a": 1}'), asked(2)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
    ]


def test_what_was_said_just_before_a_call_belongs_to_it() -> None:
    assert told(assistant("One moment."), call(1), output(1)) == [
        {"role": "assistant", "content": "One moment.", "tool_calls": [asked(1)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]


def test_a_call_without_a_result_is_told_to_be_unfinished() -> None:
    assert told(call(1), user("still there?"))[1:] == [
        {"role": "tool", "tool_call_id": "call_1", "content": NOT_FINISHED},
        {"role": "user", "content": "still there?"},
    ]


def test_a_result_that_came_after_the_caller_spoke_stands_behind_its_call() -> None:
    assert [message["role"] for message in told(call(1), user("hurry"), output(1))] == ["assistant", "tool", "user"]


def test_calls_one_after_another_are_messages_of_their_own() -> None:
    roles = [message["role"] for message in told(call(1), output(1), call(2), output(2))]
    assert roles == ["assistant", "tool", "assistant", "tool"]


def test_a_result_whose_call_is_gone_is_told_in_words() -> None:
    assert told(output(1, "42")) == [{"role": "user", "content": "(A function called earlier returned: 42)"}]


def test_arguments_that_are_no_object_are_not_sent_back() -> None:
    assert told(call(1, '{"a": '))[0]["tool_calls"] == [asked(1, "{}")]


def test_pictures_go_to_models_that_take_them_and_to_no_other() -> None:
    content = (InputText(text="What is this?"), InputImage(image_url=PNG, detail="low"), InputText(text=""))
    shown = Message(id="u", role="user", content=content)
    assert told(shown) == [{"role": "user", "content": "What is this?"}]
    assert told(shown, takes_images=True) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            ],
        }
    ]


def test_a_picture_alone_is_nothing_to_a_model_that_takes_none() -> None:
    shown = Message(id="u", role="user", content=(InputImage(image_url=PNG),))
    assert told(user("look"), shown) == [{"role": "user", "content": "look"}]


def test_tools_are_told_as_functions() -> None:
    tool = FunctionTool("look_up", "Finds an order.", {"type": "object"})
    assert tools_of((tool,)) == [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Finds an order.", "parameters": {"type": "object"}},
        }
    ]


def test_only_a_whole_object_is_an_object() -> None:
    assert [is_object(text) for text in ("{}", '{"a": 1}', '{"a": 1', "[]", "", "[" * 100_000)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


ITEMS = st.lists(
    st.one_of(
        st.sampled_from("ab").map(user),
        st.sampled_from("cd").map(assistant),
        st.integers(0, 3).map(output),
    ),
    max_size=8,
)


@given(ITEMS, st.permutations(range(4)), st.lists(st.integers(0, 8), min_size=4, max_size=4))
def test_whatever_the_order_every_call_is_followed_by_its_results(
    items: list[Item], numbers: list[int], places: list[int]
) -> None:
    for number, place in zip(numbers, places, strict=True):
        items.insert(place, call(number))
    owed: list[object] = []
    for message in told(*items):
        if message["role"] == "tool":
            assert message["tool_call_id"] == owed.pop(0)
        else:
            assert not owed
            calls = message.get("tool_calls", [])
            assert isinstance(calls, list)
            owed = [one["id"] for one in calls]
    assert not owed
