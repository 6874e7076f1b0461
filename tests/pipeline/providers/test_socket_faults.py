"""What goes wrong with a WebSocket, and whether a second try would help."""

from __future__ import annotations

import base64

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Close
from websockets.http11 import Response

from pipeline.provider import ProviderError
from pipeline.providers.socket_faults import json_object, quoted, say_goodbye, socket_faults, sound_of


@pytest.mark.parametrize(
    ("error", "message", "retryable"),
    [
        (InvalidStatus(Response(401, "no", Headers())), "refused the connection with HTTP 401", False),
        (InvalidStatus(Response(402, "no", Headers())), "refused the connection with HTTP 402", False),
        (InvalidStatus(Response(429, "no", Headers())), "refused the connection with HTTP 429", True),
        (InvalidStatus(Response(503, "no", Headers())), "refused the connection with HTTP 503", True),
        (InvalidURI("nonsense", "no scheme"), "has a base_url that is no address", False),
        (ConnectionClosedError(Close(1011, "my s3cret"), None), "closed the connection (1011 my ***)", True),
        (ConnectionClosedError(None, Close(1009, "")), "closed the connection (1009)", True),
        (ConnectionClosedError(None, None), "closed the connection (without a goodbye)", True),
        (InvalidHandshake("s3cret"), "cannot be reached (InvalidHandshake)", True),
        (ConnectionRefusedError("s3cret"), "cannot be reached (ConnectionRefusedError)", True),
        (TimeoutError(), "cannot be reached (TimeoutError)", True),
    ],
)
def test_each_failure_is_the_provider_s(error: Exception, message: str, retryable: bool) -> None:
    with pytest.raises(ProviderError) as raised, socket_faults("x/y", "s3cret"):
        raise error

    assert str(raised.value) == f"x/y: {message}"
    assert raised.value.retryable is retryable


def test_what_is_no_failure_of_the_connection_passes() -> None:
    with pytest.raises(KeyError), socket_faults("x", "k"):
        raise KeyError("ours")


@pytest.mark.parametrize("text", ["{", "[]", b"\xff\xff", '"text"'])
def test_a_message_must_be_a_json_object(text: str | bytes) -> None:
    with pytest.raises(ProviderError, match="no JSON object") as raised:
        json_object("x", text)
    assert raised.value.retryable


@pytest.mark.parametrize("data", [None, 7, "abc", "ab c", "ä==="])
def test_sound_must_be_base64(data: object) -> None:
    with pytest.raises(ProviderError, match="no base64"):
        sound_of("x", data)


def test_sound_of_base64() -> None:
    assert sound_of("x", base64.b64encode(b"\x00\xff").decode()) == b"\x00\xff"


def test_a_quotation_is_short_and_without_the_key() -> None:
    assert quoted("key s3cret " + "x" * 999, "s3cret").startswith("key *** x")
    assert len(quoted("x" * 999, "")) == 200


@pytest.mark.anyio
async def test_a_goodbye_that_cannot_be_said_is_not_missed() -> None:
    async def fail() -> None:
        raise ConnectionClosedError(None, None)

    await say_goodbye(fail)
