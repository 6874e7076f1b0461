"""Whole turns over a real socket, as the Realtime reference's section D has them."""

from __future__ import annotations

import base64

import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.provider import ToolCall
from pipeline.providers.stub import TRANSCRIPT, StubModel
from tests.calls.support import cascade
from tests.fakes import STALL, FakeModel
from tests.realtime.support import GAP, service, speech

pytestmark = pytest.mark.anyio


async def test_a_session_begins_with_its_configuration_and_then_its_conversation() -> None:
    async with service() as gateway, gateway.connected("/v1/realtime?model=gpt-x&temperature=1") as client:
        created, conversation = await client.next(), await client.next()
        assert [created["type"], conversation["type"]] == ["session.created", "conversation.created"]
        session = created["session"]
        assert session["type"] == "realtime"
        assert session["model"] == "gpt-x"
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        assert session["tools"] == []
