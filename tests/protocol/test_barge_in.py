"""Speaking into an answer, and truncating what was not heard of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pipeline.audio.formats import PCMU
from pipeline.dialects import Dialect
from pipeline.events.items import Message
from pipeline.providers.stub import WORD_MS
from tests.protocol.conftest import House
from tests.protocol.peer import Event, Peer, joined, names, squeezed
from tests.protocol.providers import HANG, HEARD, ONE_MORE, SENTENCE
from tests.protocol.sound import speech

pytestmark = pytest.mark.anyio

CLOSERS = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
SPEAKING_MS = len(SENTENCE.split()) * WORD_MS
ANSWER_MS = 3 * WORD_MS
"""Of "You said: Hello."."""


async def speaking(peer: Peer, **response: Any) -> str:
    """Begins an answer that never ends; returns once all its sound is there, or heard. The id of what is spoken."""
    await peer.send("response.create", response={"instructions": HANG, **response})
    part = await peer.expect("response.content_part.added")
    await peer.begun(SPEAKING_MS * 8)
    return str(part["item_id"])


async def answered(peer: Peer) -> str:
    """An answer to "Hello", complete and heard; the id of what was spoken."""
    await peer.say("Hello")
    await peer.send("response.create")
    done = (await peer.answer())[-1]["response"]
    await peer.heard()
    return str(done["output"][0]["id"])


async def truncate(peer: Peer, item_id: str, ms: int) -> Event:
    await peer.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)
    return await peer.expect("conversation.item.truncated")


async def part_of(peer: Peer, item_id: str) -> Event:
    """The only part of an item, retrieved."""
    await peer.send("conversation.item.retrieve", item_id=item_id)
    part: Event = (await peer.expect("conversation.item.retrieved"))["item"]["content"][0]
    return part


@pytest.mark.proves("D7-barge-in", "D7-no-sound-after", "D-nothing-after-done")
async def test_speech_into_an_answer_closes_and_cancels_it(house: House) -> None:
    async with house.voice_session() as peer:
        item_id = await speaking(peer)
        await peer.append(speech(PCMU))
        started = await peer.expect("input_audio_buffer.speech_started")
        closed = await peer.until("response.done")
        assert names(closed) == CLOSERS
        done = closed[-1]["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        item = done["output"][0]
        assert (item["id"], item["status"]) == (item_id, "incomplete")
        assert closed[1]["transcript"] == item["content"][0]["transcript"] == SENTENCE + ONE_MORE
        turn = await peer.until("response.created")
        assert turn[0]["type"] == "input_audio_buffer.speech_stopped"
        assert turn[0]["item_id"] == started["item_id"]
        after = await peer.until("response.done")
        assert {event["response_id"] for event in after if "response_id" in event} == {after[-1]["response"]["id"]}


@pytest.mark.proves("D7-cancel-after", "B1-cancel-none")
async def test_a_client_that_cancels_too_gets_the_benign_error(house: House) -> None:
    async with house.voice_session(turn_detection={"type": "server_vad", "create_response": False}) as peer:
        await speaking(peer)
        await peer.append(speech(PCMU))
        await peer.expect("response.done")
        await peer.until("conversation.item.input_audio_transcription.completed")
        assert (await peer.refused("response.cancel"))["code"] == "response_cancel_not_active"


@pytest.mark.proves("C2-no-interrupt")
@pytest.mark.parametrize("creates", [True, False])
async def test_without_interrupt_response_the_answer_goes_on(house: House, creates: bool) -> None:
    vad = {"type": "server_vad", "interrupt_response": False, "create_response": creates}
    async with house.voice_session(turn_detection=vad) as peer:
        item_id = await speaking(peer)
        await peer.append(speech(PCMU))
        turn = await peer.until("conversation.item.input_audio_transcription.completed")
        assert squeezed(turn)[:3] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
        ]
        assert await peer.fence() == []
        await peer.send("response.cancel")
        done = (await peer.expect("response.done"))["response"]
        assert done["status_details"]["reason"] == "client_cancelled" and done["output"][0]["id"] == item_id


@pytest.mark.proves("D7-truncate-finished", "B1-truncate", "D7-heard", "B1-retrieve")
async def test_a_finished_answer_is_cut_to_what_was_heard_of_it(house: House) -> None:
    async with house.voice_session() as peer:
        item_id = await answered(peer)
        assert (await part_of(peer, item_id))["transcript"] == "You said: Hello."
        truncated = await truncate(peer, item_id, 2 * WORD_MS)
        assert (truncated["item_id"], truncated["content_index"]) == (item_id, 0)
        assert truncated["audio_end_ms"] == 2 * WORD_MS
        part = await part_of(peer, item_id)
        assert part["type"] == "output_audio" and "transcript" not in part
        assert len(base64.b64decode(part["audio"])) == 2 * WORD_MS * 8
        await peer.send("response.create")
        await peer.answer()
    told = [item.text for item in house.model.prompts[-1].items if isinstance(item, Message)]
    assert told == ["Hello", "You said:"]


@pytest.mark.proves("D7-truncate-all")
async def test_a_truncation_at_the_very_end_succeeds(house: House) -> None:
    async with house.voice_session() as peer:
        item_id = await answered(peer)
        assert (await truncate(peer, item_id, ANSWER_MS))["audio_end_ms"] == ANSWER_MS


@pytest.mark.proves("D7-truncate-cancelled", "D7-heard")
async def test_a_cancelled_answer_is_cut_too(house: House) -> None:
    async with house.voice_session(turn_detection={"type": "server_vad", "create_response": False}) as peer:
        item_id = await speaking(peer)
        await peer.append(speech(PCMU))
        await peer.expect("response.done")
        await peer.expect("conversation.item.input_audio_transcription.completed")
        assert (await truncate(peer, item_id, 3 * WORD_MS))["audio_end_ms"] == 3 * WORD_MS
        await peer.send("response.create")
        await peer.answer()
    told = [item.text for item in house.model.prompts[-1].items if isinstance(item, Message)]
    assert told == ["One two three", HEARD]


@pytest.mark.proves("D7-truncate-running", "D7-truncate-all")
@pytest.mark.parametrize("ms", [1, 2 * WORD_MS, SPEAKING_MS])
async def test_truncating_an_answer_in_progress_stops_it(house: House, ms: int) -> None:
    async with house.voice_session() as peer:
        item_id = await speaking(peer)
        await peer.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)
        events = await peer.until("conversation.item.truncated")
        assert names(events) == [*CLOSERS, "conversation.item.truncated"]
        assert events[-2]["response"]["status"] == "cancelled"
        assert events[-1]["audio_end_ms"] == ms
        assert await peer.fence() == []


@pytest.mark.proves("B1-truncate-too-long", "B1-truncate-slack", "D14-errors")
async def test_a_truncation_behind_the_end_is_clamped_if_near_and_refused_if_far(house: House) -> None:
    async with house.voice_session() as peer:
        item_id = await answered(peer)
        far = {"item_id": item_id, "content_index": 0, "audio_end_ms": ANSWER_MS + 251}
        error = await peer.refused("conversation.item.truncate", **far)
        assert (error["code"], error["param"]) == ("invalid_value", "audio_end_ms")
        assert error["message"] == f"Audio content of {ANSWER_MS}ms is already shorter than {ANSWER_MS + 251}ms"
        assert (await truncate(peer, item_id, ANSWER_MS + 250))["audio_end_ms"] == ANSWER_MS
        assert (await part_of(peer, item_id))["type"] == "output_audio"


@pytest.mark.proves("B1-truncate-iw")
async def test_inworlds_clients_may_be_far_behind_the_end(house: House) -> None:
    path = "/api/v1/realtime/session?key=k&protocol=realtime"
    async with house.session(path, dialect=Dialect.IW) as peer:
        item_id = await answered(peer)
        assert (await truncate(peer, item_id, 100_000))["audio_end_ms"] == ANSWER_MS


@pytest.mark.proves("B1-truncate-unknown", "B1-truncate-not-spoken")
async def test_what_was_not_spoken_cannot_be_truncated(house: House) -> None:
    async with house.voice_session() as peer:
        item = await peer.say("Hello")
        for item_id, code, told in (
            ("item_gone", "item_truncate_invalid_item_id", "item_gone"),
            (item["id"], "invalid_value", "Only model output audio messages can be truncated"),
        ):
            wanted = {"item_id": item_id, "content_index": 0, "audio_end_ms": 0}
            error = await peer.refused("conversation.item.truncate", **wanted)
            assert (error["code"], error["param"]) == (code, "item_id")
            assert told in error["message"]


@pytest.mark.proves("D7-barge-in", "D3-text-ahead")
async def test_nothing_is_interrupted_after_the_answer_is_complete(house: House) -> None:
    async with house.voice_session() as peer:
        await answered(peer)
        await peer.append(speech(PCMU))
        turn = await peer.until("response.created")
        assert "response.done" not in names(turn)
        assert joined(await peer.until("response.done"), "response.output_audio_transcript.delta").startswith("You")
