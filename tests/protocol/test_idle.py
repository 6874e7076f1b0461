"""Nobody speaks: the idle timeout."""

from __future__ import annotations

import pytest

from pipeline.audio.formats import PCMU
from pipeline.providers.stub import WORD_MS
from tests.protocol.conftest import House
from tests.protocol.peer import Peer, squeezed
from tests.protocol.sound import silence, speech

pytestmark = pytest.mark.anyio

TIMEOUT_MS = 5_000
ANSWER_MS = 3 * WORD_MS
"""Of "You said: Hello."."""
VAD = {"type": "server_vad", "idle_timeout_ms": TIMEOUT_MS}


async def answered(peer: Peer) -> None:
    await peer.say("Hello")
    await peer.send("response.create")
    await peer.answer()
    await peer.heard()


@pytest.mark.proves("D12-idle")
async def test_a_long_silence_after_an_answer_is_a_turn(house: House) -> None:
    async with house.voice_session(turn_detection=VAD) as peer:
        await answered(peer)
        await peer.append(silence(PCMU, TIMEOUT_MS + ANSWER_MS + 500), chunk_bytes=160)
        events = await peer.until("response.created")
        assert squeezed(events) == [
            "input_audio_buffer.timeout_triggered",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
        ]
        triggered, committed, added = events[0], events[1], events[2]
        assert triggered["item_id"] == committed["item_id"] == added["item"]["id"]
        assert added["item"]["role"] == "user"
        assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        assert events[4]["transcript"] == ""
        assert (await peer.expect("response.done"))["response"]["status"] == "completed"


@pytest.mark.proves("D12-after-playback")
async def test_the_wait_begins_when_the_answer_must_have_been_heard(house: House) -> None:
    async with house.voice_session(turn_detection=VAD) as peer:
        await peer.append(silence(PCMU, 1_000), chunk_bytes=160)
        await peer.fence()
        await answered(peer)
        await peer.append(silence(PCMU, TIMEOUT_MS + ANSWER_MS + 500), chunk_bytes=160)
        triggered = await peer.expect("input_audio_buffer.timeout_triggered")
    assert 1_000 + ANSWER_MS <= triggered["audio_start_ms"] <= 1_000 + ANSWER_MS + 100
    assert triggered["audio_end_ms"] - triggered["audio_start_ms"] in range(TIMEOUT_MS, TIMEOUT_MS + 100)


@pytest.mark.proves("D12-not-before")
async def test_before_the_first_answer_nobody_waits(house: House) -> None:
    async with house.voice_session(turn_detection=VAD) as peer:
        await peer.append(silence(PCMU, TIMEOUT_MS + 1_000), chunk_bytes=1600)
        assert await peer.fence() == []


@pytest.mark.proves("D12-idle")
async def test_who_speaks_in_time_is_not_idle(house: House) -> None:
    async with house.voice_session(turn_detection=VAD) as peer:
        await answered(peer)
        await peer.append(silence(PCMU, TIMEOUT_MS - 1_000) + speech(PCMU), chunk_bytes=160)
        events = await peer.until("response.created")
    assert squeezed(events)[0] == "input_audio_buffer.speech_started"


@pytest.mark.proves("D12-idle", "C2-vad-defaults")
async def test_without_a_timeout_silence_may_last(house: House) -> None:
    async with house.voice_session() as peer:
        await answered(peer)
        await peer.append(silence(PCMU, 2 * TIMEOUT_MS), chunk_bytes=1600)
        assert await peer.fence() == []
