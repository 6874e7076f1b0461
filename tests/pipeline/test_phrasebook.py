"""Phrases that are spoken before anybody needs them."""

from __future__ import annotations

import pytest

from pipeline.audio.apology import ONE_MOMENT_TEXT, one_moment
from pipeline.audio.formats import PCM_24K, PCMU
from pipeline.audio.transcode import transcode
from pipeline.patience import Phrase
from pipeline.phrasebook import Phrasebook
from pipeline.spoken_phrases import LONGEST_PHRASE_S
from tests.fakes import SPEECH_BYTE, STALL, WORD_MS, FakeVoice, Wait, failure
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def test_phrases_are_in_the_agents_voice_and_in_any_format() -> None:
    book, voice = Phrasebook(("One moment.", "Still here.")), FakeVoice()
    await book.speak(voice, "anna")
    sound = SPEECH_BYTE * (PCMU.bytes_in(WORD_MS) * 2)
    assert book.phrases(PCMU) == (Phrase("One moment.", sound), Phrase("Still here.", sound))
    assert book.phrases(PCM_24K)[0].sound == transcode(sound, PCMU, PCM_24K)
    assert book.phrases(PCM_24K)[0] is book.phrases(PCM_24K)[0]  # made once


@pytest.mark.parametrize("trouble", [STALL, failure()])
async def test_a_voice_that_fails_beforehand_leaves_the_recording(trouble: Wait | Exception) -> None:
    book = Phrasebook(("One moment.", "Still here."))
    await book.speak(FakeVoice({0: trouble}), None)
    assert book.phrases(PCMU) == (Phrase(ONE_MOMENT_TEXT, one_moment(PCMU)),) * 2


async def test_without_phrases_there_is_nothing_to_say() -> None:
    book = Phrasebook()
    await book.speak(FakeVoice(), None)
    assert book.phrases(PCMU) == ()


async def test_a_voice_that_does_not_end_is_cut() -> None:
    book = Phrasebook((" ".join(["word"] * 500),))
    await book.speak(FakeVoice(), None)
    assert len(book.phrases(PCMU)[0].sound) == PCMU.bytes_in(LONGEST_PHRASE_S * 1000)
