from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pipeline.provider import ProviderError
from pipeline.providers.openai.client import Client
from pipeline.providers.openai.event_stream import MAX_EVENT_BYTES, EventReader, EventTooLong, events_of
from tests.pipeline.providers.openai.standing import answering, source_at
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio

WIRE = 'data: {"a": 1}\r\n\r\n: a comment\n\nevent: ping\ndata:two\ndata: linés\n\nid: 7\n\ndata: last\r\r'.encode()
EVENTS = [b'{"a": 1}', "two\nlinés".encode(), b"last"]


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [data for piece in pieces for data in reader.feed(piece)]


def test_events_are_read_whatever_ends_their_lines() -> None:
    assert read(WIRE) == EVENTS


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_a_body_may_be_cut_anywhere(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WIRE)]
    assert read(*(WIRE[start:end] for start, end in zip(places, places[1:], strict=False))) == EVENTS


def test_the_end_of_a_line_may_be_cut_in_two() -> None:
    assert read(b"data: one\r", b"\ndata: two\r", b"\n\r", b"\n") == [b"one\ntwo"]


def test_an_event_that_is_not_ended_is_none() -> None:
    assert read(b"data: one\n\n", b"data: two\n") == [b"one"]


def test_an_endless_line_is_refused_before_it_ends() -> None:
    with pytest.raises(EventTooLong):
        read(b"data: ", *[b"x" * 1024] * (MAX_EVENT_BYTES // 1024 + 1))


def test_endless_lines_of_one_event_are_refused_too() -> None:
    with pytest.raises(EventTooLong):
        read(*[b"data: " + b"x" * 1024 + b"\n"] * (MAX_EVENT_BYTES // 1024 + 1))


async def events_from(*pieces: bytes) -> list[bytes] | ProviderError:
    async def answer(_request: Request) -> Response:
        return StreamingResponse(stream_of(pieces), media_type="text/event-stream")

    async with answering(answer) as url:
        client = Client(source_at(url))
        create = client.sdk.chat.completions.with_streaming_response.create
        async with create(model="m", messages=[], stream=True) as response:
            try:
                return await all_of(events_of(client, response))
            except ProviderError as error:
                return error
            finally:
                await client.aclose()


async def test_events_are_read_to_the_one_that_says_that_all_is_done() -> None:
    assert await events_from(b"data: 1\n\ndata: 2\n\n", b"data: [DONE]\n\ndata: 3\n\n") == [b"1", b"2"]


async def test_a_stream_may_end_without_saying_so() -> None:
    assert await events_from(b"data: 1\n\n") == [b"1"]


async def test_an_event_too_long_is_a_failure_of_the_provider() -> None:
    refused = await events_from(b"data: " + b"x" * (MAX_EVENT_BYTES + 1))
    assert isinstance(refused, ProviderError)
    assert refused.retryable
    assert "more than 256 KiB" in str(refused)
