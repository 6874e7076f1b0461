"""The input buffer: appends, commits and clears, and turns that are found or made by hand."""

from __future__ import annotations

import base64

import pytest

from pipeline.audio.formats import PCMU
from tests.protocol.conftest import House
from tests.protocol.peer import Event, names, squeezed
from tests.protocol.providers import HEARD
from tests.protocol.sound import AFTER_MS, duration_ms, silence, speech, voice

pytestmark = pytest.mark.anyio

SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
]
COMMITTED = [
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
]
BEFORE_MS = 500
"""Of silence before somebody speaks."""


def by_name(events: list[Event]) -> dict[str, Event]:
    return {event["type"]: event for event in events}


@pytest.mark.proves("D3-voice-turn", "D-user-first", "B2-speech-started", "B2-speech-stopped", "B2-part-added")
async def test_a_spoken_turn_has_its_events_in_their_order(house: House) -> None:
    async with house.voice_session() as peer:
        await peer.append(silence(PCMU, BEFORE_MS) + speech(PCMU))
        heard = await peer.until("response.created")
        answered = await peer.until("response.done")
    assert squeezed(heard[:-1]) == SPOKEN_TURN
    events = by_name(heard)
    item_id = events["input_audio_buffer.speech_started"]["item_id"]
    assert {event["item_id"] for event in heard[:-1] if "item_id" in event} == {item_id}
    assert events["input_audio_buffer.committed"]["previous_item_id"] is None
    item = events["conversation.item.added"]["item"]
    assert events["conversation.item.done"]["item"] == item
    assert item == {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    started_ms = events["input_audio_buffer.speech_started"]["audio_start_ms"]
    ended_ms = events["input_audio_buffer.speech_stopped"]["audio_end_ms"]
    spoken_ms = BEFORE_MS + duration_ms(PCMU, voice(PCMU))
    assert BEFORE_MS - 300 - 100 <= started_ms <= BEFORE_MS, "padding of 300 ms is included"
    assert spoken_ms < ended_ms <= spoken_ms + AFTER_MS, "the silence that ended it is included"
    told = squeezed(answered)
    opening, closing = told[:4], told[-6:]
    assert opening == [
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    deltas = peer.told("response.output_audio_transcript.delta", "response.output_audio.delta")
    assert set(told[4:-6]) == set(deltas)
    assert closing == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = by_name(answered)
    said = f"You said: {HEARD.rstrip('?')}."
    assert done["response.output_audio_transcript.done"]["transcript"] == said
    assert done["response.content_part.added"]["part"] == {"type": "audio", "transcript": ""}
    assert done["response.content_part.done"]["part"] == {"type": "audio", "transcript": said}
    assert done["conversation.item.done"]["item"]["content"] == [{"type": "output_audio", "transcript": said}]


@pytest.mark.proves("B2-speech-started")
async def test_speech_at_once_begins_at_nought(house: House) -> None:
    async with house.voice_session() as peer:
        await peer.append(speech(PCMU))
        started = await peer.expect("input_audio_buffer.speech_started")
    assert 0 <= started["audio_start_ms"] < 300


@pytest.mark.proves("D3-voice-turn", "B2-previous-item")
async def test_each_turn_names_the_item_before_it(house: House) -> None:
    async with house.voice_session() as peer:
        await peer.append(speech(PCMU))
        await peer.until("response.created")
        answer = (await peer.until("response.done"))[-1]["response"]["output"][0]
        await peer.append(speech(PCMU))
        committed = await peer.expect("input_audio_buffer.committed")
        added = await peer.expect("conversation.item.added")
    assert committed["previous_item_id"] == added["previous_item_id"] == answer["id"]


@pytest.mark.proves("D3-no-transcripts")
async def test_who_asks_for_no_transcripts_is_sent_none(house: House) -> None:
    async with house.voice_session(transcription=None) as peer:
        await peer.append(speech(PCMU))
        heard = await peer.until("response.created")
        answered = await peer.until("response.done")
    assert not [name for name in names(heard + answered) if "input_audio_transcription" in name]
    assert HEARD.rstrip("?") in answered[-1]["response"]["output"][0]["content"][0]["transcript"]


@pytest.mark.proves("C2-no-create-response")
async def test_without_create_response_a_turn_is_kept_and_not_answered(house: House) -> None:
    vad = {"type": "server_vad", "create_response": False}
    async with house.voice_session(turn_detection=vad) as peer:
        await peer.append(speech(PCMU))
        heard = await peer.until("conversation.item.input_audio_transcription.completed")
        assert squeezed(heard) == SPOKEN_TURN
        assert await peer.fence() == []
        await peer.send("response.create")
        assert HEARD.rstrip("?") in (await peer.answer())[-1]["response"]["output"][0]["content"][0]["transcript"]


@pytest.mark.proves("C2-semantic")
async def test_semantic_turn_detection_tells_the_same_events(house: House) -> None:
    async with house.voice_session(turn_detection={"type": "semantic_vad", "eagerness": "high"}) as peer:
        await peer.append(speech(PCMU) + silence(PCMU, 3000))
        heard = await peer.until("response.created")
    assert squeezed(heard[:-1]) == SPOKEN_TURN


@pytest.mark.proves("B1-append-no-reply", "D4-manual-turn", "B1-commit", "C2-manual")
async def test_a_turn_by_hand_waits_for_commit_and_for_response_create(house: House) -> None:
    async with house.voice_session(turn_detection=None) as peer:
        await peer.append(speech(PCMU), chunk_bytes=160)
        assert await peer.fence() == [], "an append is not answered, and nobody looks for turns"
        await peer.send("input_audio_buffer.commit")
        committed = await peer.until("conversation.item.input_audio_transcription.completed")
        assert squeezed(committed) == COMMITTED
        assert await peer.fence() == []
        await peer.send("response.create")
        answered = await peer.answer()
    assert HEARD.rstrip("?") in answered[-1]["response"]["output"][0]["content"][0]["transcript"]


@pytest.mark.proves("D4-manual-turn")
async def test_a_response_asked_for_right_behind_a_commit_knows_its_words(house: House) -> None:
    async with house.voice_session(turn_detection=None) as peer:
        await peer.send("input_audio_buffer.clear")
        await peer.append(speech(PCMU), chunk_bytes=400)
        await peer.send("input_audio_buffer.commit")
        await peer.send("response.create")
        answered = await peer.answer()
    assert HEARD.rstrip("?") in answered[-1]["response"]["output"][0]["content"][0]["transcript"]


@pytest.mark.proves("B1-commit-short")
async def test_a_commit_of_less_than_a_tenth_of_a_second_is_refused(house: House) -> None:
    async with house.voice_session(turn_detection=None) as peer:
        for ms, told in ((0, "0.00ms"), (99, "99.00ms")):
            await peer.append(silence(PCMU, ms))
            error = await peer.refused("input_audio_buffer.commit")
            assert (error["code"], error["param"]) == ("input_audio_buffer_commit_empty", None)
            assert error["message"] == (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least 100ms of audio, but buffer only has {told} of audio."
            )
        await peer.append(silence(PCMU, 1))
        await peer.send("input_audio_buffer.commit")
        await peer.expect("input_audio_buffer.committed")


@pytest.mark.proves("B1-clear")
async def test_a_clear_forgets_what_was_not_committed(house: House) -> None:
    async with house.voice_session(turn_detection=None) as peer:
        await peer.send("input_audio_buffer.clear")
        await peer.append(silence(PCMU, 500))
        await peer.send("input_audio_buffer.clear")
        assert names(await peer.fence()) == ["input_audio_buffer.cleared"] * 2
        assert (await peer.refused("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


@pytest.mark.proves("D4-commit-while-speaking")
async def test_a_commit_while_somebody_speaks_takes_the_announced_item(house: House) -> None:
    async with house.voice_session() as peer:
        await peer.append(voice(PCMU))
        started = await peer.expect("input_audio_buffer.speech_started")
        await peer.send("input_audio_buffer.commit")
        events = await peer.until("conversation.item.input_audio_transcription.completed")
    assert squeezed(events) == COMMITTED
    assert events[0]["item_id"] == events[-1]["item_id"] == started["item_id"]


@pytest.mark.proves("B1-append-base64")
@pytest.mark.parametrize("audio", ["***", "abc", 7, "ä"])
async def test_sound_that_is_no_base64_is_refused(house: House, audio: object) -> None:
    async with house.session() as peer:
        error = await peer.refused("input_audio_buffer.append", audio=audio)
        assert (error["code"], error["param"]) == ("invalid_value", "audio")
        missing = await peer.refused("input_audio_buffer.append")
        assert (missing["code"], missing["param"]) == ("missing_required_parameter", "audio")


@pytest.mark.proves("B1-retrieve", "B3-no-sound", "A1-frame-size")
async def test_what_was_said_is_retrieved_with_its_sound(house: House) -> None:
    sound = speech(PCMU)
    async with house.voice_session(turn_detection=None) as peer:
        await peer.append(sound)
        await peer.send("input_audio_buffer.commit")
        item_id = (await peer.expect("input_audio_buffer.committed"))["item_id"]
        await peer.expect("conversation.item.input_audio_transcription.completed")
        await peer.send("conversation.item.retrieve", item_id=item_id)
        part = (await peer.expect("conversation.item.retrieved"))["item"]["content"][0]
    assert (part["type"], part["transcript"], part["format"]) == ("input_audio", HEARD, "g711_ulaw")
    assert base64.b64decode(part["audio"]) == sound


@pytest.mark.proves("A1-frame-size")
async def test_an_item_too_long_for_a_frame_is_retrieved_without_its_sound(house: House) -> None:
    async with house.voice_session(turn_detection=None) as peer:
        await peer.append(bytes(1024 * 1024))
        await peer.send("input_audio_buffer.commit")
        item_id = (await peer.expect("input_audio_buffer.committed"))["item_id"]
        await peer.send("conversation.item.retrieve", item_id=item_id)
        part = (await peer.expect("conversation.item.retrieved"))["item"]["content"][0]
    assert part["type"] == "input_audio" and "audio" not in part


@pytest.mark.proves("B1-output-clear", "B2-output-buffer")
async def test_a_client_that_plays_for_itself_clears_its_own_buffer(house: House) -> None:
    async with house.session() as peer:
        await peer.say("Hello")
        await peer.send("response.create")
        await peer.until("response.output_audio.delta")
        await peer.send("output_audio_buffer.clear")
        assert (await peer.expect("response.done"))["response"]["status"] == "completed"
        assert not [name for name in names(peer.frames) if name.startswith("output_audio_buffer.")]
