"""Transcription: deltas, what completes them, failures, silence, and sessions that do nothing else."""

from __future__ import annotations

import base64

import pytest

from pipeline.audio.formats import PCM_24K, PCMU
from pipeline.dialects import Dialect
from tests.protocol.conftest import House
from tests.protocol.peer import joined, message, names
from tests.protocol.providers import FAILING, HEARD, SILENT
from tests.protocol.sound import duration_ms, speech

pytestmark = pytest.mark.anyio

WHISPER = {"input_audio_transcription": {"model": "whisper-1"}}
PREFIX = "conversation.item.input_audio_transcription."
DELTA, COMPLETED, FAILED = PREFIX + "delta", PREFIX + "completed", PREFIX + "failed"


@pytest.mark.proves("B2-transcription-delta", "B2-transcription-completed")
async def test_deltas_add_up_to_the_transcript_and_its_length_is_counted(house: House) -> None:
    async with house.voice_session(turn_detection=None) as peer:
        await peer.append(speech(PCMU))
        await peer.send("input_audio_buffer.commit")
        events = await peer.until(COMPLETED)
    deltas = [event for event in events if event["type"] == DELTA]
    assert len(deltas) > 1 and all(event["content_index"] == 0 for event in deltas)
    assert joined(events, DELTA) == HEARD
    completed = events[-1]
    assert (completed["transcript"], completed["content_index"]) == (HEARD, 0)
    assert completed["usage"] == {"type": "duration", "seconds": duration_ms(PCMU, speech(PCMU)) / 1000}


@pytest.mark.proves("B2-transcription-failed", "D3-failed")
async def test_a_failed_transcription_is_told_and_the_session_goes_on(house: House) -> None:
    heard = {"model": "whisper-1", "language": FAILING}
    async with house.voice_session(transcription=heard) as peer:
        await peer.append(speech(PCMU))
        item = (await peer.until("conversation.item.added"))[-1]["item"]
        failed = await peer.expect(FAILED)
        assert (failed["item_id"], failed["content_index"]) == (item["id"], 0)
        assert failed["error"]["type"] == "transcription_error"
        assert failed["error"]["code"] == "audio_unintelligible"
        assert failed["error"].keys() == {"type", "code", "message", "param"}
        await peer.say("Hello")
        await peer.send("response.create", response={"output_modalities": ["text"]})
        assert (await peer.answer())[-1]["response"]["status"] == "completed"


@pytest.mark.proves("D3-empty")
async def test_an_utterance_without_words_is_kept_and_not_answered(house: House) -> None:
    async with house.voice_session(transcription={"model": "whisper-1", "language": SILENT}) as peer:
        await peer.append(speech(PCMU))
        events = await peer.until(COMPLETED)
        assert "input_audio_buffer.committed" in names(events) and DELTA not in names(events)
        assert events[-1]["transcript"] == ""
        assert await peer.fence() == []


@pytest.mark.proves("A1-intent", "C2-transcription-session")
async def test_a_transcription_session_transcribes_turns_and_answers_none(house: House) -> None:
    async with house.session("/v1/realtime?intent=transcription") as peer:
        await peer.append(speech(PCM_24K))
        events = await peer.until(COMPLETED)
        assert events[-1]["transcript"] == HEARD
        assert await peer.fence() == []


@pytest.mark.proves("B1-transcription-update", "A2-beta-transcription")
async def test_the_beta_has_an_update_and_an_answer_of_its_own_for_transcription_sessions(house: House) -> None:
    minted = await house.post("/v1/realtime/transcription_sessions", WHISPER)
    secret = {"Authorization": f"Bearer {minted['client_secret']['value']}"}
    async with house.session("/v1/realtime", dialect=Dialect.BETA, headers=secret) as peer:
        assert names(peer.frames)[0] == "transcription_session.created"
        assert peer.frames[0]["session"]["input_audio_transcription"] == WHISPER["input_audio_transcription"]
        wanted = {"input_audio_transcription": {"model": "whisper-1", "language": "en"}, "turn_detection": None}
        await peer.send("transcription_session.update", session=wanted)
        session = (await peer.expect("transcription_session.updated"))["session"]
    assert {key: session[key] for key in wanted} == wanted


@pytest.mark.proves("B1-transcription-update")
async def test_elsewhere_nobody_knows_that_update(house: House) -> None:
    async with house.session() as peer:
        error = await peer.refused("transcription_session.update", session={})
    assert (error["code"], error["param"]) == ("invalid_value", "type")


@pytest.mark.proves("B3-user-parts", "B3-transcript-key")
async def test_sound_that_comes_in_an_item_is_transcribed_as_what_was_said_is(house: House) -> None:
    sound = base64.b64encode(speech(PCMU)).decode()
    async with house.voice_session() as peer:
        item = message("", content=[{"type": "input_audio", "audio": sound}])
        await peer.send("conversation.item.create", item=item)
        added = await peer.expect("conversation.item.added")
        assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        assert (await peer.expect(COMPLETED))["transcript"] == HEARD
        await peer.send("conversation.item.retrieve", item_id=added["item"]["id"])
        part = (await peer.expect("conversation.item.retrieved"))["item"]["content"][0]
        assert (part["transcript"], part["audio"]) == (HEARD, sound)
