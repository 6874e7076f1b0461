"""A route of the protocol: pages of other origins, refusals as JSON, and nothing kept."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from gateway.credentials.origins import Origins
from gateway.errors import ConfigRefused, JsonRefused, Refusal
from gateway.realtime.route import route

PAGE = "https://app.example.com"


def client(fault: Exception | None = None) -> TestClient:
    async def answer(_request: Request) -> Response:
        if fault is not None:
            raise fault
        return PlainTextResponse("here")

    return TestClient(Starlette(routes=[route("/it", "POST", Origins((PAGE,), "https://own.example"), answer)]))


def test_an_answer_may_be_read_by_a_page_that_may_ask_and_is_not_kept() -> None:
    answer = client().post("/it", headers={"Origin": PAGE})
    assert (answer.status_code, answer.text) == (200, "here")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Origin"
    other = client().post("/it", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("fault", "status", "code", "param"),
    [
        (Refusal(503, "draining", "Later."), 503, "draining", None),
        (JsonRefused(413, "offer_too_large", "Less.", "sdp"), 413, "offer_too_large", "sdp"),
        (ConfigRefused("invalid_value", "No.", "session.voice"), 400, "invalid_value", "session.voice"),
    ],
)
def test_a_refusal_is_json_and_a_page_may_read_it_too(
    fault: Exception, status: int, code: str, param: str | None
) -> None:
    answer = client(fault).post("/it", headers={"Origin": PAGE})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_asks_before() -> None:
    answer = client().options("/it", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (204, "POST")
    refused = client().options("/it", headers={"Origin": "https://other.example"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")
