"""The stand-in hears where there is voice, says its script, and goes wrong as it is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import InworldStandIn, Pace
from simulator.standins.inworld_stt import PATH
from simulator.standins.inworld_wire import BIG_CHUNK_BYTES
from simulator.standins.tone import hum
from tests.simulator.standins.inworld_lines import Json, hear, hear_until, line_to, tell

pytestmark = pytest.mark.anyio

SCRIPT = ("Open on Sunday please?", "Goodbye.")
VOICE = hum(4, 16_000)
END: Json = {"endTurn": {}}
CLOSE: Json = {"closeStream": {}}


def stand_in(fault: Fault = Fault.NONE, pace: Pace | None = None) -> InworldStandIn:
    return InworldStandIn(SCRIPT, Faults(fault), pace=pace)


def config(**more: Any) -> Json:
    settings = {"modelId": "inworld/inworld-stt-1", "audioEncoding": "LINEAR16", "sampleRateHertz": 16_000}
    return {"transcribeConfig": settings | {"inworldSttV1Config": {"vadThreshold": 0}} | more}


def chunk(sound: bytes) -> Json:
    return {"audioChunk": {"content": base64.b64encode(sound).decode()}}


async def words_until_final(line: ClientConnection) -> list[tuple[str, bool]]:
    words: list[tuple[str, bool]] = []
    while not words or not words[-1][1]:
        result = await hear(line)
        if "transcription" in result:
            words.append((result["transcription"]["transcript"], result["transcription"]["isFinal"]))
    return words


PARTIALS = [("Open", False), ("Open on", False), ("Open on Sunday", False), ("Open on Sunday please?", False)]


async def test_words_come_with_the_voice_and_all_of_them_at_the_end_of_the_turn() -> None:
    place = stand_in()
    async with line_to(place, PATH) as line:
        await tell(line, config(), chunk(bytes(640)), chunk(VOICE), END)
        assert "speechStarted" in await hear(line)
        assert await words_until_final(line) == [*PARTIALS, (SCRIPT[0], True)]
        await tell(line, chunk(VOICE), END)
        assert await words_until_final(line) == [("Goodbye.", False), ("Goodbye.", True)]
    assert place.heard[0].kinds() == ["transcribeConfig", "endTurn", "endTurn"]
    assert bytes(place.heard[0].audio) == bytes(640) + VOICE + VOICE


async def test_a_turn_without_voice_has_no_words_and_takes_none_of_the_script() -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, config(), END, chunk(bytes(6_400)), END, chunk(VOICE), END)
        assert [await words_until_final(line) for _ in range(2)] == [[("", True)]] * 2
        assert (await words_until_final(line))[-1] == (SCRIPT[0], True)


async def test_to_close_gives_the_last_words_counts_and_says_goodbye() -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, config(), chunk(VOICE), CLOSE)
        results = await hear_until(line, "usage")
        assert results[-2]["transcription"] == {"transcript": SCRIPT[0], "isFinal": True, "wordTimestamps": []}
        assert results[-1]["usage"] == {"transcribedAudioMs": 800, "modelId": "inworld/inworld-stt-1"}
        with pytest.raises(ConnectionClosedOK):
            await line.recv()


async def test_to_close_before_anything_was_said_is_no_fault() -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, CLOSE)
        assert (await hear(line))["usage"]["transcribedAudioMs"] == 0


@pytest.mark.parametrize("own", [{}, {"vadThreshold": 0.5}])
async def test_it_finds_the_end_of_a_turn_itself_unless_told_not_to(own: Json) -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, config(inworldSttV1Config=own), chunk(VOICE), chunk(bytes(32_000)))
        results = await hear_until(line, "speechStopped")
        assert results[-1]["speechStopped"] == {"silenceDurationMs": 1_000}
        assert await words_until_final(line) == [(SCRIPT[0], True)]


@pytest.mark.parametrize(
    "messages",
    [
        [chunk(VOICE)],
        [config(audioEncoding="MULAW")],
        [config(modelId="inworld-stt-1")],
        [config(), config()],
        [config(), {"audioChunk": {"content": "%"}}],
        [{}],
    ],
)
async def test_what_makes_no_sense_is_an_error(messages: list[Json]) -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, *messages)
        assert (await hear(line))["error"]["code"] == 3


@pytest.mark.parametrize(("fault", "code"), [(Fault.CLOSE_1006, None), (Fault.CLOSE_1011, 1011)])
@pytest.mark.parametrize(("sound", "words"), [(VOICE, PARTIALS[:2]), (bytes(640), [])])
async def test_half_way_the_line_is_closed(
    fault: Fault, code: int | None, sound: bytes, words: list[tuple[str, bool]]
) -> None:
    async with line_to(stand_in(fault), PATH) as line:
        await tell(line, config(), chunk(sound), END)
        said: list[tuple[str, bool]] = []
        with pytest.raises(ConnectionClosedError) as closed:
            while True:
                result = await hear(line)
                if "transcription" in result:
                    said.append((result["transcription"]["transcript"], result["transcription"]["isFinal"]))
    assert said == words
    assert (closed.value.rcvd.code if closed.value.rcvd else None) == code


@pytest.mark.parametrize(("fault", "words"), [(Fault.HANG, []), (Fault.STALL, PARTIALS[:2])])
async def test_an_utterance_that_falls_silent_leaves_the_next_one_alone(
    fault: Fault, words: list[tuple[str, bool]]
) -> None:
    faults = Faults(then=[fault])
    async with line_to(InworldStandIn(SCRIPT, faults), PATH) as line:
        await tell(line, config(), chunk(VOICE), END, chunk(VOICE), END)
        assert await words_until_final(line) == [*words, ("Goodbye.", False), ("Goodbye.", True)]
    assert faults.taken == [fault, Fault.NONE]


async def test_an_utterance_may_be_understood_as_nothing() -> None:
    async with line_to(stand_in(Fault.ZERO_AUDIO), PATH) as line:
        await tell(line, config(), chunk(VOICE), END)
        assert await words_until_final(line) == [("", True)]


async def test_a_slow_drip_says_it_letter_by_letter() -> None:
    async with line_to(stand_in(Fault.SLOW_DRIP, Pace(drip_s=0.001)), PATH) as line:
        await tell(line, config(), chunk(VOICE), END)
        words = await words_until_final(line)
    assert [len(text) for text, _ in words] == list(range(1, len(SCRIPT[0]) + 1))


async def test_garbage_comes_where_words_should_be() -> None:
    async with line_to(stand_in(Fault.GARBAGE), PATH) as line:
        await tell(line, config(), chunk(VOICE))
        assert "speechStarted" in await hear(line)
        with pytest.raises(ValueError):
            json.loads(await line.recv())


async def test_a_big_chunk_is_a_very_long_transcript() -> None:
    async with line_to(stand_in(Fault.BIG_CHUNK), PATH) as line:
        await tell(line, config(), chunk(VOICE), END)
        text, _ = (await words_until_final(line))[-1]
    assert text.startswith(SCRIPT[0]) and len(text) > BIG_CHUNK_BYTES


async def test_sound_cut_oddly_is_a_voices_fault_and_none_of_a_transcriber() -> None:
    async with line_to(stand_in(Fault.ODD_PCM), PATH) as line:
        await tell(line, config(), chunk(VOICE), END)
        assert (await words_until_final(line))[-1] == (SCRIPT[0], True)


@pytest.mark.parametrize(("fault", "code"), [(Fault.REFUSE, 16), (Fault.TOO_MANY, 8), (Fault.BROKEN, 13)])
async def test_a_refusal_on_an_open_line_is_an_error_and_then_silence(fault: Fault, code: int) -> None:
    faults = Faults()
    async with line_to(InworldStandIn(SCRIPT, faults), PATH) as line:
        faults.inject(fault)
        await tell(line, config(), chunk(VOICE), END, CLOSE)
        results = await hear_until(line, "usage")
    assert [next(iter(result)) for result in results] == ["error", "usage"]
    assert results[0]["error"]["code"] == code
