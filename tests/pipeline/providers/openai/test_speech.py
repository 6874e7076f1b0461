from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pipeline.audio.formats import PCM_8K, PCM_24K
from pipeline.provider import ProviderError, Speech
from pipeline.providers.openai.speech import DEFAULT_MODEL, SpeechVoice
from simulator.standins.fault import Fault
from simulator.standins.tone import hum
from tests.pipeline.providers.openai.standing import KEY, answering, source_at, standing
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio

CLAUSES = ("Hello and welcome.", "How are you?", "Goodbye.")


async def spoken_by(voice: SpeechVoice, *clauses: str, name: str | None = None, speed: float = 1.0) -> list[Speech]:
    try:
        return await all_of(voice.speak(stream_of(clauses), format=PCM_24K, voice=name, speed=speed))
    finally:
        await voice.aclose()


def by_clause(pieces: list[Speech]) -> list[tuple[str, bytes]]:
    clauses: list[tuple[str, bytes]] = []
    for piece in pieces:
        if piece.text:
            clauses.append((piece.text, b""))
        clauses[-1] = (clauses[-1][0], clauses[-1][1] + piece.audio)
    return clauses


async def test_clauses_are_spoken_in_order_each_with_its_words() -> None:
    async with standing() as there:
        voice = SpeechVoice(there.source("kokoro", voice="af_heart", voice_instructions="Calmly."))
        await voice.prepare()
        pieces = await spoken_by(voice, *CLAUSES)
    assert by_clause(pieces) == [(clause, hum(len(clause.split()), 24_000)) for clause in CLAUSES]
    assert [asked.body["input"] for asked in there.asked] == list(CLAUSES)
    assert there.asked[0].authorization == f"Bearer {KEY}"
    assert there.asked[0].body == {
        "model": "kokoro",
        "input": CLAUSES[0],
        "voice": "af_heart",
        "response_format": "pcm",
        "instructions": "Calmly.",
    }


async def test_sound_cut_in_mid_sample_is_joined() -> None:
    async with standing(fault=Fault.ODD_PCM) as there:
        pieces = await spoken_by(SpeechVoice(there.source()), *CLAUSES)
    assert by_clause(pieces) == [(clause, hum(len(clause.split()), 24_000)) for clause in CLAUSES]
    assert all(len(piece.audio) % 2 == 0 for piece in pieces)


async def test_voice_speed_and_model_are_passed_on() -> None:
    async with standing() as there:
        pieces = await spoken_by(SpeechVoice(there.source()), "Hi", name="verse", speed=1.25)
        body = there.asked[0].body
        assert (body["voice"], body["speed"], body["model"]) == ("verse", 1.25, DEFAULT_MODEL)
        assert sum(len(piece.audio) for piece in pieces) == PCM_24K.bytes_in(200 / 1.25)


async def test_a_clause_without_words_is_not_asked_for() -> None:
    async with standing() as there:
        pieces = await spoken_by(SpeechVoice(there.source()), "…", "Yes.", "?!")
    assert [piece.text for piece in pieces if piece.text] == ["Yes."]
    assert len(there.asked) == 1


async def test_no_clauses_are_no_sound() -> None:
    assert await spoken_by(SpeechVoice(source_at("http://127.0.0.1:1"))) == []


async def test_another_format_is_refused() -> None:
    voice = SpeechVoice(source_at("http://127.0.0.1:1"))
    with pytest.raises(ProviderError, match="not AudioFormat"):
        await all_of(voice.speak(stream_of(CLAUSES), format=PCM_8K, voice=None))


async def test_the_next_clause_is_asked_for_once_one_sounds_and_no_other() -> None:
    came: list[str] = []
    begin, release = asyncio.Event(), asyncio.Event()
    one_came = asyncio.Event()
    two_came = asyncio.Event()

    async def first_then_rest(clause: str) -> AsyncGenerator[bytes, None]:
        await begin.wait()
        yield hum(1, 24_000)
        if clause == "one":
            await release.wait()

    async def answer(request: Request) -> Response:
        came.append((await request.json())["input"])
        one_came.set()
        if len(came) == 2:
            two_came.set()
        return StreamingResponse(first_then_rest(came[-1]), media_type="audio/pcm")

    taken: list[str] = []

    async def clauses() -> AsyncIterator[str]:
        for clause in ("one", "two", "three"):
            taken.append(clause)
            yield clause

    async with answering(answer) as url, asyncio.timeout(30):
        voice = SpeechVoice(source_at(url))
        async with aclosing(voice.speak(clauses(), format=PCM_24K, voice=None)) as speech:
            first = asyncio.ensure_future(anext(speech))
            await one_came.wait()
            assert (came, taken) == (["one"], ["one"])
            begin.set()
            assert (await first).text == "one"
            await two_came.wait()
            assert (came, taken) == (["one", "two"], ["one", "two"])
            release.set()
            assert [piece.text async for piece in speech if piece.text] == ["two", "three"]
        await voice.aclose()
    assert came == ["one", "two", "three"]


async def test_speech_nobody_wants_any_more_is_cut_off_at_the_server() -> None:
    gone: asyncio.Queue[None] = asyncio.Queue()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            came.put_nowait(None)
            yield hum(1, 24_000)
            await asyncio.Event().wait()
        finally:
            gone.put_nowait(None)

    came: asyncio.Queue[None] = asyncio.Queue()

    async def answer(_request: Request) -> Response:
        return StreamingResponse(endless(), media_type="audio/pcm")

    async with answering(answer) as url, asyncio.timeout(30):
        voice = SpeechVoice(source_at(url))
        async with aclosing(voice.speak(stream_of(CLAUSES), format=PCM_24K, voice=None)) as speech:
            assert (await anext(speech)).text == CLAUSES[0]
            await came.get()
            await came.get()
        await gone.get()
        await gone.get()
        await voice.aclose()


@pytest.mark.parametrize(
    ("fault", "is_retryable"),
    [
        (Fault.REFUSE, False),
        (Fault.TOO_MANY, True),
        (Fault.BROKEN, True),
        (Fault.CLOSE_1006, True),
        (Fault.CLOSE_1011, True),
        (Fault.ZERO_AUDIO, True),
        (Fault.GARBAGE, True),
        (Fault.BIG_CHUNK, True),
    ],
)
async def test_a_fault_of_the_server_is_the_providers(fault: Fault, is_retryable: bool) -> None:
    async with standing(fault=fault) as there:
        with pytest.raises(ProviderError) as failed:
            await spoken_by(SpeechVoice(there.source()), *CLAUSES)
    assert failed.value.retryable is is_retryable


async def test_a_fault_of_the_next_clause_waits_until_this_one_is_over() -> None:
    refused = asyncio.Event()

    async def first_then_rest() -> AsyncGenerator[bytes, None]:
        yield hum(1, 24_000)
        await refused.wait()
        yield hum(2, 24_000)

    async def answer(request: Request) -> Response:
        if (await request.json())["input"] == CLAUSES[0]:
            return StreamingResponse(first_then_rest(), media_type="audio/pcm")
        refused.set()
        return Response(status_code=500)

    pieces: list[Speech] = []
    async with answering(answer) as url:
        voice = SpeechVoice(source_at(url))
        with pytest.raises(ProviderError, match="HTTP 500"):
            async with (
                asyncio.timeout(30),
                aclosing(voice.speak(stream_of(CLAUSES), format=PCM_24K, voice=None)) as speech,
            ):
                async for piece in speech:
                    pieces.append(piece)  # noqa: PERF401  # what came before the end is the point
        await voice.aclose()
    assert by_clause(pieces) == [(CLAUSES[0], hum(3, 24_000))]


@pytest.mark.parametrize("kind", ["application/json", "text/html; charset=utf-8"])
async def test_what_calls_itself_a_text_is_no_sound(kind: str) -> None:
    async def answer(_request: Request) -> Response:
        return Response(hum(3, 24_000), headers={"content-type": kind})

    async with answering(answer) as url:
        with pytest.raises(ProviderError, match="instead of sound"):
            await spoken_by(SpeechVoice(source_at(url)), *CLAUSES)


async def test_a_failure_of_whoever_gives_the_words_is_told() -> None:
    async def clauses() -> AsyncIterator[str]:
        yield "One."
        raise ProviderError("model", "is gone", retryable=True)

    async with standing() as there:
        voice = SpeechVoice(there.source())
        with pytest.raises(ProviderError, match="model: is gone"):
            await all_of(voice.speak(clauses(), format=PCM_24K, voice=None))
        await voice.aclose()


async def test_openai_has_its_voices_and_another_server_those_it_is_said_to_have() -> None:
    ours, theirs = SpeechVoice(source_at("")), SpeechVoice(source_at("http://127.0.0.1:1", voice="af_heart"))
    listed = SpeechVoice(source_at("http://127.0.0.1:1", voices=["am_adam"]))
    assert [await ours.knows(name) for name in ("marin", "voice_1234", "Dennis")] == [True, True, False]
    assert [await theirs.knows(name) for name in ("af_heart", "voice_1234", "alloy")] == [True, False, False]
    assert [await listed.knows(name) for name in ("am_adam", "alloy", "marin")] == [True, True, False]
