"""Responses out of band: beside the conversation, and beside each other."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import PCMU
from pipeline.events.items import Message
from tests.protocol.conftest import House
from tests.protocol.peer import Event, joined, message, names, squeezed
from tests.protocol.providers import HANG, HEARD, MUSE
from tests.protocol.sound import speech

pytestmark = pytest.mark.anyio

ASIDE = {"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "x"}}


def of(events: list[Event], response_id: str) -> list[Event]:
    """Those of one response."""
    return [
        event
        for event in events
        if event.get("response_id") == response_id or event.get("response", {}).get("id") == response_id
    ]


@pytest.mark.proves("D10-aside", "B4-metadata", "B4-input")
async def test_an_aside_is_told_by_its_own_events_and_leaves_nothing_behind(house: House) -> None:
    async with house.session() as peer:
        first = await peer.say("First")
        given = [{"type": "item_reference", "id": first["id"]}, message("Summarise")]
        await peer.send("response.create", response={**ASIDE, "input": given, "tools": []})
        events = await peer.answer()
        assert squeezed(events) == [
            "response.created",
            "rate_limits.updated",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        created, done = events[0]["response"], events[-1]["response"]
        assert created["conversation_id"] is None and done["conversation_id"] is None
        assert created["metadata"] == done["metadata"] == {"topic": "x"}
        assert done["output"][0]["content"][0]["text"] == "You said: Summarise."
        told = [item.text for item in house.model.prompts[-1].items if isinstance(item, Message)]
        assert told == ["First", "Summarise"]
        await peer.send("response.create", response={"output_modalities": ["text"]})
        await peer.answer()
    told = [item.text for item in house.model.prompts[-1].items if isinstance(item, Message)]
    assert told == ["First"], "neither its input nor its answer joined the conversation"


@pytest.mark.proves("D10-aside")
async def test_an_aside_without_input_knows_the_conversation(house: House) -> None:
    async with house.session() as peer:
        await peer.say("First")
        await peer.send("response.create", response=ASIDE)
        assert (await peer.answer())[-1]["response"]["output"][0]["content"][0]["text"] == "You said: First."


@pytest.mark.proves("B0-many-asides", "D9-cancel-aside")
async def test_many_run_beside_the_conversations_own_and_each_is_cancelled_by_its_id(house: House) -> None:
    async with house.text_session() as peer:
        ids = []
        for response in ({"instructions": MUSE}, {**ASIDE, "instructions": MUSE}, {**ASIDE, "instructions": MUSE}):
            await peer.send("response.create", response=response)
            ids.append((await peer.expect("response.created"))["response"]["id"])
        await peer.send("response.create", response={**ASIDE, "input": [message("Quick")]})
        quick = await peer.answer()
        assert quick[-1]["response"]["status"] == "completed"
        for response_id in reversed(ids):
            await peer.send("response.cancel", response_id=response_id)
            done = (await peer.expect("response.done"))["response"]
            assert (done["id"], done["status_details"]["reason"]) == (response_id, "client_cancelled")
        assert (await peer.refused("response.cancel"))["code"] == "response_cancel_not_active"


@pytest.mark.proves("D9-cancel-aside", "B1-cancel")
async def test_a_cancel_without_an_id_means_the_conversations_own(house: House) -> None:
    async with house.text_session() as peer:
        await peer.send("response.create", response={**ASIDE, "instructions": MUSE})
        aside = (await peer.expect("response.created"))["response"]["id"]
        await peer.expect("rate_limits.updated")
        assert (await peer.refused("response.cancel"))["code"] == "response_cancel_not_active"
        await peer.send("response.create", response={"instructions": MUSE})
        own = (await peer.expect("response.created"))["response"]["id"]
        await peer.send("response.cancel")
        assert (await peer.expect("response.done"))["response"]["id"] == own
        await peer.send("response.cancel", response_id=aside)
        assert (await peer.expect("response.done"))["response"]["id"] == aside


@pytest.mark.proves("D10-not-interrupted")
async def test_speech_does_not_interrupt_an_aside(house: House) -> None:
    async with house.voice_session() as peer:
        await peer.send("response.create", response={**ASIDE, "instructions": HANG})
        aside = (await peer.expect("response.created"))["response"]["id"]
        await peer.append(speech(PCMU))
        await peer.until("input_audio_buffer.speech_stopped")
        await peer.until("response.created")
        answered = await peer.until("response.done")
        assert answered[-1]["response"]["id"] != aside
        assert HEARD.rstrip("?") in joined(answered, "response.output_audio_transcript.delta")
        await peer.send("response.cancel", response_id=aside)
        done = (await peer.expect("response.done"))["response"]
    assert (done["id"], done["status"]) == (aside, "cancelled")
    assert names(of(peer.frames, aside)).count("response.done") == 1
