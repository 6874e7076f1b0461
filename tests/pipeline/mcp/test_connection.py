from __future__ import annotations

import pytest

from pipeline.events.config import McpServer
from pipeline.mcp.connection import MOST_PAGES, definitions, headers_of
from pipeline.mcp.tool import McpFailure

pytestmark = pytest.mark.anyio


def server(token: str | None = None, /, **headers: str) -> McpServer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return McpServer(server_label="x", server_url="https://x.example/", authorization=token, headers=named)


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        (server(), {}),
        (server("token"), {"Authorization": "Bearer token"}),
        (server("Basic dTpw"), {"Authorization": "Basic dTpw"}),
        (
            server("token", authorization="Basic x", X_Key=" a b "),
            {"X-Key": "a b", "Authorization": "Bearer token"},
        ),
        (server(authorization="Basic x"), {"authorization": "Basic x"}),
        (server(X_Empty=""), {"X-Empty": ""}),
    ],
)
def test_headers_and_authorization_are_sent(named: McpServer, sent: dict[str, str]) -> None:
    assert headers_of(named) == sent


@pytest.mark.parametrize(
    "named",
    [
        server("token\r\nHost: inside"),
        server(X_Key="geheim\nX: y"),
        server(X_Key="gehéim"),
        McpServer(server_label="x", server_url="https://x.example/", headers={"X Key": "geheim"}),
        server(Host="inside"),
        server(transfer_encoding="chunked"),
        server(Mcp_Session_Id="geheim"),
        server(Proxy_Authorization="geheim"),
    ],
)
def test_headers_that_would_bend_the_wire_are_refused_and_not_shown(named: McpServer) -> None:
    with pytest.raises(McpFailure) as failed:
        headers_of(named)
    assert "geh" not in failed.value.message and "inside" not in failed.value.message


async def test_a_server_cannot_turn_pages_for_ever() -> None:
    turned = []

    class Endless:
        async def list_tools(self, *, cursor: str | None) -> object:
            turned.append(cursor)

            class Page:
                tools = ()
                next_cursor = "again"

            return Page()

    assert await definitions(Endless()) == []  # type: ignore[arg-type]  # all of a client that is used
    assert turned == [None] + ["again"] * (MOST_PAGES - 1)
