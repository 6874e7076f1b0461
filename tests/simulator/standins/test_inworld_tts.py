"""The stand-in speaks as the service does, and goes wrong as it is told."""

from __future__ import annotations

import audioop
import base64
import io
import json
import wave
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import SCRIPT, InworldStandIn, Pace
from simulator.standins.inworld_tts import CHUNK_MS, MOST_CONTEXTS, PATH, synthesis, timed
from simulator.standins.inworld_wire import BIG_CHUNK_BYTES
from simulator.standins.tone import hum, hum_ulaw
from tests.simulator.standins.inworld_lines import Json, hear, hear_until, line_to, tell

pytestmark = pytest.mark.anyio

OK = {"code": 0, "message": "", "details": []}


def stand_in(fault: Fault = Fault.NONE, pace: Pace | None = None) -> InworldStandIn:
    return InworldStandIn(SCRIPT, Faults(fault), pace=pace)


def create(id: str = "a", **more: Any) -> Json:
    config = {"audioEncoding": "PCM", "sampleRateHertz": 24_000}
    settings = {"voiceId": "Dennis", "modelId": "inworld-tts-2", "audioConfig": config, "autoMode": True}
    return {"create": settings | {"timestampType": "WORD"} | more, "contextId": id}


def text(words: str, id: str = "a") -> Json:
    return {"send_text": {"text": words}, "contextId": id}


def close(id: str = "a") -> Json:
    return {"close_context": {}, "contextId": id}


def sound_of(results: list[Json]) -> bytes:
    chunks = [
        base64.b64decode(result["audioChunk"]["audioContent"]) for result in results if "audioChunk" in result
    ]
    return b"".join(chunks)


def words_of(result: Json) -> list[str]:
    alignment = result["audioChunk"].get("timestampInfo", {}).get("wordAlignment", {})
    return [word for word in alignment.get("words", []) if word.strip()]


async def spoken(line: ClientConnection, *texts: str, **more: Any) -> list[Json]:
    await tell(line, create(**more), *(text(words) for words in texts), close())
    return await hear_until(line, "contextClosed")


async def test_a_context_is_created_spoken_and_closed() -> None:
    async with line_to(stand_in(), PATH) as line:
        results = await spoken(line, "one two, ", "three")
    kinds = [next(key for key in result if key not in ("contextId", "status")) for result in results]
    assert kinds == [
        "contextCreated", "audioChunk", "audioChunk", "flushCompleted", "audioChunk", "flushCompleted",
        "flushCompleted", "contextClosed",
    ]  # fmt: skip
    assert all(result["contextId"] == "a" and result["status"] == OK for result in results)
    assert sound_of(results) == hum(2, 24_000) + hum(1, 24_000)
    assert [words_of(result) for result in results if "audioChunk" in result] == [["one"], ["two", ","], ["three"]]


async def test_without_auto_mode_a_text_waits_for_its_flush() -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, create(autoMode=False), text("one "), text("two "))
        await tell(line, {"send_text": {"text": "three", "flush_context": {}}, "contextId": "a"}, close())
        results = await hear_until(line, "contextClosed")
    assert [key for result in results for key in result if key == "flushCompleted"] == ["flushCompleted"] * 2
    assert sound_of(results) == hum(3, 24_000)


async def test_times_may_trail_their_sound() -> None:
    async with line_to(stand_in(), PATH) as line:
        results = await spoken(line, "one two", timestampTransportStrategy="ASYNC")
    chunks = [result for result in results if "audioChunk" in result]
    assert [words_of(chunk) for chunk in chunks] == [[], [], ["one", "two"]]
    assert chunks[-1]["audioChunk"]["audioContent"] == ""


async def test_no_times_are_sent_to_who_asked_for_none() -> None:
    async with line_to(stand_in(), PATH) as line:
        results = await spoken(line, "one", timestampType="TIMESTAMP_TYPE_UNSPECIFIED")
    assert not any("timestampInfo" in result.get("audioChunk", {}) for result in results)


async def test_contexts_come_interleaved() -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, create("a"), create("b"), text("one two three four", "a"), text("one two three four", "b"))
        await tell(line, close("a"), close("b"))
        results = await hear_until(line, "contextClosed") + await hear_until(line, "contextClosed")
    order = [result["contextId"] for result in results if "audioChunk" in result]
    assert sorted(order) == ["a"] * 4 + ["b"] * 4
    assert order != sorted(order) and order != sorted(order, reverse=True)


@pytest.mark.parametrize("encoding", ["MULAW", "ALAW"])
def test_a_telephone_hears_its_own_law(encoding: str) -> None:
    config = {"audioEncoding": encoding, "sampleRateHertz": 8_000}
    sound = b"".join(piece.sound for piece in synthesis("one two", {"audioConfig": config}))
    pcm = hum(2, 8_000)
    assert sound == (hum_ulaw(2) if encoding == "MULAW" else audioop.lin2alaw(pcm, 2))


async def test_linear16_has_a_header_in_every_piece() -> None:
    config = {"audioEncoding": "LINEAR16", "sampleRateHertz": 16_000}
    async with line_to(stand_in(), PATH) as line:
        results = await spoken(line, "one two", audioConfig=config)
    pieces = [base64.b64decode(r["audioChunk"]["audioContent"]) for r in results if "audioChunk" in r]
    heard = b""
    for piece in pieces:
        with wave.open(io.BytesIO(piece)) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16_000, 2, 1)
            heard += file.readframes(file.getnframes())
    assert heard == hum(2, 16_000)


def test_a_fast_speaker_takes_less_time() -> None:
    config = {"audioEncoding": "PCM", "sampleRateHertz": 8_000, "speakingRate": 1.25}
    pieces = synthesis("one two three", {"audioConfig": config, "timestampType": "WORD"})
    assert sum(len(piece.sound) for piece in pieces) == 3 * 160 * 16
    begins = {word: begins_s for piece in pieces for word, begins_s, _ in piece.words if word.strip()}
    assert begins == {"one": 0.0, "two": 0.16, "three": 0.32}


def test_words_marks_and_spaces_are_timed_as_they_were_given() -> None:
    tokens = timed("It's 9:30 — yes ", 200)
    assert "".join(token for token, _, _ in tokens) == "It's 9:30 — yes "
    assert [(token, begins_s) for token, begins_s, _ in tokens if not token.isspace()] == [
        ("It's", 0.0), ("9", 0.2), (":", 0.2), ("30", 0.2), ("—", 0.4), ("yes", pytest.approx(0.6)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"create": {}}, 3),
        (create(voiceId="alloy"), 5),
        (create(audioConfig={"audioEncoding": "MP3", "sampleRateHertz": 8_000}), 3),
        (create(audioConfig={"audioEncoding": "PCM", "sampleRateHertz": 96_000}), 3),
        (create(audioConfig={"audioEncoding": "PCM"}), 3),
        (create(audioConfig={"audioEncoding": "PCM", "sampleRateHertz": 8_000, "speakingRate": 2}), 3),
        (text("to nobody"), 5),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_status(message: Json, code: int) -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, message)
        assert (await hear(line))["status"]["code"] == code


async def test_a_text_too_long_is_refused_and_so_is_one_context_too_many() -> None:
    async with line_to(stand_in(), PATH) as line:
        await tell(line, create("0"), text("x" * 1_001, "0"))
        results = [await hear(line), await hear(line)]
        assert results[1]["status"]["code"] == 3
        await tell(line, *(create(str(number)) for number in range(1, MOST_CONTEXTS + 1)))
        refused = [await hear(line) for _ in range(MOST_CONTEXTS)]
    assert [result["contextId"] for result in refused if result["status"]["code"] == 8] == [str(MOST_CONTEXTS)]


async def test_no_sound_comes_of_a_voice_that_makes_none() -> None:
    async with line_to(stand_in(Fault.ZERO_AUDIO), PATH) as line:
        results = await spoken(line, "one two", timestampTransportStrategy="ASYNC")
    assert sound_of(results) == b"" and not any("audioChunk" in result for result in results)


async def test_odd_sound_is_the_same_sound_cut_elsewhere() -> None:
    async with line_to(stand_in(Fault.ODD_PCM), PATH) as line:
        results = await spoken(line, "one two three")
    lengths = [len(sound_of([result])) for result in results if "audioChunk" in result]
    assert [length % 2 for length in lengths] == [1, 0, 1]
    assert sound_of(results) == hum(3, 24_000)


async def test_a_big_chunk_is_all_of_it_and_ten_megabytes_more() -> None:
    async with line_to(stand_in(Fault.BIG_CHUNK), PATH) as line:
        results = await spoken(line, "one")
    assert sound_of(results) == hum(1, 24_000) + bytes(BIG_CHUNK_BYTES)


async def test_a_slow_drip_is_all_of_it_in_tiny_pieces() -> None:
    async with line_to(stand_in(Fault.SLOW_DRIP, Pace(drip_s=0.001)), PATH) as line:
        results = await spoken(line, "one")
    assert sound_of(results) == hum(1, 24_000)
    assert len([result for result in results if "audioChunk" in result]) == CHUNK_MS // 20


async def test_garbage_comes_where_sound_should_be() -> None:
    async with line_to(stand_in(Fault.GARBAGE), PATH) as line:
        await tell(line, create(), text("one"))
        await hear(line)
        with pytest.raises(ValueError):
            json.loads(await line.recv())


@pytest.mark.parametrize(("fault", "code"), [(Fault.CLOSE_1006, None), (Fault.CLOSE_1011, 1011)])
async def test_half_way_the_line_is_closed(fault: Fault, code: int | None) -> None:
    async with line_to(stand_in(fault), PATH) as line:
        await tell(line, create(), text("one two three four"))
        results: list[Json] = []
        with pytest.raises(ConnectionClosedError) as closed:
            while True:
                results.append(await hear(line))
    assert sound_of(results) == hum(2, 24_000)
    assert (closed.value.rcvd.code if closed.value.rcvd else None) == code


async def test_a_stalled_context_leaves_the_others_alone() -> None:
    faults = Faults(then=[Fault.STALL, Fault.NONE])
    async with line_to(InworldStandIn(SCRIPT, faults), PATH) as line:
        await tell(line, create("a"), create("b"), text("one two", "a"), close("a"), text("three", "b"), close("b"))
        results = await hear_until(line, "contextClosed")
    assert results[-1]["contextId"] == "b"
    assert sound_of([result for result in results if result["contextId"] == "a"]) == hum(1, 24_000)


async def test_a_context_that_hangs_says_nothing() -> None:
    faults = Faults(then=[Fault.HANG, Fault.NONE])
    async with line_to(InworldStandIn(SCRIPT, faults), PATH) as line:
        await tell(line, create("a"), text("one", "a"), close("a"), create("b"), close("b"))
        results = await hear_until(line, "contextClosed")
    assert {result["contextId"] for result in results} == {"b"}


@pytest.mark.parametrize(("fault", "code"), [(Fault.REFUSE, 16), (Fault.TOO_MANY, 8), (Fault.BROKEN, 13)])
async def test_a_refusal_on_an_open_line_is_a_status(fault: Fault, code: int) -> None:
    faults = Faults()
    async with line_to(InworldStandIn(SCRIPT, faults), PATH) as line:
        faults.inject(fault)
        await tell(line, create())
        assert (await hear(line))["status"]["code"] == code


async def test_who_leaves_ends_what_was_still_spoken() -> None:
    place = stand_in(Fault.STALL)
    async with line_to(place, PATH) as line:
        await tell(line, create(), text("one two"))
        await hear_until(line, "audioChunk")
        await line.close()
        await place.heard[0].over.wait()
    assert place.heard[0].kinds() == ["create", "send_text"]
