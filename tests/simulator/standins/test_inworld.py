"""Who is let in to the Inworld stand-in, and what it says besides speech."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.types import ASGIApp
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from simulator.standins import inworld_stt, inworld_tts
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import CHAT_PATH, SCRIPT, VOICES_PATH, InworldStandIn, app
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

KEY = {"Authorization": "Basic a2V5"}
CHAT = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}


@asynccontextmanager
async def client_of(stand_in: ASGIApp) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with served(stand_in) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        yield client


@pytest.mark.parametrize("path", [inworld_stt.PATH, inworld_tts.PATH])
@pytest.mark.parametrize(("fault", "status"), [(Fault.REFUSE, 401), (Fault.TOO_MANY, 429), (Fault.BROKEN, 500)])
async def test_faults_of_the_handshake_are_its_http_status(path: str, fault: Fault, status: int) -> None:
    faults = Faults(then=[fault])
    async with served(app(faults)) as address:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{address}{path}", additional_headers=KEY, proxy=None):
                pytest.fail("let in")
        assert refused.value.response.status_code == status
        async with connect(f"ws://{address}{path}", additional_headers=KEY, proxy=None):
            pass  # once only
    assert faults.taken == [fault]


async def test_a_line_needs_a_key_in_its_header_or_its_query() -> None:
    stand_in = InworldStandIn(SCRIPT, Faults())
    async with served(stand_in) as address:
        url = f"ws://{address}{inworld_tts.PATH}"
        for headers in ({}, {"Authorization": "Basic"}, {"Authorization": "Token x"}):
            with pytest.raises(InvalidStatus):
                async with connect(url, additional_headers=headers, proxy=None):
                    pytest.fail("let in")
        async with connect(f"{url}?authorization=Bearer%20token", proxy=None):
            pass
    assert [heard.authorization for heard in stand_in.heard] == ["Bearer token"]


async def test_other_faults_wait_for_speech_and_spare_connections_take_none() -> None:
    faults = Faults(then=[Fault.STALL])
    async with served(app(faults)) as address:
        async with connect(f"ws://{address}{inworld_stt.PATH}", additional_headers=KEY, proxy=None):
            pass
    assert faults.taken == []


async def test_it_chats_as_openai_does_and_wants_a_key() -> None:
    stand_in = InworldStandIn(SCRIPT, Faults())
    async with client_of(stand_in) as client:
        answer = await client.post(CHAT_PATH, json=CHAT, headers=KEY)
        assert answer.json()["choices"][0]["message"]["content"].startswith("You said: hello")
        assert (await client.post(CHAT_PATH, json=CHAT)).status_code == 401
        assert (await client.post("/v1/audio/speech", json={}, headers=KEY)).status_code == 404
    assert [asked.authorization for asked in stand_in.router.asked] == ["Basic a2V5"]


async def test_the_voices_are_listed_for_who_has_a_key() -> None:
    async with client_of(app(Faults())) as client:
        listed = (await client.get(VOICES_PATH, headers=KEY)).json()
        assert [voice["voiceId"] for voice in listed["voices"]] == list(inworld_tts.VOICES)
        assert (await client.get(VOICES_PATH)).status_code == 401


async def test_another_path_is_not_found_on_a_line_either() -> None:
    async with served(app(Faults())) as address:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{address}/tts/v2", additional_headers=KEY, proxy=None):
                pytest.fail("let in")
    assert refused.value.response.status_code == 404


async def test_what_a_line_was_sent_is_kept() -> None:
    stand_in = InworldStandIn(SCRIPT, Faults())
    async with served(stand_in) as address:
        url = f"ws://{address}{inworld_tts.PATH}"
        async with connect(url, additional_headers=KEY, proxy=None) as line:
            await line.send(json.dumps({"flush_context": {}, "contextId": "a"}))
            await line.send("{")
            await line.recv()
            await line.recv()
    assert stand_in.heard[0].messages == [{"flush_context": {}, "contextId": "a"}, {}]
    assert stand_in.heard[0].kinds() == ["flush_context", ""]
    assert stand_in.heard[0].path == inworld_tts.PATH
