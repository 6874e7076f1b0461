"""The real recogniser on telephone speech: phrases, the open vocabulary, giving up, and too few decoders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.agent import load_agent
from pipeline.audio.formats import PCM_8K, PCM_16K, PCMU
from pipeline.audio.transcode import transcode
from pipeline.provider import ProviderError, Transcript
from pipeline.providers.pocketsphinx import PIECE_MS, PocketsphinxTranscriber
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

FRAME = PCM_16K.bytes_in(20)


def telephone(name: str) -> list[bytes]:
    """A clip as the engine hands it over: 16 kHz in frames, with the silence that ends a turn."""
    codes = (Path(__file__).parent / "data" / f"{name}.ulaw").read_bytes()
    quiet = PCMU.silence * PCMU.bytes_in(300)
    pcm16 = transcode(quiet + codes + quiet, PCMU, PCM_16K)
    return [pcm16[at : at + FRAME] for at in range(0, len(pcm16), FRAME)]


async def transcripts(recogniser: PocketsphinxTranscriber, frames: list[bytes]) -> list[Transcript]:
    return await all_of(recogniser.transcribe(stream_of(frames), format=PCM_16K, language="en-US"))


@pytest.fixture(scope="module")
def receptionist() -> PocketsphinxTranscriber:
    """Listens for the demo's phrases. One decoder for the tests of this file: it takes 0.3 s to load."""
    return PocketsphinxTranscriber(load_agent("reception").phrases)


async def test_expected_phrases_are_understood_over_the_telephone(
    receptionist: PocketsphinxTranscriber,
) -> None:
    await receptionist.prepare()
    hours = await transcripts(receptionist, telephone("opening_hours"))
    assert hours[-1] == Transcript("what are your opening hours", is_final=True)
    order = await transcripts(receptionist, telephone("order_4815"))
    assert order[-1] == Transcript("where is my order four eight one five", is_final=True)


async def test_words_come_before_the_end_and_only_the_last_transcript_is_final(
    receptionist: PocketsphinxTranscriber,
) -> None:
    heard = await transcripts(receptionist, telephone("order_4815"))
    assert len(heard) > 1
    assert [transcript.is_final for transcript in heard] == [False] * (len(heard) - 1) + [True]
    assert all(transcript.text for transcript in heard)


async def test_what_fits_no_phrase_is_not_forced_onto_one(receptionist: PocketsphinxTranscriber) -> None:
    words = (await transcripts(receptionist, telephone("weather")))[-1].text.split()
    assert {"the", "is"} <= set(words)
    assert not {"hours", "order", "goodbye"} & set(words)


@pytest.mark.parametrize("frames", [[], [b""], [b"\x01"], [bytes(FRAME)] * 50])
async def test_silence_and_no_sound_at_all_end_with_an_empty_transcript(
    receptionist: PocketsphinxTranscriber, frames: list[bytes]
) -> None:
    assert await transcripts(receptionist, frames) == [Transcript("", is_final=True)]


async def test_a_given_up_utterance_frees_the_decoder(receptionist: PocketsphinxTranscriber) -> None:
    hearing = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"".join(telephone("order_4815"))
        hearing.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(all_of(receptionist.transcribe(endless(), format=PCM_16K, language=None)))
    async with asyncio.timeout(TIMEOUT_S):
        await hearing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    heard = await transcripts(receptionist, telephone("opening_hours"))
    assert heard[-1].text == "what are your opening hours"


async def test_without_phrases_the_open_vocabulary_is_heard_and_one_call_does_not_colour_the_next() -> None:
    recogniser = PocketsphinxTranscriber()
    first = await transcripts(recogniser, telephone("order_4815"))
    assert {"where", "is", "my", "order", "five"} <= set(first[-1].text.split())
    assert len(first) > 2
    harsh = b"\xff\x3f\x00\xc0" * 16_000
    await transcripts(recogniser, [harsh])
    assert (await transcripts(recogniser, telephone("order_4815")))[-1] == first[-1]


async def test_when_all_decoders_stay_busy_the_next_utterance_fails_and_may_be_tried_again() -> None:
    recogniser = PocketsphinxTranscriber(wait_ms=10)
    hearing = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        hearing.set()
        await asyncio.Event().wait()
        yield b""

    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
        busy = group.create_task(all_of(recogniser.transcribe(endless(), format=PCM_16K, language=None)))
        await hearing.wait()
        with pytest.raises(ProviderError, match="all 1 decoders were busy for 10 ms") as failure:
            await transcripts(recogniser, [])
        busy.cancel()
    assert failure.value.retryable


async def test_sound_is_decoded_in_pieces_of_whole_samples(receptionist: PocketsphinxTranscriber) -> None:
    sound = b"".join(telephone("opening_hours"))
    odd = PCM_16K.bytes_in(PIECE_MS) + 1
    frames = [sound[at : at + odd] for at in range(0, len(sound), odd)]
    assert (await transcripts(receptionist, frames))[-1].text == "what are your opening hours"


async def test_another_language_or_format_is_refused_for_good(receptionist: PocketsphinxTranscriber) -> None:
    with pytest.raises(ProviderError, match="understands English only, not 'de-DE'") as language:
        await all_of(receptionist.transcribe(stream_of([]), format=PCM_16K, language="de-DE"))
    with pytest.raises(ProviderError, match="hears") as format:
        await all_of(receptionist.transcribe(stream_of([]), format=PCM_8K, language=None))
    assert not language.value.retryable
    assert not format.value.retryable


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("tell me about blorks and quuxes", "words that are not in its English dictionary: blorks, quuxes"),
        ("order <number>", "only <digit> and <digits> are known"),
        ("(open", "not a JSGF expansion each"),
    ],
)
async def test_phrases_that_cannot_be_recognised_are_named(phrase: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message) as failure:
        await PocketsphinxTranscriber([phrase]).prepare()
    assert not failure.value.retryable


async def test_an_error_of_the_library_is_an_error_of_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("no model")

    monkeypatch.setattr("pocketsphinx.Decoder", broken)
    with pytest.raises(ProviderError, match="the decoder failed: no model"):
        await transcripts(PocketsphinxTranscriber(), [])


def test_there_is_at_least_one_decoder() -> None:
    with pytest.raises(ValueError, match="at least 1 decoder, got 0"):
        PocketsphinxTranscriber(decoders=0)
