from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.provider import CutOff, ProviderError, TokensUsed, ToolRequest
from pipeline.providers.openai.answer import MAX_ARGUMENTS_BYTES, MOST_CALLS, Answer


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"choices": [choice], **more}).encode()


def call(index: int | None = 0, id: str | None = None, name: str | None = None, more: str | None = None) -> bytes:
    piece = {"index": index, "id": id, "function": {"name": name, "arguments": more}}
    return chunk({"tool_calls": [piece]})


def made(*chunks: bytes) -> tuple[str, list[object]]:
    answer = Answer("test")
    words = "".join(word for one in chunks for word in answer.take(one))
    return words, list(answer.outcome())


def test_words_come_at_once_and_tokens_at_the_end() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    last = json.dumps({"choices": [], "usage": usage}).encode()
    assert made(chunk({"content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop"), last) == (
        "Hello",
        [TokensUsed(9, 2, 4)],
    )


def test_a_refusal_is_spoken_and_reasoning_is_not() -> None:
    assert made(chunk({"reasoning_content": "hm"}), chunk({"refusal": "I can't."}), chunk({}, "stop")) == (
        "I can't.",
        [],
    )


def test_usage_may_be_told_in_part() -> None:
    assert made(chunk(None, "stop", usage={"prompt_tokens": 3}))[1] == [TokensUsed(3, 0, 0)]


def test_parallel_calls_are_put_together_by_their_index() -> None:
    assert made(
        call(0, "a", "look_up", ""),
        call(1, "b", "book", '{"day"'),
        call(0, None, None, '{"order":'),
        call(1, None, None, ': "Monday"}'),
        call(0, None, None, " 4}"),
        chunk({}, "tool_calls"),
    ) == ("", [ToolRequest("a", "look_up", '{"order": 4}'), ToolRequest("b", "book", '{"day": "Monday"}')])


@pytest.mark.parametrize("index", [0, None])
def test_calls_of_servers_that_do_not_count_are_told_apart_by_their_ids(index: int | None) -> None:
    requests = made(
        call(index, "a", "look_up", '{"n":1}'), call(index, "b", "look_up", '{"n":2}'), chunk({}, "stop")
    )[1]
    assert requests == [ToolRequest("a", "look_up", '{"n":1}'), ToolRequest("b", "look_up", '{"n":2}')]


def test_a_call_without_id_and_arguments_gets_both() -> None:
    (request,) = made(chunk({"tool_calls": [{"index": 0, "function": {"name": "stop"}}]}), chunk({}, "stop"))[1]
    assert isinstance(request, ToolRequest)
    assert (request.name, request.arguments, request.call_id[:5]) == ("stop", "{}", "call_")


def test_a_piece_without_a_function_adds_nothing() -> None:
    chunks = (call(0, "a", "stop", "{}"), chunk({"tool_calls": [{"index": 0}]}), chunk({}, "tool_calls"))
    assert made(*chunks)[1] == [ToolRequest("a", "stop", "{}")]


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_a_call_that_was_cut_off_was_never_made(finish: str, reason: Any) -> None:
    chunks = (call(0, "a", "book", '{"n":1}'), call(1, "b", "book", '{"n":'), chunk({}, finish))
    assert made(*chunks)[1] == [ToolRequest("a", "book", '{"n":1}'), CutOff(reason)]


def test_an_answer_without_an_end_broke_off() -> None:
    with pytest.raises(ProviderError, match="broke off") as broken:
        made(chunk({"content": "Hel"}))
    assert broken.value.retryable


@pytest.mark.parametrize("data", [b"{", b'"no"', b'{"choices": 3}', b'{"choices":[{"delta":{"content":"\xff"}}]}'])
def test_what_is_not_a_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(ProviderError, match="makes no sense"):
        made(data)


def test_servers_may_leave_everything_out() -> None:
    assert made(b"{}", b'{"choices": null}', b'{"choices": [{}]}', chunk(None, "stop")) == ("", [])


@pytest.mark.parametrize(
    ("error", "is_retryable", "said"),
    [
        ({"message": "overloaded", "code": "server_error"}, True, "of its own: overloaded"),
        ({"message": "too long", "code": 400}, False, "of its own: too long"),
        ({"message": "slower", "code": 429}, True, "of its own: slower"),
        ("broken", True, "of its own: broken"),
        ({}, True, "of its own"),
    ],
)
def test_an_error_in_the_stream_is_told(error: Any, is_retryable: bool, said: str) -> None:
    with pytest.raises(ProviderError) as told:
        made(json.dumps({"error": error}).encode())
    assert str(told.value).endswith(said)
    assert told.value.retryable is is_retryable


def test_arguments_without_end_are_cut_short() -> None:
    with pytest.raises(ProviderError, match="more than anybody would read"):
        made(*[call(0, "a", "look_up", "x" * (MAX_ARGUMENTS_BYTES // 2 + 1))] * 2)


def test_calls_without_end_are_cut_short() -> None:
    with pytest.raises(ProviderError, match="more than anybody would read"):
        made(*(call(number, f"c{number}", "look_up", "{}") for number in range(MOST_CALLS + 1)))
