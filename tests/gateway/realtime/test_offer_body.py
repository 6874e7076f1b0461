from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import httpx2
import openai
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from gateway.errors import JsonRefused
from gateway.realtime.offer_body import MOST_BODY_BYTES, MOST_OFFER_BYTES, OfferBody, read_offer_body

pytestmark = pytest.mark.anyio

SDP = "v=0\r\ns=Grüße\r\n"
SESSION = {"type": "realtime", "instructions": "Sei nett: ü."}
BOUNDARY = "----WebKitFormBoundaryAbC123"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def request(content_type: str | None, *chunks: bytes, query: bytes = b"", is_silent: bool = False) -> Request:
    """A request whose body comes in these pieces; if it is silent, no end comes."""
    coming: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if not is_silent:
        coming.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        if not coming:
            await anyio.sleep_forever()
        return coming.pop(0)

    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    asked = {"type": "http", "method": "POST", "path": "/", "query_string": query, "headers": headers}
    return Request(asked, receive)


def form(**parts: bytes) -> bytes:
    """As browsers write it: no part says its type."""
    line = f"--{BOUNDARY}".encode()
    head = 'Content-Disposition: form-data; name="{}"\r\n\r\n'
    written = [line + b"\r\n" + head.format(name).encode() + part + b"\r\n" for name, part in parts.items()]
    return b"".join(written) + line + b"--\r\n"


async def read(content_type: str | None, *chunks: bytes, query: bytes = b"") -> OfferBody:
    with anyio.fail_after(10):
        return await read_offer_body(request(content_type, *chunks, query=query))


async def refusal(content_type: str | None, *chunks: bytes, query: bytes = b"") -> JsonRefused:
    with pytest.raises(JsonRefused) as refused:
        await read(content_type, *chunks, query=query)
    return refused.value


@pytest.mark.parametrize("content_type", ["application/sdp", 'Application/SDP; charset="UTF-8"'])
async def test_an_offer_alone_is_the_body(content_type: str) -> None:
    body = await read(content_type, *(bytes([byte]) for byte in SDP.encode()), query=b"model=openai%2Fgpt&x=1")
    assert body == OfferBody(sdp=SDP, session=None, model="openai/gpt", answers_in="sdp")


async def test_a_browsers_form_has_the_offer_and_the_session() -> None:
    body = await read(FORM, form(sdp=SDP.encode(), other=b"?", session=json.dumps(SESSION).encode()))
    assert body == OfferBody(sdp=SDP, session=SESSION, model=None, answers_in="sdp")
    assert (await read(FORM, form(sdp=SDP.encode()))).session is None


@pytest.mark.parametrize("name", ["session", "sessionConfig"])
async def test_json_has_the_session_by_either_name_and_is_answered_in_json(name: str) -> None:
    fields = {"sdp": SDP, name: SESSION, "extra": [1]}
    body = await read("application/json; charset=utf-8", json.dumps(fields).encode())
    assert body == OfferBody(sdp=SDP, session=SESSION, model=None, answers_in="json")


async def test_a_session_of_null_is_none() -> None:
    assert (await read("application/json", json.dumps({"sdp": SDP, "session": None}).encode())).session is None
    assert (await read(FORM, form(sdp=SDP.encode(), session=b"null", sessionConfig=b"[]"))).session == []


@pytest.mark.parametrize("session", [None, SESSION])
async def test_what_openais_own_client_posts_is_read(session: Any) -> None:
    posted: list[httpx2.Request] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        posted.append(request)
        return httpx2.Response(201, text="v=0")

    transport = httpx2.MockTransport(answer)
    async with openai.AsyncOpenAI(
        api_key="k", base_url="http://gateway/v1", http_client=httpx2.AsyncClient(transport=transport)
    ) as client:
        await client.realtime.calls.create(sdp=SDP, session=session or openai.omit)
    (sent,) = posted
    body = await read(sent.headers["content-type"], sent.content, query=sent.url.query)
    assert body == OfferBody(sdp=SDP, session=session, model=None, answers_in="sdp")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "application/sdp; charset=utf-16",
    ],
)
async def test_another_type_is_refused_with_the_three_there_are(content_type: str | None) -> None:
    refused = await refusal(content_type, SDP.encode())
    assert (refused.status_code, refused.reason) == (415, "not_an_offer")
    assert "expected application/sdp, multipart/form-data or application/json, in UTF-8, got" in str(refused)


async def test_another_type_is_refused_unread() -> None:
    with pytest.raises(JsonRefused), anyio.fail_after(10):
        await read_offer_body(request("text/plain", is_silent=True))


@pytest.mark.parametrize(
    ("content_type", "body", "reason", "param"),
    [
        ("application/sdp", b"", "missing_required_parameter", "sdp"),
        ("application/sdp", b"v=0\xff", "invalid_offer", "sdp"),
        (FORM, form(), "missing_required_parameter", "sdp"),
        (FORM, form(session=b"{}"), "missing_required_parameter", "sdp"),
        (FORM, form(sdp=b"\xff"), "invalid_offer", "sdp"),
        (FORM, form(sdp=b"v=0", session=b""), "invalid_json", "session"),
        (FORM, form(sdp=b"v=0", session=b'"\xff"'), "invalid_json", "session"),
        (FORM, form(sdp=b"v=0", sessionConfig=b"[" * 100_000), "invalid_json", "sessionConfig"),
        (FORM, b"v=0", "invalid_form", None),
        ("multipart/form-data", form(sdp=b"v=0"), "invalid_form", None),
        ("application/json", b"", "invalid_json", None),
        ("application/json", b"[]", "invalid_json", None),
        ("application/json", b"{}", "missing_required_parameter", "sdp"),
        ("application/json", b'{"sdp": ""}', "missing_required_parameter", "sdp"),
        ("application/json", b'{"sdp": ["v=0"]}', "invalid_value", "sdp"),
    ],
)
async def test_a_body_without_a_readable_offer_is_refused_by_name(
    content_type: str, body: bytes, reason: str, param: str | None
) -> None:
    refused = await refusal(content_type, body)
    assert (refused.status_code, refused.reason, refused.param) == (400, reason, param)


@pytest.mark.parametrize(("size", "is_read"), [(MOST_OFFER_BYTES, True), (MOST_OFFER_BYTES + 1, False)])
async def test_an_offer_has_a_longest_length_however_it_comes(size: int, is_read: bool) -> None:
    offer = "v" * (size - 2) + "ü"
    for content_type, body in (
        ("application/sdp", offer.encode()),
        (FORM, form(sdp=offer.encode())),
        ("application/json", json.dumps({"sdp": offer}).encode()),
    ):
        if is_read:
            assert (await read(content_type, body)).sdp == offer
        else:
            refused = await refusal(content_type, body)
            assert (refused.status_code, refused.reason, refused.param) == (413, "offer_too_large", "sdp")


@pytest.mark.parametrize("content_type", [FORM, "application/json"])
async def test_the_largest_session_fits_beside_the_longest_offer_and_no_more(content_type: str) -> None:
    def body(filler_bytes: int) -> bytes:
        offer, session = "\n" * MOST_OFFER_BYTES, {"tools": "x" * filler_bytes}
        if content_type == FORM:
            return form(sdp=offer.encode(), session=json.dumps(session).encode())
        return json.dumps({"sdp": offer, "session": session}).encode()

    room = MOST_BODY_BYTES - len(body(0))
    assert (await read(content_type, body(room))).session == {"tools": "x" * room}
    refused = await refusal(content_type, body(room + 1))
    assert (refused.status_code, refused.reason) == (413, "too_large")


@pytest.mark.parametrize("content_type", ["application/sdp", FORM, "application/json"])
async def test_a_body_that_does_not_come_is_given_up(content_type: str) -> None:
    with pytest.raises(JsonRefused) as refused, anyio.fail_after(10):
        await read_offer_body(request(content_type, b"v", is_silent=True), deadline_s=0.01)
    assert (refused.value.status_code, refused.value.reason) == (408, "slow_body")


@pytest.mark.parametrize("query", [b"model=x&model=" + b"y" * 300, b"model=" + b"x" * 256])
async def test_the_first_model_of_the_address_counts(query: bytes) -> None:
    assert (await read("application/sdp", b"v=0", query=query)).model in ("x", "x" * 256)


async def test_a_model_too_long_to_be_one_is_refused() -> None:
    refused = await refusal("application/sdp", b"v=0", query=b"model=" + b"x" * 257)
    assert (refused.reason, refused.param) == ("invalid_model", "model")


def pieces() -> st.SearchStrategy[bytes]:
    """Bytes of every kind, and what the formats are made of."""
    line = f"--{BOUNDARY}".encode()
    words = [
        line,
        b"--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data",
        b'; name="sdp"',
        b"; name=session",
    ]
    signs = [b"{", b"}", b"[", b"]", b'"sdp"', b":", b",", b'"', b'"\\ud800"', b"1e999", b"\xff", b"\x00", b"null"]
    piece = st.one_of(st.sampled_from(words + signs), st.binary(max_size=8))
    return st.lists(piece, max_size=30).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(
    content_type=st.one_of(
        st.sampled_from(["application/sdp", FORM, "application/json", "multipart/form-data; boundary="]),
        st.text(st.characters(max_codepoint=255), max_size=60).map(lambda text: f"multipart/form-data;{text}"),
    ),
    body=st.one_of(
        pieces(),
        pieces().map(lambda part: form(sdp=part, session=part)),
        st.integers(900, 1100).map(lambda depth: b"[" * depth + b"]" * depth),
        st.integers(900, 1100).map(lambda depth: b'{"sdp":' + b"[" * depth + b"]" * depth + b"}"),
    ),
    query=st.binary(max_size=40),
)
@example(content_type="application/json", body=b'{"sdp":"\\ud800"}', query=b"")
@example(content_type=FORM, body=form(sdp=b"v=0", session=b"[" * 996 + b"]" * 996), query=b"model=%ff")
def test_whatever_comes_is_read_or_refused(content_type: str, body: bytes, query: bytes) -> None:
    async def outcome() -> OfferBody | JsonRefused:
        try:
            return await read_offer_body(request(content_type, body, query=query))
        except JsonRefused as refused:
            return refused

    told = asyncio.run(outcome())
    if isinstance(told, OfferBody):
        assert 0 < len(told.sdp.encode()) <= MOST_OFFER_BYTES
    else:
        assert told.status_code in (400, 413, 415)
        assert len(str(told)) < 500
