from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.requests import Request

from gateway.errors import JsonRefused
from gateway.realtime.json_body import LONGEST_BODY_BYTES, JsonBody, read_json

pytestmark = pytest.mark.anyio


def request(*chunks: bytes, is_silent: bool = False, hangs_up: bool = False, **headers: str) -> Request:
    """A request whose body comes in these chunks; then more never comes, or the sender hangs up."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    if hangs_up:
        messages.append({"type": "http.disconnect"})
    elif not is_silent:
        messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


async def refusal(request: Request, deadline_s: float = 5.0) -> JsonRefused:
    with pytest.raises(JsonRefused) as refused, anyio.fail_after(10):
        await read_json(request, deadline_s=deadline_s)
    return refused.value


@pytest.mark.parametrize("content_type", ["", "application/json", "Application/JSON; charset=utf-8"])
async def test_an_object_is_read_in_whatever_pieces_it_comes(content_type: str) -> None:
    body = await read_json(request(b'{"a":', b"[1]}", content_type=content_type))
    assert body == JsonBody({"a": [1]}, 9)


async def test_an_empty_body_is_an_empty_object_only_where_it_may_be() -> None:
    assert (await read_json(request(b" \n"), may_be_empty=True)).fields == {}
    assert (await refusal(request(b""))).reason == "invalid_json"


async def test_what_is_no_object_is_refused_however_deep_it_nests() -> None:
    for depth in (1, 500, *range(900, 1020)):
        assert (await refusal(request(b"[" * depth + b"]" * depth))).reason == "invalid_json"
    refused = await refusal(request(b'"an object"'))
    assert str(refused) == "The body: expected a JSON object, got an object."


async def test_a_body_may_be_as_large_as_its_reader_says() -> None:
    body = b'{"a":"' + b"x" * LONGEST_BODY_BYTES + b'"}'
    assert (await read_json(request(body), most_bytes=len(body))).size_bytes == len(body)
    with pytest.raises(JsonRefused, match=f"at most {len(body) - 1} bytes"):
        await read_json(request(body), most_bytes=len(body) - 1)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_what_is_no_json_is_refused_unread(content_type: str) -> None:
    refused = await refusal(request(is_silent=True, content_type=content_type))
    assert (refused.status_code, refused.reason) == (415, "not_json")


@pytest.mark.parametrize("declared", [str(LONGEST_BODY_BYTES + 1), "9" * 5_000])
async def test_a_body_declared_too_large_is_refused_unread(declared: str) -> None:
    refused = await refusal(request(is_silent=True, content_length=declared))
    assert (refused.status_code, refused.reason) == (413, "too_large")


@pytest.mark.parametrize("declared", ["", "5", "-1", "²"])
async def test_a_body_larger_than_it_says_is_refused_on_the_way(declared: str) -> None:
    refused = await refusal(request(*[b" " * 1024] * 257, is_silent=True, content_length=declared))
    assert (refused.status_code, refused.reason) == (413, "too_large")


async def test_a_body_that_does_not_come_is_given_up() -> None:
    refused = await refusal(request(b"{", is_silent=True), deadline_s=0.01)
    assert (refused.status_code, refused.reason) == (408, "slow_body")


async def test_a_sender_that_hangs_up_is_let_go() -> None:
    assert (await refusal(request(b"{", hangs_up=True))).reason == "disconnected"


def test_a_field_is_given_or_its_default_or_refused_by_name() -> None:
    body = JsonBody({"text": "a", "flag": True, "nothing": None, "number": 1}, 0)
    assert (body.text("text"), body.text("nothing", "x"), body.text("absent", "y")) == ("a", "x", "y")
    assert (body.flag("flag"), body.flag("absent")) == (True, False)
    for ask in (lambda: body.text("number"), lambda: body.flag("number"), lambda: body.text("text", longest=0)):
        with pytest.raises(JsonRefused) as refused:
            ask()
        assert (refused.value.status_code, refused.value.reason) == (400, "invalid_value")
        assert refused.value.param in ("number", "text")


def test_an_unknown_field_is_refused_by_name_however_long() -> None:
    JsonBody({"a": 1}, 0).refuse_unknown(("a", "b"))
    with pytest.raises(JsonRefused, match="Unknown parameter: 'c'") as refused:
        JsonBody({"a": 1, "c": 1}, 0).refuse_unknown(("a", "b"))
    assert refused.value.param == "c"
    with pytest.raises(JsonRefused) as refused:
        JsonBody({"x" * 10_000: 1}, 0).refuse_unknown(())
    assert len(str(refused.value)) < 300
