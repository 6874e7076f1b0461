from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from mcp import MCPError

from pipeline.egress.refusal import EgressRefused, Reason
from pipeline.mcp.tool import McpFailure
from pipeline.mcp.trouble import LONGEST_MESSAGE_CHARS, ToldTransport, failure_of, notes

pytestmark = pytest.mark.anyio

NOTED = McpFailure("http_error", "It answered HTTP 503.", 503)


@pytest.mark.parametrize(
    ("error", "noted", "kind", "code"),
    [
        (MCPError(-32_602, "bad"), [], "protocol_error", -32_602),
        (MCPError(-32_602, "bad"), [NOTED], "protocol_error", -32_602),
        (MCPError(-32_603, "bad"), [], "protocol_error", -32_603),
        (MCPError(-32_603, "bad"), [NOTED], "http_error", 503),
        (ExceptionGroup("", [ExceptionGroup("", [MCPError(-32_602, "bad")])]), [], "protocol_error", -32_602),
        (ExceptionGroup("", [ValueError(), httpx2.ReadTimeout("")]), [], "http_error", 504),
        (httpx2.ConnectError("no"), [], "http_error", 502),
        (httpx2.ReadError("no"), [], "http_error", 502),
        (EgressRefused(Reason.ADDRESS, "no"), [], "http_error", 403),
        (EgressRefused(Reason.LOOKUP, "no"), [], "http_error", 502),
        (EgressRefused(Reason.TOO_LARGE, "no"), [], "http_error", 502),
        (EgressRefused(Reason.TOO_SLOW, "no"), [], "http_error", 504),
        (McpFailure("tool_execution_error", "no"), [NOTED], "tool_execution_error", None),
        (ValueError("no"), [NOTED], "http_error", 503),
        (ValueError("geheim"), [], "protocol_error", -32_603),
    ],
    ids=repr,
)
def test_of_all_that_went_wrong_one_thing_is_told(
    error: Exception, noted: list[McpFailure], kind: str, code: int | None
) -> None:
    failure = failure_of(error, noted)
    assert (failure.kind, failure.code) == (kind, code)
    assert "geheim" not in failure.message


def test_what_a_server_says_of_an_error_is_bounded() -> None:
    assert len(failure_of(MCPError(-32_602, "x" * 10_000), []).message) == LONGEST_MESSAGE_CHARS
    assert "geheim" not in failure_of(MCPError(-32_700, "geheim"), []).message


class Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        raise httpx2.ReadError("torn")


def transport(answer: httpx2.Response | Exception) -> httpx2.AsyncClient:
    def give(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx2.AsyncClient(transport=ToldTransport(httpx2.MockTransport(give)))


@pytest.mark.parametrize(
    ("answer", "status", "noted"),
    [
        (httpx2.Response(200), 200, []),
        (httpx2.Response(307, headers={"location": "/x"}), 307, [307]),
        (httpx2.Response(403), 403, [403]),
        (httpx2.Response(500), 500, [500]),
        (httpx2.ConnectError("no"), 502, [502]),
        (EgressRefused(Reason.PORT, "no"), 403, [403]),
    ],
    ids=repr,
)
async def test_every_failure_is_an_answer_and_is_noted(
    answer: httpx2.Response | Exception, status: int, noted: list[int]
) -> None:
    taken: list[McpFailure] = []
    token = notes.set(taken)
    try:
        async with transport(answer) as client:
            assert (await client.post("https://x.example/")).status_code == status
    finally:
        notes.reset(token)
    assert [failure.code for failure in taken] == noted


async def test_a_body_that_breaks_is_an_error_that_the_sdk_survives() -> None:
    async with transport(httpx2.Response(200, stream=Body())) as client:
        with pytest.raises(httpx2.StreamError, match="lost"):
            await client.post("https://x.example/")  # and nobody takes notes
