from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message

from gateway.errors import ConfigRefused, CredentialRefused, Refusal
from gateway.realtime.refusals import DENIAL, told_as, turn_away
from pipeline.dialects import Dialect
from tests.fakes import Ids

BAD_KEY = CredentialRefused(401, "incorrect", "Incorrect API key provided.")


async def turned_away(
    refused: Refusal | ConfigRefused, path: str = "/v1/realtime", *, has_denial: bool = True
) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody listens to who is turned away")

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": path,
        "subprotocols": ["realtime"],
        "extensions": {DENIAL: {}} if has_denial else {},
    }
    await turn_away(refused, Dialect.GA, scope, receive, send, Ids())
    return sent


@pytest.mark.anyio
async def test_openais_clients_are_let_in_told_and_shown_out() -> None:
    accepted, told, closed = await turned_away(BAD_KEY)
    assert accepted == {"type": "websocket.accept", "subprotocol": "realtime"}
    assert json.loads(told["text"])["error"]["code"] == "invalid_api_key"
    assert closed == {
        "type": "websocket.close",
        "code": 3000,
        "reason": "invalid_request_error.invalid_api_key",
    }


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("refused", "path", "status"),
    [
        (BAD_KEY, "/api/v1/realtime/session", 401),
        (ConfigRefused("invalid_model", "Words."), "/api/v1/realtime/session", 400),
        (CredentialRefused(403, "insufficient_scope", "Words."), "/v1/realtime", 403),
        (Refusal(503, "draining", "Words."), "/v1/realtime", 503),
    ],
)
async def test_others_are_answered_by_http(refused: Refusal | ConfigRefused, path: str, status: int) -> None:
    start, body = await turned_away(refused, path)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert json.loads(body["body"])["code"] == status


@pytest.mark.anyio
async def test_a_server_that_cannot_answer_by_http_closes_before_it_accepts() -> None:
    assert await turned_away(BAD_KEY, "/api/v1/realtime/session", has_denial=False) == [
        {"type": "websocket.close", "code": 1008}
    ]


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (BAD_KEY, ("invalid_request_error", "invalid_api_key", None, 3000)),
        (
            CredentialRefused(429, "too_many_failures", "Words.", retry_after_s=5),
            ("invalid_request_error", "too_many_failures", None, 3000),
        ),
        (
            ConfigRefused("invalid_value", "Words.", "session.x"),
            ("invalid_request_error", "invalid_value", "session.x", 4000),
        ),
        (Refusal(404, "call_not_found", "Words."), ("invalid_request_error", "call_not_found", None, 4000)),
        (
            Refusal(429, "SESSION_RESOURCES_EXHAUSTED", "Words."),
            ("rate_limit_error", "SESSION_RESOURCES_EXHAUSTED", None, 1013),
        ),
    ],
)
def test_each_refusal_has_its_words_and_its_code(refused: Refusal | ConfigRefused, told: tuple[Any, ...]) -> None:
    assert told_as(refused) == told
