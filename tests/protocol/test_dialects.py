"""The same conversation in all four dialects: each has its own names, and none of another's."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.dialects import Dialect
from tests.protocol.conftest import BEARER, House
from tests.protocol.peer import Event, Peer, message, names
from tests.protocol.providers import CALL, HEARD
from tests.protocol.sound import speech

pytestmark = pytest.mark.anyio

SEED_PATH = "/api/v1/realtime/session"
IW_PATH = f"{SEED_PATH}?key=k&protocol=realtime"
BETA = {**BEARER, "OpenAI-Beta": "realtime=v1"}
TOOL = {"type": "function", "name": "get_weather", "description": "Tells it.", "parameters": {"type": "object"}}

EVERYWHERE = {
    "session.created",
    "session.updated",
    "conversation.created",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "response.content_part.added",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.done",
}
NEW_OUTPUT = {
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
}
OLD_OUTPUT = {name.replace("output_", "") for name in NEW_OUTPUT}
TWO_EVENTS = {"conversation.item.added", "conversation.item.done"}
ONE_EVENT = {"conversation.item.created"}

SPOKEN: dict[Dialect, set[str]] = {
    Dialect.GA: EVERYWHERE | NEW_OUTPUT | TWO_EVENTS,
    Dialect.IW: EVERYWHERE | NEW_OUTPUT | TWO_EVENTS,
    Dialect.SEED: EVERYWHERE | OLD_OUTPUT | TWO_EVENTS,
    Dialect.BETA: EVERYWHERE | OLD_OUTPUT | ONE_EVENT,
}
WAYS: dict[Dialect, tuple[str, dict[str, str]]] = {
    Dialect.GA: ("/v1/realtime?model=m", BEARER),
    Dialect.BETA: ("/v1/realtime?model=m", BETA),
    Dialect.IW: (IW_PATH, BEARER),
    Dialect.SEED: (SEED_PATH, BEARER),
}
UPDATES: dict[Dialect, Event] = {
    Dialect.GA: {
        "type": "realtime",
        "audio": {"input": {"transcription": {"model": "whisper-1"}}},
        "tools": [TOOL],
    },
    Dialect.BETA: {"input_audio_transcription": {"model": "whisper-1"}, "tools": [TOOL]},
    Dialect.IW: {"audio": {"input": {"transcription": {"model": "whisper-1"}}}, "tools": [TOOL]},
    Dialect.SEED: {"input_audio_transcription": {"model": "whisper-1"}, "tools": [TOOL]},
}
IN_TEXT: dict[Dialect, Event] = {
    dialect: {"modalities": ["text"]} if dialect is Dialect.BETA else {"output_modalities": ["text"]}
    for dialect in Dialect
}


@asynccontextmanager
async def opened(house: House, dialect: Dialect) -> AsyncGenerator[Peer, None]:
    path, headers = WAYS[dialect]
    async with house.session(path, headers=headers, dialect=dialect) as peer:
        yield peer


async def converse(peer: Peer, dialect: Dialect) -> None:
    """A spoken turn, a written one, a function call; then the items are looked at, cut and deleted."""
    await peer.send("session.update", session=UPDATES[dialect])
    await peer.updated()
    await peer.append(speech(PCM_24K), chunk_bytes=4_800)
    spoken = (await peer.expect("response.done"))["response"]["output"][0]
    await peer.heard()
    for text in ("Hello", CALL):
        await peer.say(text)
        await peer.send("response.create", response=IN_TEXT[dialect])
        await peer.expect("response.done")
    await peer.send("conversation.item.retrieve", item_id=spoken["id"])
    await peer.send("conversation.item.truncate", item_id=spoken["id"], content_index=0, audio_end_ms=200)
    await peer.send("conversation.item.delete", item_id=spoken["id"])
    await peer.expect("conversation.item.deleted")
    await peer.send("input_audio_buffer.clear")
    await peer.expect("input_audio_buffer.cleared")
    assert await peer.fence() == []


def events_of(peer: Peer, name: str) -> list[Event]:
    return [event for event in peer.frames if event["type"] == name]


@pytest.mark.proves("A4-one-dialect", "F8-strict-model", "G4-not-copied", "B3-transcript-key")
@pytest.mark.parametrize("dialect", Dialect)
async def test_a_conversation_uses_all_names_of_its_dialect_and_no_other(house: House, dialect: Dialect) -> None:
    async with opened(house, dialect) as peer:
        await converse(peer, dialect)
    assert set(names(peer.frames)) - {"error"} == set(peer.told(*SPOKEN[dialect]))
    assert {event["transcript"] for event in peer.frames if event["type"].endswith("transcription.completed")} == {
        HEARD
    }


@pytest.mark.proves("A4-one-dialect", "B1-beta-response", "B1-beta-parts", "B2-part-added")
async def test_the_beta_is_flat_and_has_old_names_for_parts(house: House) -> None:
    async with opened(house, Dialect.BETA) as peer:
        await converse(peer, Dialect.BETA)
    responses = [event["response"] for event in events_of(peer, "response.done")]
    assert [response["modalities"] for response in responses] == [["text", "audio"], ["text"], ["text"]]
    assert all("audio" not in response and "output_modalities" not in response for response in responses)
    assert responses[0]["output_audio_format"] == "pcm16" and responses[0]["temperature"] == 0.8
    kinds = [
        part["type"] for response in responses for item in response["output"] for part in item.get("content", [])
    ]
    assert kinds == ["audio", "text"]
    parts = [event["part"] for event in events_of(peer, "response.content_part.added")]
    assert parts == [{"type": "audio", "transcript": ""}, {"type": "text", "text": ""}]
    added = names(peer.frames)
    assert added[added.index("response.output_item.added") + 1] == "conversation.item.created"


@pytest.mark.proves("B1-beta-response")
async def test_the_betas_fields_of_one_response_are_read(house: House) -> None:
    wanted = {
        "modalities": ["text", "audio"],
        "voice": "ash",
        "output_audio_format": "g711_ulaw",
        "temperature": 0.9,
        "max_response_output_tokens": 55,
    }
    async with opened(house, Dialect.BETA) as peer:
        await peer.say("Hello")
        await peer.send("response.create", response=wanted)
        response = (await peer.answer())[-1]["response"]
    assert response["voice"] == "ash" and response["output_audio_format"] == "g711_ulaw"
    assert (response["temperature"], response["max_output_tokens"]) == (0.9, 55)


@pytest.mark.proves("A4-iw")
@pytest.mark.parametrize(
    "session",
    [
        {"type": "realtime", "audio": {"output": {"voice": "Clive"}}},
        {"voice": "Clive", "modalities": ["text", "audio"]},
        {"sessionConfig": {"voice": "Clive", "maxTokens": 99}},
    ],
)
async def test_inworlds_dialect_reads_all_spellings_and_writes_ga(house: House, session: Event) -> None:
    async with opened(house, Dialect.IW) as peer:
        await peer.send("session.update", session=session)
        shown = await peer.updated()
        await peer.say("Hello")
        await peer.send("response.create", response=IN_TEXT[Dialect.IW])
        told = names(await peer.answer())
    assert shown["audio"]["output"]["voice"] == "Clive" and "voice" not in shown
    assert "response.output_text.delta" in told


@pytest.mark.proves("A4-seed")
async def test_the_seeds_dialect_shows_the_session_both_ways(house: House) -> None:
    async with opened(house, Dialect.SEED) as peer:
        await peer.send("session.update", session={"inputAudioFormat": "pcmu", "turnDetection": {"type": "none"}})
        shown = await peer.updated()
    assert (shown["inputAudioFormat"], shown["audio"]["input"]["format"]["type"]) == ("pcmu", "audio/pcmu")
    assert (shown["turnDetection"], shown["audio"]["input"]["turn_detection"]) == ({"type": "none"}, None)


@pytest.mark.proves("A4-seed-turns")
@pytest.mark.parametrize("session", [{"type": "realtime"}, {"audio": {"output": {"voice": "Clive"}}}])
async def test_a_first_update_in_ga_shape_makes_it_inworlds(house: House, session: Event) -> None:
    async with opened(house, Dialect.SEED) as peer:
        await peer.send("session.update", session=session)
        assert "turnDetection" not in await peer.updated()
        await peer.say("Hello")
        await peer.send("response.create", response=IN_TEXT[Dialect.IW])
        assert "response.output_text.delta" in names(await peer.answer())


@pytest.mark.proves("A4-seed-stays")
async def test_after_its_first_update_a_seed_connection_stays_one(house: House) -> None:
    async with opened(house, Dialect.SEED) as peer:
        await peer.send("session.update", session={"voice": "Clive"})
        await peer.updated()
        await peer.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "Dennis"}}})
        assert (await peer.updated())["turnDetection"]["type"] == "server_vad"


@pytest.mark.proves("A4-seed-stays")
async def test_after_its_first_response_a_seed_connection_stays_one(house: House) -> None:
    async with opened(house, Dialect.SEED) as peer:
        await peer.send("conversation.item.create", item=message("Hello"))
        await peer.send("response.create", response=IN_TEXT[Dialect.SEED])
        assert "response.text.delta" in names(await peer.answer())
        await peer.send("session.update", session={"type": "realtime"})
        assert "turnDetection" in await peer.updated()
