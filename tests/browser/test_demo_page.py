"""The demo page in a real browser: how it looks, what it says when something fails, and a conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.async_api import expect

from pipeline.providers.pocketsphinx import PocketsphinxTranscriber
from tests.browser.chromium import Tab, opened
from tests.browser.house import HUMS_HZ, House, open_house
from tests.browser.recordings import ClipVoice, pitch_hz, record, texts_of_clips, words_in, write_speech
from tests.clients.answering import HEARD
from tests.clients.scenario import STORY
from tests.fakes import FakeModel

pytestmark = pytest.mark.anyio

AUDIBLE = 0.01
"""Root mean square of full scale: speech is ten times louder, a silent track far below."""

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

STEP_IS = "() => window.switchboard.step === '{}'"
ANSWERED = """() => switchboard.transcript.some((one) => one.role === 'assistant' && one.text)
  && switchboard.events.some(({event}) => event.type === 'output_audio_buffer.stopped')"""


def page_of(house: House) -> str:
    return f"{house.url}/demo?raw=1"


async def call(tab: Tab) -> None:
    await tab.page.get_by_role("button", name="Talk to the agent").click()
    await tab.until(STEP_IS.format("listening"))


async def words(tab: Tab, role: str) -> list[str]:
    texts: list[str] = await tab.page.evaluate(
        "(role) => switchboard.transcript.filter((one) => one.role === role).map((one) => one.text)", role
    )
    return texts


async def types(tab: Tab) -> list[str]:
    names: list[str] = await tab.page.evaluate("switchboard.events.map(({event}) => event.type)")
    return names


async def test_the_page_fits_every_screen_and_loads_nothing_but_its_own() -> None:
    async with open_house() as house, opened(page_of(house)) as tab:
        await expect(tab.page.get_by_role("button", name="Talk to the agent")).to_be_visible()
        await expect(tab.page.get_by_role("status")).to_have_text("Not connected")
        for width in (360, 768, 1280):
            await tab.page.set_viewport_size({"width": width, "height": 740})
            assert await tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
        grounds = set()
        for scheme in SCHEMES:
            await tab.page.emulate_media(color_scheme=scheme)
            grounds.add(await tab.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2
        assert await tab.page.evaluate("[...document.querySelectorAll('input')].every((one) => one.labels.length)")
        assert tab.errors == tab.strangers == []


async def test_a_refused_microphone_is_told_in_words_and_can_be_tried_again() -> None:
    async with open_house() as house, opened(page_of(house), allows_microphone=False) as tab:
        await tab.page.get_by_role("button", name="Talk to the agent").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("The microphone was refused. Allow it")
        await expect(tab.page.get_by_role("status")).to_have_text("Not connected")
        await expect(tab.page.get_by_role("button", name="Talk to the agent")).to_be_focused()
        assert tab.errors == []


async def test_a_key_is_asked_for_when_it_is_needed_and_kept_nowhere() -> None:
    async with open_house(needs_key=True) as house, opened(page_of(house)) as tab:
        field = tab.page.get_by_label("API key")
        await expect(field).to_be_hidden()
        await tab.page.get_by_role("button", name="Talk to the agent").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("asks for an API key")
        await expect(field).to_be_focused()
        assert await field.get_attribute("type") == "password"
        await field.fill("not the key")
        await field.press("Enter")
        await expect(tab.page.get_by_role("alert")).to_contain_text("does not know that API key")
        await field.fill(house.key)
        await field.press("Enter")
        await tab.until(STEP_IS.format("listening"))
        await expect(field).to_be_hidden()
        await expect(tab.page.get_by_role("alert")).to_be_hidden()
        kept = "[localStorage.length, sessionStorage.length, document.cookie, document.getElementById('key').value]"
        assert await tab.page.evaluate(kept) == [0, 0, "", ""]
        # The browser itself writes refused requests on its console; the page adds nothing.
        assert [error for error in tab.errors if "status of 401" not in error] == []


async def test_a_gateway_without_webrtc_is_told_as_such() -> None:
    async with open_house(serves_webrtc=False) as house, opened(page_of(house)) as tab:
        await tab.page.get_by_role("button", name="Talk to the agent").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("WebRTC is off on this gateway.")
        await expect(tab.page.get_by_role("status")).to_have_text("Not connected")


async def test_a_gateway_that_does_not_answer_is_told_as_such() -> None:
    async with open_house() as house, opened(page_of(house)) as tab:
        await tab.page.route("**/v1/**", lambda route: route.abort())
        await tab.page.get_by_role("button", name="Talk to the agent").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("The gateway does not answer.")


async def test_a_spoken_turn_is_written_down_and_answered_aloud(tmp_path: Path) -> None:
    speech = write_speech(tmp_path / "speech.wav", ["opening-hours"])
    async with open_house() as house, opened(page_of(house), microphone=speech) as tab:
        await call(tab)
        recorder = await record(tab.page)
        await tab.until(ANSWERED)
        assert await tab.page.evaluate("switchboard.loudest('mic')") > AUDIBLE
        assert await tab.page.evaluate("switchboard.loudest('agent')") > AUDIBLE
        assert await words(tab, "user") == [HEARD]
        assert (await words(tab, "assistant"))[0].startswith("You said: What are your opening hours")
        assert abs(pitch_hz(await recorder.finish()) - HUMS_HZ) < 5
        assert 0 < (await tab.page.evaluate("switchboard.latenciesMs"))[0]
        await expect(tab.page.get_by_role("log")).to_contain_text(HEARD)
        assert "response.output_audio.delta" not in await types(tab)
        assert tab.errors == tab.strangers == []


async def test_words_are_understood_both_ways(tmp_path: Path) -> None:
    """The visitor's by a recogniser in the gateway, the agent's by one at the page's loudspeaker."""
    speech = write_speech(tmp_path / "speech.wav", ["opening-hours"])
    ear = PocketsphinxTranscriber(texts_of_clips())
    async with open_house(transcriber=ear, model=FakeModel("One moment."), voice=ClipVoice("person")) as house:
        async with opened(page_of(house), microphone=speech) as tab:
            await call(tab)
            recorder = await record(tab.page)
            await tab.until(ANSWERED)
            assert await words(tab, "user") == ["what are your opening hours"]
            assert await words_in(await recorder.finish()) == "can i talk to a person"


async def test_speaking_into_an_answer_cuts_it_to_what_was_heard(tmp_path: Path) -> None:
    speech = write_speech(tmp_path / "speech.wav", ["opening-hours"], before_ms=6000)
    async with open_house() as house, opened(page_of(house), microphone=speech) as tab:
        await call(tab)
        await tab.page.get_by_label("Write to the agent").fill(STORY)
        await tab.page.get_by_role("button", name="Send").click()
        await tab.until(STEP_IS.format("speaking"))
        await tab.until("() => switchboard.transcript.some((one) => one.isCut)")
        cut = await tab.page.evaluate("switchboard.transcript.find((one) => one.isCut)")
        assert cut["text"].startswith(cut["heard"]) and 0 < len(cut["heard"]) < len(cut["text"])
        await expect(tab.page.get_by_role("log")).to_contain_text("cut off after")
        await tab.until("() => switchboard.transcript.length === 4 && switchboard.latenciesMs.length === 1")
        assert await words(tab, "user") == [STORY, HEARD]
        assert (await types(tab)).count("output_audio_buffer.cleared") == 1
        assert tab.errors == []


async def test_a_written_message_is_answered_and_events_can_be_filtered() -> None:
    async with open_house() as house, opened(page_of(house)) as tab:
        await call(tab)
        await tab.page.get_by_label("Write to the agent").fill("hello")
        await tab.page.keyboard.press("Enter")
        await tab.until(ANSWERED)
        assert (await words(tab, "user"))[0] == "hello"
        await tab.page.get_by_placeholder("Filter by type").fill("response.created")
        rows = tab.page.locator("#events li:visible")
        await expect(rows).to_have_count(1)
        await rows.locator("summary").click()
        await expect(rows.locator("pre")).to_contain_text('"type": "response.created"')
        # Shown as text: what a model says is never markup.
        assert tab.errors == []


async def test_muting_silences_the_microphone_and_hanging_up_ends_the_call() -> None:
    async with open_house() as house, opened(page_of(house)) as tab:
        await call(tab)
        await tab.page.get_by_role("button", name="Mute").click()
        await expect(tab.page.get_by_role("button", name="Muted")).to_have_attribute("aria-pressed", "true")
        await tab.until("() => switchboard.loudness('mic') === 0")
        await tab.page.get_by_role("button", name="Hang up").click()
        await tab.until(STEP_IS.format("idle"))
        assert await tab.page.evaluate("switchboard.remoteStream") is None
        await expect(tab.page.get_by_role("button", name="Talk to the agent")).to_be_focused()
        await expect(tab.page.get_by_role("alert")).to_be_hidden()
        await house.empty()
        assert tab.errors == []


async def test_leaving_the_page_ends_the_call() -> None:
    async with open_house() as house, opened(page_of(house)) as tab:
        await call(tab)
        assert len(house.sessions) == 1
        await tab.page.goto("about:blank")
        await house.empty()


async def test_a_lost_call_can_be_gone_on_with() -> None:
    async with open_house() as house, opened(page_of(house)) as tab:
        await call(tab)
        await tab.page.get_by_label("Write to the agent").fill("hello")
        await tab.page.keyboard.press("Enter")
        await tab.until(ANSWERED)
        before = await tab.page.evaluate("switchboard.sessionId")
        assert house.sessions == [before]
        house.cut_off()
        await tab.until(STEP_IS.format("lost"))
        await expect(tab.page.get_by_role("alert")).to_have_text(
            "The gateway is stopping. Press “Go on” to take up the conversation where it was."
        )
        await tab.page.get_by_role("button", name="Go on").click()
        await tab.until(STEP_IS.format("listening"))
        assert await tab.page.evaluate("switchboard.sessionId") != before
        await tab.page.get_by_label("Write to the agent").fill("and now?")
        await tab.page.keyboard.press("Enter")
        await tab.until(
            "() => switchboard.transcript.filter((one) => one.role === 'assistant' && one.text).length === 2"
        )
        assert await words(tab, "user") == ["hello", "and now?"]
        await expect(tab.page.get_by_role("alert")).to_be_hidden()
        assert tab.errors == []


async def test_the_agent_greets_uses_its_tools_and_hangs_up_as_on_the_telephone() -> None:
    async with open_house(is_built_in=True) as house, opened(page_of(house)) as tab:
        await call(tab)
        await tab.until("() => switchboard.events.some(({event}) => event.type === 'output_audio_buffer.stopped')")
        assert await words(tab, "assistant") == ["Hello there."]
        for text, answer in (("where is my order 4815", "on Thursday"), ("goodbye", "Goodbye")):
            await tab.page.get_by_label("Write to the agent").fill(text)
            await tab.page.get_by_role("button", name="Send").click()
            await tab.until(f"() => switchboard.transcript.some((one) => one.text.includes('{answer}'))")
        await expect(tab.page.get_by_role("alert")).to_contain_text("The agent has hung up.")
        await expect(tab.page.get_by_role("status")).to_have_text("Not connected")
        await house.empty()
        assert tab.errors == []
