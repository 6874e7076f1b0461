"""Inworld's transcriber, against its stand-in and against servers that say what no good one would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.agent import Agent
from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMU, AudioFormat
from pipeline.provider import ProviderError, Transcript, skills_of_transcriber
from pipeline.providers.inworld import stt
from pipeline.providers.inworld.stt import InworldTranscriber
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import InworldStandIn, Pace
from simulator.standins.tone import hum
from tests.pipeline.providers.inworld.places import Json, at_script, at_stand_in, source_at, without_end
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

SCRIPT = ("What are your opening hours?", "Thank you, goodbye.")
VOICE = [hum(4, 16_000), hum(4, 16_000), bytes(6_400)]
"""Eight words' length of voice, and 200 ms of silence."""


def stand_in(fault: Fault = Fault.NONE, pace: Pace | None = None) -> InworldStandIn:
    return InworldStandIn(SCRIPT, Faults(fault), pace=pace)


def said(words: str, *, is_final: bool = False) -> Json:
    return {"transcription": {"transcript": words, "isFinal": is_final}}


async def heard_by(transcriber: InworldTranscriber, *sound: bytes, language: str | None = None) -> list[Transcript]:
    return await all_of(transcriber.transcribe(stream_of(sound or VOICE), format=PCM_16K, language=language))


@pytest.mark.parametrize("format", [PCM_16K, PCM_24K, PCM_8K])
async def test_words_come_while_they_are_said_and_all_of_them_at_the_end(format: AudioFormat) -> None:
    place = stand_in()
    sound = [hum(8, format.rate_hz)]
    async with at_stand_in(place, InworldTranscriber) as transcriber:
        made = await all_of(transcriber.transcribe(stream_of(sound), format=format, language=None))
    words = SCRIPT[0].split()
    partials = [Transcript(" ".join(words[:count]), is_final=False) for count in range(1, len(words) + 1)]
    assert made == [*partials, Transcript(SCRIPT[0], is_final=True)]
    assert place.heard[0].audio == b"".join(sound)
    assert place.heard[0].path == stt.PATH
    assert place.heard[0].kinds() == ["transcribeConfig", "endTurn"]


async def test_it_is_told_once_what_to_listen_for() -> None:
    place = stand_in()
    agent = Agent("tester", language="en-GB")
    async with at_stand_in(place, InworldTranscriber, agent=agent) as transcriber:
        await heard_by(transcriber)
        await heard_by(transcriber)
    assert place.heard[0].kinds() == ["transcribeConfig", "endTurn", "endTurn"]
    assert place.heard[0].messages[0]["transcribeConfig"] == {
        "modelId": "inworld/inworld-stt-1",
        "audioEncoding": "LINEAR16",
        "sampleRateHertz": 16_000,
        "numberOfChannels": 1,
        "language": "en-GB",
        "inworldSttV1Config": {"vadThreshold": 0},
    }


async def test_each_utterance_has_its_own_words_on_the_same_connection() -> None:
    place = stand_in()
    async with at_stand_in(place, InworldTranscriber) as transcriber:
        await transcriber.prepare()
        finals = [(await heard_by(transcriber))[-1].text for _ in range(3)]
    assert finals == [SCRIPT[0], SCRIPT[1], SCRIPT[0]]


async def test_another_language_is_another_connection() -> None:
    place = stand_in()
    async with at_stand_in(place, InworldTranscriber, language="de") as transcriber:
        for language in (None, "fr", "fr"):
            await heard_by(transcriber, language=language)
    configs = [h.messages[0]["transcribeConfig"]["language"] for h in place.heard if h.messages]
    assert configs == ["de", "fr"]


async def test_no_sound_is_no_words_and_asks_for_nothing() -> None:
    place = stand_in()
    async with at_stand_in(place, InworldTranscriber) as transcriber:
        assert await heard_by(transcriber, b"") == [Transcript("", is_final=True)]
        assert (await heard_by(transcriber))[-1].text == SCRIPT[0]
    assert place.heard[0].kinds() == ["transcribeConfig", "endTurn"]


async def test_silence_is_no_words() -> None:
    async with at_stand_in(stand_in(), InworldTranscriber) as transcriber:
        assert await heard_by(transcriber, bytes(32_000)) == [Transcript("", is_final=True)]


async def test_a_long_recording_goes_in_pieces_and_its_connection_is_not_used_again() -> None:
    place = stand_in()
    recording = hum(1, 16_000) + bytes(16_000 * 2 * 26)
    async with at_stand_in(place, InworldTranscriber) as transcriber:
        await heard_by(transcriber, recording)
        await heard_by(transcriber)
    assert bytes(place.heard[0].audio) == recording
    assert [h.kinds() for h in place.heard if h.messages] == [["transcribeConfig", "endTurn"]] * 2


async def test_models_of_others_are_told_to_close_and_give_their_last_words() -> None:
    place = stand_in()
    async with at_stand_in(place, InworldTranscriber, model="soniox/stt-rt-v4") as transcriber:
        finals = [(await heard_by(transcriber))[-1] for _ in range(2)]
    assert finals == [Transcript(SCRIPT[0], is_final=True), Transcript(SCRIPT[1], is_final=True)]
    told = [h for h in place.heard if h.messages]
    assert [h.kinds() for h in told] == [["transcribeConfig", "closeStream"]] * 2
    assert told[0].messages[0]["transcribeConfig"]["modelId"] == "soniox/stt-rt-v4"
    assert "inworldSttV1Config" not in told[0].messages[0]["transcribeConfig"]


async def test_turns_that_such_a_model_finds_within_an_utterance_are_joined() -> None:
    pause = bytes(16_000 * 2 * 3 // 2)
    async with at_stand_in(stand_in(), InworldTranscriber, model="soniox/stt-rt-v4") as transcriber:
        made = await heard_by(transcriber, hum(8, 16_000), pause, hum(8, 16_000))
    assert made[-1] == Transcript(" ".join(SCRIPT), is_final=True)
    assert Transcript(f"{SCRIPT[0]} Thank", is_final=False) in made


@pytest.mark.parametrize(
    ("fault", "says", "retryable"),
    [
        (Fault.REFUSE, "refused the API key", False),
        (Fault.TOO_MANY, "too much to do", True),
        (Fault.BROKEN, "HTTP 500", True),
        (Fault.CLOSE_1006, r"closed \(1006\)", True),
        (Fault.CLOSE_1011, r"closed \(1011\)", True),
        (Fault.GARBAGE, "answered nonsense", True),
        (Fault.BIG_CHUNK, "more than 4 MiB", True),
    ],
)
async def test_each_fault_is_an_error_that_says_whether_to_try_again(
    fault: Fault, says: str, retryable: bool
) -> None:
    async with at_stand_in(stand_in(fault), InworldTranscriber) as transcriber:
        with pytest.raises(ProviderError, match=says) as failed:
            await heard_by(transcriber)
    assert failed.value.retryable is retryable


async def test_a_transcriber_that_understands_nothing_says_so() -> None:
    async with at_stand_in(stand_in(Fault.ZERO_AUDIO), InworldTranscriber) as transcriber:
        assert await heard_by(transcriber) == [Transcript("", is_final=True)]


async def test_a_slow_drip_ends_with_all_the_words() -> None:
    place = stand_in(Fault.SLOW_DRIP, Pace(drip_s=0.001))
    async with at_stand_in(place, InworldTranscriber) as transcriber:
        assert (await heard_by(transcriber))[-1] == Transcript(SCRIPT[0], is_final=True)


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_a_silent_service_is_left_when_nobody_waits_any_more(fault: Fault) -> None:
    place = stand_in(fault)
    async with at_stand_in(place, InworldTranscriber) as transcriber:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await heard_by(transcriber)
        async with asyncio.timeout(TIMEOUT_S):
            await place.heard[0].over.wait()


async def test_who_stops_listening_leaves_the_connection() -> None:
    place = stand_in()
    async with at_stand_in(place, InworldTranscriber) as transcriber, asyncio.timeout(TIMEOUT_S):
        made = transcriber.transcribe(without_end(*VOICE), format=PCM_16K, language=None)
        async with aclosing(made):
            assert await anext(made) == Transcript("What", is_final=False)
        await place.heard[0].over.wait()
    assert "endTurn" not in place.heard[0].kinds()


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({"transcription": {"transcript": 7}}, "without words"),
        ({"transcription": "hello"}, "without words"),
        (1000, "left in the middle of an utterance"),
    ],
)
async def test_nonsense_in_a_message_is_an_error_that_may_pass(result: Any, says: str) -> None:
    async with at_script(lambda m: [result] if "endTurn" in m else [], InworldTranscriber) as transcriber:
        with pytest.raises(ProviderError, match=says) as failed:
            await heard_by(transcriber)
    assert failed.value.retryable


async def test_partial_words_may_be_rewritten_and_what_says_nothing_is_passed_over() -> None:
    def answers(message: Json) -> list[Any]:
        if "endTurn" not in message:
            return []
        empty: list[Json] = [{"speechStarted": {}}, {"transcription": {}}, said("")]
        return [*empty, said("I scream"), said(" ice cream "), {"usage": {}}, said("Ice cream.", is_final=True)]

    async with at_script(answers, InworldTranscriber) as transcriber:
        made = await heard_by(transcriber)
    assert [transcript.text for transcript in made] == ["I scream", "ice cream", "Ice cream."]


async def test_a_final_transcript_may_leave_out_its_empty_words() -> None:
    async with at_script(
        lambda m: [{"transcription": {"isFinal": True}}] if "endTurn" in m else [], InworldTranscriber
    ) as transcriber:
        assert await heard_by(transcriber) == [Transcript("", is_final=True)]


async def test_a_close_in_good_order_ends_what_was_told_to_close() -> None:
    async with at_script(
        lambda m: [said("bye", is_final=True), 1000] if "closeStream" in m else [],
        InworldTranscriber,
        model="groq/whisper",
    ) as transcriber:
        assert (await heard_by(transcriber))[-1] == Transcript("bye", is_final=True)


async def test_a_connection_on_which_turns_ended_by_themselves_is_not_used_again() -> None:
    configs: list[Json] = []

    def answers(message: Json) -> list[Any]:
        configs.extend([message] if "transcribeConfig" in message else [])
        if "audioChunk" in message:
            return [said("one", is_final=True)]
        return [said("two", is_final=True)] if "endTurn" in message else []

    async def until(event: asyncio.Event) -> AsyncIterator[bytes]:
        yield VOICE[0]
        await event.wait()

    async with at_script(answers, InworldTranscriber) as transcriber, asyncio.timeout(TIMEOUT_S):
        for _ in range(2):
            came = asyncio.Event()
            texts: list[str] = []
            async with aclosing(transcriber.transcribe(until(came), format=PCM_16K, language=None)) as transcripts:
                async for transcript in transcripts:
                    texts.append(transcript.text)
                    came.set()
            assert texts == ["one", "one two"]
    assert len(configs) == 2


async def test_another_format_is_refused() -> None:
    transcriber = InworldTranscriber(source_at(""))
    with pytest.raises(ProviderError, match="hears"):
        await all_of(transcriber.transcribe(stream_of(VOICE), format=PCMU, language=None))


def test_it_declares_what_it_can_do() -> None:
    transcriber = InworldTranscriber(source_at("", model="inworld-stt-1"))
    skills = skills_of_transcriber(transcriber)
    assert skills.has_partials and not skills.ends_turns
    assert transcriber.name == "inworld/inworld-stt-1"
    with pytest.raises(ProviderError, match="has no option 'pitch'"):
        InworldTranscriber(source_at("", pitch=1))
