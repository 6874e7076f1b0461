"""@openai/agents-realtime in a browser: its own build and its WebRTC transport, unmodified, with an `ek_`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tests.browser.chromium import Tab, opened
from tests.browser.house import HUMS_HZ, House, open_house
from tests.browser.recordings import pitch_hz, record, write_speech
from tests.clients.answering import HEARD
from tests.clients.environments import ENVIRONMENTS
from tests.clients.scenario import STORY, WEATHER

pytestmark = pytest.mark.anyio

HERE: Final = Path(__file__).parent / "agents_js"

HISTORY_HAS: Final = """() => agents.seen.history.some((item) => item.role === '{}' && item.status === 'completed'
  && item.content.some((part) => (part.transcript ?? part.text ?? '').trim()))"""


def pages() -> list[BaseRoute]:
    """The page, its program, and the client's packages as npm installed them."""
    client = ENVIRONMENTS["agents_js"]
    client.command()  # says what to do if they are not there
    bundle = client.place / "node_modules" / "@openai" / "agents-realtime" / "dist" / "bundle"
    return [
        Route("/agents", lambda _request: FileResponse(HERE / "index.html")),
        Route("/agents/program.js", lambda _request: FileResponse(HERE / "program.js")),
        Mount("/packages", StaticFiles(directory=bundle)),
    ]


async def secret(house: House) -> str:
    """An `ek_…`, from what would be the page's own server."""
    headers = {"Authorization": f"Bearer {house.key}"} if house.key else {}
    session = {"type": "realtime", "audio": {"input": {"transcription": {}}}}
    async with httpx2.AsyncClient() as client:
        answer = await client.post(
            f"{house.url}/v1/realtime/client_secrets", json={"session": session}, headers=headers
        )
    value: str = answer.raise_for_status().json()["value"]
    assert value.startswith("ek_")
    return value


async def connect(tab: Tab, house: House) -> dict[str, Any]:
    await tab.until("() => window.agents")
    done: dict[str, Any] = await tab.page.evaluate(
        "([url, key]) => agents.talk(url, key, 'reception')", [house.url, await secret(house)]
    )
    return done


async def said(tab: Tab, role: str) -> list[str]:
    """The words of one side, as the client's history has them."""
    texts: list[str] = await tab.page.evaluate(
        """(role) => agents.seen.history.filter((item) => item.role === role)
          .map((item) => item.content.map((part) => part.transcript ?? part.text ?? '').join(' '))""",
        role,
    )
    return texts


@pytest.mark.proves("F3-agents-js-webrtc")
async def test_it_connects_hears_an_answer_and_has_both_sides_in_its_history(tmp_path: Path) -> None:
    # connect() waits for `session.updated`, so the microphone opens well before the conversation.
    speech = write_speech(tmp_path / "speech.wav", ["opening-hours"], before_ms=4000)
    async with open_house(needs_key=True, routes=pages()) as house:
        async with opened(f"{house.url}/agents", microphone=speech) as tab:
            connected = await connect(tab, house)
            assert connected["status"] == "connected"
            assert str(connected["callId"]).startswith("rtc_")
            recorder = await record(tab.page, "agents.voice")
            for role in ("user", "assistant"):
                await tab.until(HISTORY_HAS.format(role))
            await tab.until("() => agents.seen.types.includes('output_audio_buffer.stopped')")
            assert await said(tab, "user") == [HEARD]
            assert (await said(tab, "assistant"))[0].startswith("You said: What are your opening hours")
            assert abs(pitch_hz(await recorder.finish()) - HUMS_HZ) < 5
            assert await tab.page.evaluate("agents.seen.errors") == []
            assert tab.errors == tab.strangers == []


async def test_its_tool_runs_in_the_page_and_its_result_becomes_words() -> None:
    async with open_house(needs_key=True, routes=pages()) as house:
        async with opened(f"{house.url}/agents") as tab:
            await connect(tab, house)
            await tab.page.evaluate("(text) => agents.session.sendMessage(text)", WEATHER)
            await tab.until(HISTORY_HAS.format("assistant"))
            assert await said(tab, "assistant") == ["The tool says It is sunny and warm in Paris."]
            assert await tab.page.evaluate("agents.seen.errors") == []


async def test_its_interruption_stops_an_answer() -> None:
    async with open_house(needs_key=True, routes=pages()) as house:
        async with opened(f"{house.url}/agents") as tab:
            await connect(tab, house)
            await tab.page.evaluate("(text) => agents.session.sendMessage(text)", STORY)
            await tab.until("() => agents.seen.types.includes('output_audio_buffer.started')")
            await tab.page.evaluate("agents.session.interrupt()")
            await tab.until("() => agents.seen.types.includes('output_audio_buffer.cleared')")
            assert await said(tab, "user") == [STORY]
            await tab.page.evaluate("agents.session.close()")
            assert await tab.page.evaluate("agents.transport.status") == "disconnected"
            await house.empty()
            assert await tab.page.evaluate("agents.seen.errors") == []
