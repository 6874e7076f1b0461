"""Phrases that were spoken once are there the second time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from pipeline.audio.formats import PCM_24K, PCMU, AudioFormat
from pipeline.audio.transcode import transcode
from pipeline.provider import ProviderError, Speech
from pipeline.spoken_phrases import LONGEST_PHRASE_S, SpokenPhrases, say
from tests.fakes import SPEECH_BYTE, WORD_MS, FakeVoice, failure

pytestmark = pytest.mark.anyio

WORD = transcode(SPEECH_BYTE * PCMU.bytes_in(WORD_MS), PCMU, PCM_24K)


class KnowingVoice:
    """Has one voice, and says so."""

    name = "knowing"
    formats: tuple[AudioFormat, ...] = (PCMU,)

    def __init__(self) -> None:
        self.inner = FakeVoice()

    async def knows(self, voice: str) -> bool:
        return voice == "otto"

    def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        return self.inner.speak(clauses, format=format, voice=voice, speed=speed)


async def test_a_phrase_is_spoken_once_for_each_name_and_pace() -> None:
    phrases, voice, other = SpokenPhrases(), FakeVoice(), FakeVoice()
    for _ in range(2):
        assert await phrases.say(voice, "okay", own_name="anna") == WORD
        assert await phrases.say(voice, "okay", own_name="anna", asked="otto") == WORD
        assert await phrases.say(voice, "okay", own_name="anna", speed=1.5) == WORD
        assert await phrases.say(voice, "right", own_name="anna") == WORD
        assert await phrases.say(other, "okay", own_name="anna") == WORD
    assert voice.clauses == ["okay", "okay", "okay", "right"] and other.clauses == ["okay"]
    assert [name for _, name in voice.asked] == ["anna", "otto", "anna", "anna"]
    assert voice.speeds == [1.0, 1.0, 1.5, 1.0]


async def test_a_name_the_provider_does_not_have_is_not_asked_for() -> None:
    phrases, voice = SpokenPhrases(), KnowingVoice()
    for asked in ("otto", "alloy", "anna", None):
        await phrases.say(voice, "okay", own_name="anna", asked=asked)
    assert [name for _, name in voice.inner.asked] == ["otto", "anna", "anna"], "anna's was kept"


async def test_the_oldest_go_when_there_is_no_room() -> None:
    phrases, voice = SpokenPhrases(kept_bytes=2 * len(WORD)), FakeVoice()
    for text in ("one", "two", "one", "three", "one", "two"):
        await phrases.say(voice, text, own_name=None)
    assert voice.clauses == ["one", "two", "three", "two"]


async def test_what_failed_or_made_no_sound_is_asked_for_again() -> None:
    phrases, voice = SpokenPhrases(), FakeVoice({0: failure()})
    with pytest.raises(ProviderError):
        await phrases.say(voice, "okay", own_name=None)
    assert await phrases.say(voice, "", own_name=None) == await phrases.say(voice, "", own_name=None) == b""
    assert await phrases.say(voice, "okay", own_name=None) == WORD
    assert voice.clauses == ["okay", "", "", "okay"]


async def test_a_voice_that_does_not_end_is_cut() -> None:
    sound = await say(FakeVoice(), None, " ".join(["word"] * 500))
    assert len(sound) == PCMU.bytes_in(LONGEST_PHRASE_S * 1000)
