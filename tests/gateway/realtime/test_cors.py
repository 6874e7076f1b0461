from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.origins import Origins
from gateway.errors import CredentialRefused
from gateway.realtime.cors import preflight, shared

ORIGINS = Origins(("https://app.example",), "https://voice.example")


def request(origin: str | None) -> Request:
    headers = [(b"origin", origin.encode())] if origin is not None else []
    return Request({"type": "http", "method": "OPTIONS", "path": "/", "headers": headers})


def cors(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control")}


def test_a_listed_page_is_told_what_it_may_send() -> None:
    response = preflight(request("https://app.example"), ORIGINS, ["POST"])
    assert (response.status_code, response.headers["allow"]) == (204, "POST, OPTIONS")
    assert cors(response) == {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "Authorization, Content-Type, X-OpenAI-Agents-SDK, OpenAI-Beta",
        "access-control-max-age": "600",
    }


def test_a_foreign_page_is_refused_before_it_asks() -> None:
    with pytest.raises(CredentialRefused, match="Pages of https://evil.example"):
        preflight(request("https://evil.example"), ORIGINS, ["POST"])


def test_a_program_is_told_no_more_than_the_methods() -> None:
    assert cors(preflight(request(None), ORIGINS, ["GET"])) == {}


@pytest.mark.parametrize(("origin", "is_shared"), [("https://app.example", True), ("https://evil.example", False)])
def test_an_answer_is_shared_with_listed_pages_only_and_says_that_it_depends(origin: str, is_shared: bool) -> None:
    response = shared(request(origin), ORIGINS, Response("x"))
    expected = {"access-control-allow-origin": origin, "access-control-expose-headers": "Location, Retry-After"}
    assert cors(response) == (expected if is_shared else {})
    assert response.headers["vary"] == "Origin"


def test_an_answer_to_a_program_is_for_it_alone() -> None:
    assert cors(shared(request(None), ORIGINS, Response("x"))) == {}
