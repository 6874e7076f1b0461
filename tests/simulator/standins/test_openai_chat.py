from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.standins.fault import Fault
from simulator.standins.http_answer import BIG_BYTES
from simulator.standins.openai_chat import Called, Said, completion, echo, events, in_turn, usage_of, words_of


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def told(*, said: Said, fault: Fault = Fault.NONE) -> list[dict[str, Any]]:
    wire = events(1, "m", said, None, fault)
    assert wire[-1] == b"data: [DONE]\n\n"
    return [json.loads(event.removeprefix(b"data: ")) for event in wire[:-1]]


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        ([], "Hello!"),
        ([{"role": "system", "content": "Be kind."}], "Hello!"),
        ([user("What time is it?")], "You said: What time is it."),
        ([user("Well, goodbye then")], "Thank you for calling. Goodbye!"),
        ([user("hi"), {"role": "tool", "content": "42"}], "I looked that up for you. The answer is: 42"),
        ([user("one"), {"role": "assistant", "content": "two"}], "You said: one."),
    ],
)
def test_the_usual_answers_make_a_small_conversation(messages: list[dict[str, Any]], answer: str) -> None:
    assert echo(messages).text.startswith(answer)


def test_answers_come_in_turn_and_the_last_one_again_and_again() -> None:
    answer = in_turn("one", Said("two"), "three")
    assert [answer([]).text for _ in range(5)] == ["one", "two", "three", "three", "three"]
    assert [in_turn("only")([]).text for _ in range(2)] == ["only", "only"]


def test_words_are_those_of_a_text_or_of_the_texts_among_parts() -> None:
    parts = [{"type": "text", "text": "what is"}, {"type": "image_url"}, {"type": "text", "text": "this"}]
    assert [words_of({"content": content}) for content in ("hi", None, parts)] == ["hi", "", "what is this"]


def test_an_answer_ends_as_it_is_told_to_or_by_what_it_is() -> None:
    assert [said.finish_reason for said in (Said("a"), Said(calls=(Called("f"),)), Said("a", finish="length"))] == [
        "stop",
        "tool_calls",
        "length",
    ]


def test_a_stream_is_a_token_an_event_and_says_how_it_ended() -> None:
    chunks = told(said=Said("Hello out there", reasoning="so be it"))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello out there"
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "so be it "
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]


def test_arguments_of_a_function_come_in_pieces_behind_its_name() -> None:
    said = Said(calls=(Called("f", '{"order": 4815}'), Called("g", id="mine")))
    pieces = [piece for chunk in told(said=said) for piece in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [(piece["index"], piece["id"], piece["function"]["name"]) for piece in pieces if "id" in piece] == [
        (0, "call_1_0", "f"),
        (1, "mine", "g"),
    ]
    arguments = ["", ""]
    for piece in pieces:
        arguments[piece["index"]] += piece["function"]["arguments"]
    assert arguments == ['{"order": 4815}', "{}"]


def test_usage_is_an_event_of_its_own_at_the_end() -> None:
    usage = usage_of([user("one two three")], Said("four five"), 2)
    wire = events(1, "m", Said("four five"), usage, Fault.NONE)
    last = json.loads(wire[-2].removeprefix(b"data: "))
    assert last["choices"] == []
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (3, 2)
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}


def test_an_answer_that_is_not_streamed_is_whole() -> None:
    whole = completion(7, "m", Said(calls=(Called("f", "{}", "id"),)), {})
    (choice,) = whole["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in completion(7, "m", Said("hi"), {})["choices"][0]["message"]


def test_faults_of_the_body() -> None:
    silent = [
        chunk["choices"][0]["delta"].get("content") for chunk in told(said=Said("a b"), fault=Fault.ZERO_AUDIO)
    ]
    assert not any(silent)
    big = events(1, "m", Said("a b"), None, Fault.BIG_CHUNK)
    assert max(map(len, big)) > BIG_BYTES - 100
    broken = events(1, "m", Said("a b c d"), None, Fault.GARBAGE)
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken[-1].removeprefix(b"data: "))
