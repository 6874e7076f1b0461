"""Inworld's backchannels and fillers, on its own path and on no other (Realtime reference, G.3 and G.4)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.dialects import Dialect
from pipeline.providers.stub import WORD_MS
from pipeline.responsiveness import FILLERS
from tests.protocol.conftest import House
from tests.protocol.peer import Peer, joined, names, sound_of
from tests.protocol.providers import HANG, MUSE
from tests.protocol.sound import silence, speech, voice
from tests.protocol.transports import Transport

pytestmark = pytest.mark.anyio

SEED_PATH = "/api/v1/realtime/session"
IW_PATH = f"{SEED_PATH}?key=k&protocol=realtime"
DELTA, DONE, SKIPPED = (f"response.backchannel.{end}" for end in ("audio.delta", "audio.done", "skipped"))
RULE = {
    "enabled": True,
    "decider_kind": "rule",
    "rule_fire_probability": 1,
    "allowed_phrases": ["that is right"],
    "min_speech_ms": 100,
    "hard_deadline_ms": 10_000,
}
CHUNK_BYTES = 4_800


async def configure(peer: Peer, **provider_data: object) -> Any:
    await peer.send("session.update", session={"providerData": provider_data})
    return await peer.updated()


@pytest.mark.proves("G4-backchannel", "G3-backchannel-choice")
async def test_a_caller_who_speaks_hears_a_phrase_that_belongs_to_no_response(house: House) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        session = await configure(peer, backchannel=RULE | {"mine": 1})
        assert session["providerData"]["backchannel"] == RULE | {"mine": 1}
        await peer.append(voice(PCM_24K), chunk_bytes=CHUNK_BYTES)
        told = await peer.until(DONE)
        deltas = [event for event in told if event["type"] == DELTA]
        assert {event["backchannel_id"] for event in deltas} == {told[-1]["backchannel_id"]}
        assert told[-1]["phrase"] == "that is right"
        assert len(sound_of(told, DELTA)) == PCM_24K.bytes_in(3 * WORD_MS)
        await peer.append(silence(PCM_24K, 900), chunk_bytes=CHUNK_BYTES)
        answer = await peer.answer()
        assert (answer[-1]["response"]["status"], len(answer[-1]["response"]["output"])) == ("completed", 1)
        assert "that is right" not in joined(answer, "response.output_audio_transcript.delta")


@pytest.mark.proves("G4-backchannel")
async def test_nobody_else_is_told_of_a_backchannel(house: House) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        session_id = peer.frames[0]["session"]["id"]
        await configure(peer, backchannel=RULE)
        async with house.side_band(session_id) as side_band:
            await side_band.expect("session.created")
            await peer.append(voice(PCM_24K), chunk_bytes=CHUNK_BYTES)
            await peer.expect(DONE)
            assert names(await side_band.fence()) == ["input_audio_buffer.speech_started"]
    async with house.session(SEED_PATH, dialect=Dialect.SEED) as peer:
        await configure(peer, backchannel=RULE)
        await peer.append(speech(PCM_24K), chunk_bytes=CHUNK_BYTES)
        await peer.expect("response.done")
        assert not {DELTA, DONE, SKIPPED} & set(names(peer.frames))


@pytest.mark.proves("G3-backchannel-choice", "G4-backchannel")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"prompt_template": HANG, "hard_deadline_ms": 50}, "deadline_missed"),
        ({"prompt_template": "Say nothing that is allowed."}, "no_phrase"),
    ],
)
async def test_what_is_not_said_is_told_with_its_reason(
    house: House, settings: dict[str, object], reason: str
) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        await configure(
            peer, backchannel={"enabled": True, "min_speech_ms": 100, "hard_deadline_ms": 9_000} | settings
        )
        await peer.append(voice(PCM_24K), chunk_bytes=CHUNK_BYTES)
        assert (await peer.expect(SKIPPED))["reason"] == reason


@pytest.mark.proves("G3-backchannel-settings", "G3-responsiveness-settings")
async def test_both_are_off_unless_asked_for_and_what_is_wrong_is_refused_by_name(house: House) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        for key, name, value in (("backchannel", "min_gap_ms", "4 s"), ("responsiveness", "max_tokens", 0)):
            error = await peer.refused("session.update", session={"providerData": {key: {name: value}}})
            assert (error["code"], error["param"]) == ("invalid_value", f"session.providerData.{key}.{name}")
        await peer.append(speech(PCM_24K), chunk_bytes=CHUNK_BYTES)
        await peer.expect("response.done")
        assert not [name for name in names(peer.frames) if "backchannel" in name]


@pytest.mark.proves("G3-responsiveness-filler")
async def test_who_waits_gets_a_filler_as_deltas_of_the_response_under_way(house: House) -> None:
    async with house.session(IW_PATH, dialect=Dialect.IW) as peer:
        settings = {
            "enabled": True,
            "initial_wait_timeout_ms": 0,
            "hard_deadline_ms": 30_000,
            "enable_filler_on_first_assistant_reply": True,
        }
        await peer.send(
            "session.update", session={"instructions": MUSE, "providerData": {"responsiveness": settings}}
        )
        await peer.updated()
        await peer.append(speech(PCM_24K), chunk_bytes=CHUNK_BYTES)
        response_id = (await peer.expect("response.created"))["response"]["id"]
        told = await peer.until("response.output_audio_transcript.done")
        assert told[-1]["transcript"] == FILLERS[0]
        assert {event["response_id"] for event in told if "response_id" in event} == {response_id}
        if peer.transport is Transport.WEBSOCKET:
            assert len(sound_of(told)) == PCM_24K.bytes_in(len(FILLERS[0].split()) * WORD_MS)
        else:
            await peer.begun()
        await peer.send("response.cancel")
        assert (await peer.expect("response.done"))["response"]["status"] == "cancelled"
