"""Inworld's voice, against its stand-in and against servers that say what no good one would."""

from __future__ import annotations

import asyncio
import base64
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.agent import Agent
from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat, Encoding
from pipeline.playback_ledger import PlaybackLedger
from pipeline.provider import (
    Closes,
    KnowsVoices,
    Prepares,
    ProviderError,
    Speech,
    skills_of_voice,
)
from pipeline.providers.inworld import tts
from pipeline.providers.inworld.tts import InworldVoice
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld import SCRIPT, InworldStandIn, Pace
from simulator.standins.tone import WORD_MS, hum
from tests.pipeline.providers.inworld.places import Json, at_script, at_stand_in, source_at, without_end
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

CLAUSES = ["Hello there,", "it's 9:30 — are you coming?", "Good."]
WORDS = " ".join(CLAUSES).split()

CLOSED: Json = {"contextClosed": {}}
SOUND = hum(1, 24_000)


def stand_in(fault: Fault = Fault.NONE, *then: Fault, pace: Pace | None = None) -> InworldStandIn:
    return InworldStandIn(SCRIPT, Faults(fault, then), pace=pace)


def chunk(sound: bytes, *words: str, starts: list[Any] | None = None) -> Json:
    made: Json = {"audioContent": base64.b64encode(sound).decode()}
    if words:
        alignment = {"words": list(words), "wordStartTimeSeconds": starts or [0.0] * len(words)}
        made["timestampInfo"] = {"wordAlignment": alignment}
    return {"audioChunk": made}


def at_close(*results: Any) -> Any:
    """A server that says all this once the context is to be closed."""
    return lambda message: list(results) if "close_context" in message else []


def sound_of(pieces: list[Speech]) -> bytes:
    return b"".join(piece.audio for piece in pieces)


def words_of(pieces: list[Speech]) -> list[str]:
    return " ".join(piece.text for piece in pieces if piece.text).split()


@pytest.mark.parametrize("format", [PCM_24K, PCMU, PCMA, PCM_16K, PCM_8K])
async def test_sound_comes_in_the_format_asked_for_and_nothing_is_transcoded(format: AudioFormat) -> None:
    place = stand_in()
    async with at_stand_in(place, InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(CLAUSES), format=format, voice="Sarah"))
    heard = sound_of(pieces)
    if format.encoding is not Encoding.PCM16:
        heard = g711.decode(heard, format.encoding)
    expected = b"".join(hum(len(clause.split()), format.rate_hz) for clause in CLAUSES)
    assert len(heard) == len(expected)
    if format.encoding is Encoding.PCM16:
        assert heard == expected
    config = place.heard[0].messages[0]["create"]["audioConfig"]
    asked = {Encoding.PCM16: "PCM", Encoding.ULAW: "MULAW", Encoding.ALAW: "ALAW"}
    assert config == {
        "audioEncoding": asked[format.encoding],
        "sampleRateHertz": format.rate_hz,
        "speakingRate": 1.0,
    }


async def test_every_word_comes_once_in_order_and_with_its_time() -> None:
    async with at_stand_in(stand_in(), InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice=None))
    assert words_of(pieces) == WORDS
    times: list[float] = []
    at_ms = 0.0
    for piece in pieces:
        assert " ".join(word.text for word in piece.words) == piece.text
        times += [at_ms + word.start_ms for word in piece.words]
        at_ms += PCMU.ms_in(len(piece.audio))
    # The dash has no sound of its own: it begins with the word after it.
    spoken = [number for number, word in enumerate(WORDS) if word != "—"]
    assert [times[number] for number in spoken] == [number * WORD_MS for number in spoken]
    assert times[WORDS.index("—")] == times[WORDS.index("—") + 1]


async def test_the_ledger_knows_to_the_word_what_was_heard() -> None:
    ledger = PlaybackLedger(PCMU.rate_hz)
    async with at_stand_in(stand_in(), InworldVoice) as voice:
        for piece in await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice=None)):
            ledger.write("item", len(piece.audio), piece.text, piece.words)
    ledger.finish("item")
    ledger.play(3 * WORD_MS * 8 + 10)
    assert ledger.heard("item").text == "Hello there, it's"
    ledger.play(ledger.end)
    assert ledger.heard("item").text == " ".join(WORDS)


async def test_one_answer_is_one_context_told_clause_by_clause_and_closed() -> None:
    place = stand_in()
    agent = Agent("tester", language="en-GB")
    async with at_stand_in(
        place, InworldVoice, model="inworld-tts-1.5-max", agent=agent, delivery="STABLE"
    ) as voice:
        await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice=None, speed=0.25))
    assert place.heard[0].path == tts.PATH
    assert place.heard[0].kinds() == ["create", *["send_text"] * 3, "flush_context", "close_context"]
    assert {message["contextId"] for message in place.heard[0].messages} == {"answer-1"}
    assert [message["send_text"]["text"] for message in place.heard[0].messages[1:4]] == [f"{c} " for c in CLAUSES]
    created = place.heard[0].messages[0]["create"]
    assert created["audioConfig"]["speakingRate"] == tts.SLOWEST
    assert {name: value for name, value in created.items() if name != "audioConfig"} == {
        "voiceId": "Dennis",
        "modelId": "inworld-tts-1.5-max",
        "timestampType": "WORD",
        "timestampTransportStrategy": "SYNC",
        "autoMode": True,
        "language": "en-GB",
        "deliveryMode": "STABLE",
    }


async def test_sound_comes_before_the_last_clause_is_known() -> None:
    async with at_stand_in(stand_in(), InworldVoice) as voice, asyncio.timeout(TIMEOUT_S):
        async with aclosing(voice.speak(without_end("Hello there,"), format=PCMU, voice=None)) as speech:
            assert (await anext(speech)).audio


async def test_a_connection_is_warm_and_used_again_after_a_whole_answer() -> None:
    place = stand_in()
    async with at_stand_in(place, InworldVoice) as voice:
        await voice.prepare()
        for _ in range(3):
            await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice=None))
    assert sorted(len(heard.messages) for heard in place.heard)[-1] == 3 * 6
    ids = [message["contextId"] for heard in place.heard for message in heard.messages if "create" in message]
    assert ids == ["answer-1", "answer-2", "answer-3"]


async def test_an_answer_without_words_is_no_sound_and_no_error() -> None:
    async with at_stand_in(stand_in(), InworldVoice) as voice:
        assert await all_of(voice.speak(stream_of([]), format=PCMU, voice=None)) == []
        assert sound_of(await all_of(voice.speak(stream_of(["Yes."]), format=PCMU, voice=None)))


async def test_who_stops_listening_closes_the_context_and_its_connection() -> None:
    place = stand_in(Fault.STALL)
    async with at_stand_in(place, InworldVoice) as voice, asyncio.timeout(TIMEOUT_S):
        async with aclosing(voice.speak(without_end(*CLAUSES), format=PCMU, voice=None)) as speech:
            await anext(speech)
        await place.heard[0].over.wait()
    assert place.heard[0].kinds()[-1] == "close_context"


async def test_who_stops_listening_to_a_told_answer_says_nothing_twice() -> None:
    kinds: list[str] = []
    is_told = asyncio.Event()

    def answers(message: Json) -> list[Any]:
        kinds.extend(kind for kind in message if kind != "contextId")
        if "close_context" in message:
            is_told.set()
        return [chunk(SOUND)] if "send_text" in message else []

    async with at_script(answers, InworldVoice) as voice, asyncio.timeout(TIMEOUT_S):
        async with aclosing(voice.speak(stream_of(CLAUSES), format=PCM_24K, voice=None)) as speech:
            await anext(speech)
            await is_told.wait()
    assert kinds == ["create", *["send_text"] * 3, "flush_context", "close_context"]


@pytest.mark.parametrize(
    ("fault", "says", "retryable"),
    [
        (Fault.REFUSE, "refused the API key", False),
        (Fault.TOO_MANY, "too much to do", True),
        (Fault.BROKEN, "HTTP 500", True),
        (Fault.CLOSE_1006, r"closed \(1006\)", True),
        (Fault.CLOSE_1011, r"closed \(1011\)", True),
        (Fault.ZERO_AUDIO, "made no sound of its words", True),
        (Fault.GARBAGE, "answered nonsense", True),
        (Fault.BIG_CHUNK, "more than 4 MiB", True),
    ],
)
async def test_each_fault_is_an_error_that_says_whether_to_try_again(
    fault: Fault, says: str, retryable: bool
) -> None:
    async with at_stand_in(stand_in(fault), InworldVoice) as voice:
        with pytest.raises(ProviderError, match=says) as failed:
            await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice=None))
    assert failed.value.retryable is retryable


@pytest.mark.parametrize(
    ("fault", "retryable"), [(Fault.REFUSE, False), (Fault.TOO_MANY, True), (Fault.BROKEN, True)]
)
async def test_a_refusal_on_an_open_line_is_judged_as_one_at_the_handshake(fault: Fault, retryable: bool) -> None:
    faults = Faults()
    async with at_stand_in(InworldStandIn(SCRIPT, faults), InworldVoice) as voice:
        await voice.prepare()
        await voice.prepare()
        speech = voice.speak(told_after(faults, fault), format=PCMU, voice=None)
        with pytest.raises(ProviderError, match="gRPC") as failed:
            await all_of(speech)
    assert failed.value.retryable is retryable


async def told_after(faults: Faults, fault: Fault) -> Any:
    """Clauses that come when the connection and the spare one are open."""
    faults.always = fault
    yield "Hello."


@pytest.mark.parametrize("format", [PCM_24K, PCM_8K])
async def test_sound_cut_in_mid_sample_is_joined(format: AudioFormat) -> None:
    async with at_stand_in(stand_in(Fault.ODD_PCM), InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(["one two three"]), format=format, voice=None))
    assert sound_of(pieces) == hum(3, format.rate_hz)
    assert all(len(piece.audio) % 2 == 0 for piece in pieces)


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_a_silent_service_is_left_when_nobody_waits_any_more(fault: Fault) -> None:
    place = stand_in(fault)
    async with at_stand_in(place, InworldVoice) as voice:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice=None))
        async with asyncio.timeout(TIMEOUT_S):
            await place.heard[0].over.wait()


async def test_a_slow_drip_is_all_of_it() -> None:
    place = stand_in(Fault.SLOW_DRIP, pace=Pace(drip_s=0.001))
    async with at_stand_in(place, InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(["one two"]), format=PCM_8K, voice=None))
    assert sound_of(pieces) == hum(2, 8_000)
    assert words_of(pieces) == ["one", "two"]


async def test_another_format_is_refused() -> None:
    voice = InworldVoice(source_at(""))
    with pytest.raises(ProviderError, match="speaks"):
        await all_of(voice.speak(stream_of(CLAUSES), format=AudioFormat(Encoding.PCM16, 11_025), voice=None))


async def test_an_unknown_voice_is_refused_by_the_service_for_good() -> None:
    async with at_stand_in(stand_in(), InworldVoice) as voice:
        with pytest.raises(ProviderError, match="Unknown voice: alloy") as failed:
            await all_of(voice.speak(stream_of(CLAUSES), format=PCMU, voice="alloy"))
        assert not failed.value.retryable
        assert await voice.knows("Sarah") and not await voice.knows("alloy")
        assert await voice.knows(tts.DEFAULT_VOICE)


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([{"audioChunk": {"audioContent": "%%"}}], "not base64"),
        ([{"audioChunk": {"audioContent": 7}}], "not base64"),
        ([{"audioChunk": 7}], "a chunk that is not an object"),
        ([chunk(SOUND, "one", starts=["x"])], "times of words"),
        ([chunk(SOUND, "one", starts=[True])], "times of words"),
        ([{"status": {"code": 13, "message": "oh"}}], r"gRPC 13\): oh"),
        ([1000], "left in the middle of an answer"),
    ],
)
async def test_nonsense_in_a_message_is_an_error_that_may_pass(results: list[Any], says: str) -> None:
    async with at_script(at_close(*results), InworldVoice) as voice:
        with pytest.raises(ProviderError, match=says) as failed:
            await all_of(voice.speak(stream_of(["one"]), format=PCM_24K, voice=None))
    assert failed.value.retryable


async def test_a_context_closed_before_all_was_said_is_an_error() -> None:
    async with at_script(lambda _: [CLOSED], InworldVoice) as voice:
        with pytest.raises(ProviderError, match="closed the context of an unfinished answer"):
            await all_of(voice.speak(without_end("one"), format=PCM_24K, voice=None))


async def test_sound_of_another_context_is_not_ours() -> None:
    other = {**chunk(SOUND), "contextId": "answer-0"}
    async with at_script(at_close(other, chunk(SOUND), CLOSED), InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(["one"]), format=PCM_24K, voice=None))
    assert sound_of(pieces) == SOUND


async def test_words_without_times_are_yielded_with_the_sound_of_their_clause() -> None:
    def answers(message: Json) -> list[Any]:
        if "send_text" in message:
            return [chunk(hum(2, 24_000)), {"flushCompleted": {}}]
        return [CLOSED] if "close_context" in message else [{"flushCompleted": {}}]

    async with at_script(answers, InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(["un deux", "trois quatre"]), format=PCM_24K, voice=None))
    assert words_of(pieces) == ["un", "deux", "trois", "quatre"]
    texts = [piece.text for piece in pieces if piece.text]
    assert texts[0] == "un deux"


async def test_times_that_count_anew_after_a_flush_go_on_where_the_sound_was() -> None:
    def answers(message: Json) -> list[Any]:
        if "send_text" in message:
            word = message["send_text"]["text"].strip()
            return [chunk(SOUND, word, " "), {"flushCompleted": {}}]
        return [CLOSED] if "close_context" in message else []

    ledger = PlaybackLedger(24_000)
    async with at_script(answers, InworldVoice) as voice:
        for piece in await all_of(voice.speak(stream_of(["one", "two", "three"]), format=PCM_24K, voice=None)):
            ledger.write("item", len(piece.audio) // 2, piece.text, piece.words)
    ledger.play(2 * len(SOUND) // 2)
    assert ledger.heard("item").text == "one two"


@pytest.mark.parametrize(
    ("wrapped", "sound"),
    [
        (b"RIFF\x10\0\0\0WAVEfmt \x02\0\0\0\1\0data\x04\0\0\0" + b"\1\2\3\4", b"\1\2\3\4"),
        (b"RIFF\x10\0\0\0WAVEodd \x01\0\0\0\1\0data\xff\xff\xff\xff" + b"\1\2", b"\1\2"),
        (b"RIFF\x10\0\0\0WAVEfmt \x02\0\0\0\1\0", b""),
        (b"RIFF is how this sound begins", b"RIFF is how this sound begins"),
    ],
)
async def test_the_header_of_a_wav_file_is_no_sound(wrapped: bytes, sound: bytes) -> None:
    async with at_script(at_close(chunk(SOUND), chunk(wrapped), CLOSED), InworldVoice) as voice:
        pieces = await all_of(voice.speak(stream_of(["one"]), format=PCM_24K, voice=None))
    heard = sound_of(pieces)
    assert heard == (SOUND + sound)[: len(heard)] and len(SOUND + sound) - len(heard) < 2


async def test_a_text_too_long_for_one_message_is_cut_between_words() -> None:
    words = ["word"] * 450 + ["x" * 2_500]
    place = stand_in()
    async with at_stand_in(place, InworldVoice) as voice:
        await all_of(voice.speak(stream_of([" ".join(words)]), format=PCM_8K, voice=None))
    texts = [m["send_text"]["text"] for m in place.heard[0].messages if "send_text" in m]
    assert all(len(text) <= tts.LONGEST_TEXT_CHARS for text in texts)
    assert "".join("".join(texts).split()) == "".join(words)
    assert all(set(text.split()) == {"word"} for text in texts[:2])


async def test_it_declares_what_it_can_do() -> None:
    voice = InworldVoice(source_at("", model="inworld-tts-2"))
    assert isinstance(voice, Prepares) and isinstance(voice, Closes)
    assert isinstance(voice, KnowsVoices)
    assert skills_of_voice(voice).has_word_times
    assert voice.name == "inworld/inworld-tts-2"


def test_options_it_does_not_know_are_refused() -> None:
    with pytest.raises(ProviderError, match="has no option 'pitch'"):
        InworldVoice(source_at("", pitch=1))
    with pytest.raises(ProviderError, match="option 'delivery'"):
        InworldVoice(source_at("", delivery="LOUD"))
