"""One connection, one spelling: which, is decided at the handshake (Realtime reference, section A.4)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from tests.realtime.support import OPERATOR_TOKEN, Client, service

pytestmark = pytest.mark.anyio

GA_NAMES = {"response.output_text.delta", "conversation.item.added", "conversation.item.done"}
BETA_NAMES = {"response.text.delta", "conversation.item.created"}
SEED_NAMES = {"response.text.delta", "conversation.item.added", "conversation.item.done"}


async def text_turn(client: Client) -> set[str]:
    """The names that differ between dialects, of those that a text turn brings."""
    await client.hear("session.created")
    await client.say_text("hi")
    await client.say("response.create", response={"modalities": ["text"]})
    await client.hear("response.done")
    return set(client.types) & (GA_NAMES | BETA_NAMES | SEED_NAMES)


@pytest.mark.parametrize(
    ("path", "how", "dialect", "names"),
    [
        ("/v1/realtime?model=m", {"OpenAI_Beta": "realtime=v1"}, Dialect.BETA, BETA_NAMES),
        (
            "/v1/realtime?model=m",
            {"subprotocols": ("realtime", "openai-beta.realtime-v1")},
            Dialect.BETA,
            BETA_NAMES,
        ),
        ("/api/v1/realtime/session?protocol=realtime", {"OpenAI_Beta": "realtime=v1"}, Dialect.BETA, BETA_NAMES),
        ("/api/v1/realtime/session?key=k&protocol=realtime", {}, Dialect.IW, GA_NAMES),
        ("/api/v1/realtime/session", {}, Dialect.SEED, SEED_NAMES),
    ],
)
async def test_a_connection_speaks_the_dialect_it_asked_for(
    path: str, how: dict[str, Any], dialect: Dialect, names: set[str]
) -> None:
    async with service() as gateway, gateway.connected(path, dialect=dialect, **how) as client:
        assert await text_turn(client) == names


@pytest.mark.parametrize(
    "path", ["/v1/realtime", "/openai/realtime?api-version=1&deployment=d", "/openai/v1/realtime"]
)
async def test_all_else_is_ga(path: str) -> None:
    async with service() as gateway, gateway.connected(path) as client:
        await client.hear("session.created")
        await client.say_text("hi")
        await client.say("response.create", response={"output_modalities": ["text"]})
        await client.hear("response.done")
        assert set(client.types) & (GA_NAMES | BETA_NAMES | SEED_NAMES) == GA_NAMES


async def test_the_seeds_dialect_becomes_inworlds_with_a_first_update_in_ga_shape() -> None:
    async with service() as gateway, gateway.connected("/api/v1/realtime/session", dialect=Dialect.SEED) as client:
        await client.hear("session.created")
        await client.say("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        await client.say_text("hi")
        await client.say("response.create")
        await client.hear("response.done")
        assert "response.output_text.delta" in client.types
        assert "response.text.delta" not in client.types


@pytest.mark.parametrize(
    "how",
    [
        {"key": None, "subprotocols": ("realtime", f"openai-insecure-api-key.{OPERATOR_TOKEN}")},
        {"key": None, "path": f"/v1/realtime?token={OPERATOR_TOKEN}"},
    ],
)
async def test_a_key_may_come_as_a_subprotocol_or_in_the_address(how: dict[str, Any]) -> None:
    async with service() as gateway, gateway.connected(**how) as client:
        assert (await client.next())["type"] == "session.created"
        assert client.socket.subprotocol == ("realtime" if "subprotocols" in how else None)
