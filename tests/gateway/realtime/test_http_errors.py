from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import ConfigRefused, CredentialRefused, FormRefused, JsonRefused, Refusal
from gateway.realtime.http_errors import error_response, response_to


def test_one_body_says_the_same_to_both_families_of_clients() -> None:
    response = error_response(401, "invalid_api_key", "No.")
    assert response.headers["content-type"] == "application/json"
    assert json.loads(bytes(response.body)) == {
        "code": 401,
        "message": "No.",
        "error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"},
    }


@pytest.mark.parametrize(
    ("status_code", "type"),
    [
        (400, "invalid_request_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_the_type_follows_from_the_status(status_code: int, type: str) -> None:
    assert json.loads(bytes(error_response(status_code, "c", "m").body))["error"]["type"] == type


@pytest.mark.parametrize(
    ("refused", "status_code", "code", "param", "headers"),
    [
        (ConfigRefused("invalid_value", "m", "session.x"), 400, "invalid_value", "session.x", {}),
        (JsonRefused(415, "not_json", "m"), 415, "not_json", None, {}),
        (JsonRefused(400, "invalid_value", "m", "ttl"), 400, "invalid_value", "ttl", {}),
        (CredentialRefused(401, "expired", "m"), 401, "invalid_api_key", None, {"www-authenticate": "Bearer"}),
        (CredentialRefused(403, "insufficient_scope", "m"), 403, "insufficient_scope", None, {}),
        (
            CredentialRefused(429, "too_many_failures", "m", retry_after_s=7),
            429,
            "too_many_failures",
            None,
            {"retry-after": "7"},
        ),
        (FormRefused(408, "slow_body", "m"), 408, "slow_body", None, {}),
    ],
)
def test_each_refusal_has_its_answer(
    refused: Refusal | ConfigRefused, status_code: int, code: str, param: str | None, headers: dict[str, str]
) -> None:
    response = response_to(refused)
    body: dict[str, Any] = json.loads(bytes(response.body))
    assert (response.status_code, body["error"]["code"], body["error"]["param"]) == (status_code, code, param)
    added = {n: v for n, v in response.headers.items() if n not in ("content-type", "content-length")}
    assert added == headers
