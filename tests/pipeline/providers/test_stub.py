"""The providers of the benchmark do what they say and no more."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.audio import g711
from pipeline.audio.formats import PCM_8K, PCMU
from pipeline.provider import (
    CutOff,
    ModelOutput,
    Prompt,
    ProviderError,
    TextDelta,
    TokensUsed,
    Transcript,
    WordTime,
)
from pipeline.providers.stub import PIECE_MS, TRANSCRIPT, WORD_MS, StubModel, StubTranscriber, StubVoice
from pipeline.sentences import Clauses
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("sound", "text"), [([b"\xff", b"\xff"], TRANSCRIPT), ([b""], ""), ([], "")])
async def test_any_sound_is_the_same_words_and_no_sound_is_none(sound: list[bytes], text: str) -> None:
    made = StubTranscriber().transcribe(stream_of(sound), format=PCMU, language=None)
    assert await all_of(made) == [Transcript(text, is_final=True)]


async def test_the_answer_has_the_words_asked_for_in_whole_sentences() -> None:
    made: list[ModelOutput] = await all_of(StubModel(words=25).respond(Prompt("", ())))
    text = "".join(delta.text for delta in made if isinstance(delta, TextDelta))
    assert len(text.split()) == len(made) - 1 == 25
    assert made[-1] == TokensUsed(0, 25)
    clauses = Clauses()
    assert [len(clause.split()) for clause in clauses.push(text) + clauses.flush()] == [10, 10, 5]


async def test_an_answer_longer_than_allowed_is_cut_off_and_says_so() -> None:
    made = await all_of(StubModel(words=25).respond(Prompt("Be brief.", (), max_output_tokens=3)))
    words = [TextDelta("word"), TextDelta(" word"), TextDelta(" word")]
    assert made == [*words, CutOff("max_output_tokens"), TokensUsed(2, 3)]


async def test_the_voice_hums_so_long_a_word_in_pieces() -> None:
    voice = StubVoice(word_ms=150)
    pieces = await all_of(voice.speak(stream_of(["one two three", "four"]), format=PCMU, voice=None))
    assert [PCMU.ms_in(len(piece.audio)) for piece in pieces] == [PIECE_MS, PIECE_MS, 50, 150]
    assert [piece.text for piece in pieces] == ["one two three", "", "", "four"]
    assert pieces[0].words == (WordTime("one", 0), WordTime("two", 150), WordTime("three", 300))
    assert np.abs(np.frombuffer(g711.ulaw_to_pcm16(pieces[0].audio), "<i2").astype(int)).max() > 3_000


@pytest.mark.parametrize(("speed", "word_ms"), [(0.25, 600), (0.5, 300), (1.0, 150), (1.5, 100)])
async def test_a_word_lasts_the_longer_the_slower_it_is_hummed(speed: float, word_ms: int) -> None:
    told = stream_of(["one two three", "four"])
    pieces = await all_of(StubVoice(word_ms=150).speak(told, format=PCMU, voice=None, speed=speed))
    assert PCMU.ms_in(sum(len(piece.audio) for piece in pieces)) == 4 * word_ms
    assert pieces[0].words == (WordTime("one", 0), WordTime("two", word_ms), WordTime("three", 2 * word_ms))


async def test_whole_pieces_are_the_same_bytes_and_join_without_a_click() -> None:
    first, second = await all_of(StubVoice().speak(stream_of(["one two"]), format=PCMU, voice=None))
    assert first.audio is second.audio
    assert WORD_MS == PIECE_MS
    joined = np.frombuffer(g711.ulaw_to_pcm16(first.audio + second.audio), "<i2").astype(int)
    steps = np.abs(np.diff(joined))
    seam = len(first.audio) - 1
    assert steps[seam] <= steps[:seam].max()


async def test_another_format_is_refused() -> None:
    with pytest.raises(ProviderError, match="hums in"):
        await all_of(StubVoice().speak(stream_of(["one"]), format=PCM_8K, voice=None))
