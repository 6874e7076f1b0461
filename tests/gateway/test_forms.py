from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest
from starlette.requests import Request

from gateway.auth import SignatureCheck
from gateway.errors import FormRefused, Refusal, SignatureRefused
from gateway.forms import BODY_LIMIT_BYTES, FIELDS_LIMIT, path_and_query, read_signed_form
from tests.gateway.signed import FORM_TYPE, PUBLIC_URL, SETTINGS, VOICE, sign

pytestmark = pytest.mark.anyio

TARGET = "/twilio/voice"
SIGNATURE = sign(PUBLIC_URL + TARGET, VOICE)
CHECK = SignatureCheck(SETTINGS)


def request(
    *chunks: bytes,
    set_headers: Iterable[tuple[str, str]] = (),
    is_silent: bool = False,
    hangs_up: bool = False,
    **scope: Any,
) -> Request:
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

    named = dict([("x-twilio-signature", SIGNATURE), ("content-type", FORM_TYPE), *set_headers])
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named.items() if value]
    whole = {"type": "http", "method": "POST", "path": TARGET, "query_string": b"", "headers": raw}
    return Request(whole | scope, receive)


async def refusal(request: Request, deadline_s: float = 5.0) -> Refusal:
    with pytest.raises(Refusal) as refused, anyio.fail_after(10):
        await read_signed_form(request, CHECK, deadline_s)
    return refused.value


async def test_a_signed_form_is_read_in_whatever_pieces_it_comes() -> None:
    body = urlencode(VOICE).encode()
    form = await read_signed_form(request(body[:7], body[7:]), CHECK)
    assert dict(form) == VOICE


async def test_a_content_type_may_name_its_charset() -> None:
    body = urlencode(VOICE).encode()
    headers = [("content-type", FORM_TYPE.upper() + "; charset=UTF-8")]
    assert dict(await read_signed_form(request(body, set_headers=headers), CHECK)) == VOICE


async def test_an_unsigned_request_is_refused_before_its_body_is_asked_for() -> None:
    refused = await refusal(request(is_silent=True, set_headers=[("x-twilio-signature", "")]))
    assert (type(refused), refused.reason) == (SignatureRefused, "no_signature")


async def test_a_signature_sent_twice_is_none() -> None:
    twice = [(b"x-twilio-signature", SIGNATURE.encode())] * 2 + [(b"content-type", FORM_TYPE.encode())]
    refused = await refusal(request(urlencode(VOICE).encode(), headers=twice))
    assert refused.reason == "bad_signature"


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data; boundary=x"])
async def test_what_is_no_form_is_refused_unread(content_type: str) -> None:
    refused = await refusal(request(is_silent=True, set_headers=[("content-type", content_type)]))
    assert (refused.status_code, refused.reason) == (415, "not_a_form")
    assert FORM_TYPE in str(refused)


@pytest.mark.parametrize("declared", [str(BODY_LIMIT_BYTES + 1), "9" * 5_000])
async def test_a_body_declared_too_large_is_refused_unread(declared: str) -> None:
    refused = await refusal(request(is_silent=True, set_headers=[("content-length", declared)]))
    assert (refused.status_code, refused.reason) == (413, "too_large")


@pytest.mark.parametrize("declared", ["", "5", "-1", "x", "²"])
async def test_a_body_larger_than_it_says_is_refused_on_the_way(declared: str) -> None:
    chunks = [b"x" * 1024] * 65
    refused = await refusal(request(*chunks, is_silent=True, set_headers=[("content-length", declared)]))
    assert (refused.status_code, refused.reason) == (413, "too_large")


async def test_a_body_of_just_the_limit_is_read() -> None:
    fields = {"Text": "x" * (BODY_LIMIT_BYTES - len("Text="))}
    headers = [("content-length", str(BODY_LIMIT_BYTES)), ("x-twilio-signature", sign(PUBLIC_URL + TARGET, fields))]
    form = await read_signed_form(request(urlencode(fields).encode(), set_headers=headers), CHECK)
    assert dict(form) == fields


async def test_a_body_that_does_not_come_is_given_up() -> None:
    refused = await refusal(request(b"CallSid=", is_silent=True), deadline_s=0.01)
    assert (refused.status_code, refused.reason) == (408, "slow_body")


async def test_a_sender_that_hangs_up_is_let_go() -> None:
    refused = await refusal(request(b"CallSid=", hangs_up=True))
    assert (refused.status_code, refused.reason) == (400, "disconnected")


@pytest.mark.parametrize("body", [b"a=%ff", b"a=\xc3\xbc", b"&".join([b"a=1"] * (FIELDS_LIMIT + 1))])
async def test_a_body_that_is_no_form_is_refused(body: bytes) -> None:
    refused = await refusal(request(body))
    assert isinstance(refused, FormRefused)
    assert (refused.status_code, refused.reason) == (400, "not_a_form")


async def test_a_form_that_was_changed_is_refused() -> None:
    refused = await refusal(request(urlencode(VOICE | {"From": "+1900"}).encode()))
    assert (refused.status_code, refused.reason) == (403, "bad_signature")


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({}, "/twilio/voice"),
        ({"raw_path": b"/twilio/v%6Fice", "query_string": b"a=%20b"}, "/twilio/v%6Fice?a=%20b"),
        ({"raw_path": None, "path": "/ü"}, "/Ã¼"),
    ],
)
async def test_the_target_is_as_it_stood_in_the_request_line(scope: dict[str, Any], target: str) -> None:
    assert path_and_query(request(**scope)) == target
