"""One attempt to speak: what the voice is given, and what is made of what it brings."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.audio.formats import PCM_24K, PCMU, AudioFormat
from pipeline.legs.given_clauses import GivenClauses
from pipeline.legs.sound_owed import SoundOwed
from pipeline.legs.take import Piece, Take, can_be_spoken
from pipeline.observations import ProviderTimed
from pipeline.stall import Stall
from pipeline.timing import Timing
from tests.fakes import WORD_MS, FakeVoice
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Studio:
    """A take of the given clauses, from word `begins` on."""

    def __init__(self, *clauses: str, begins: int = 0, format: AudioFormat = PCMU) -> None:
        self.voice = FakeVoice(formats=(PCMU,))
        self.timed: list[ProviderTimed] = []
        source: asyncio.Queue[str | None] = asyncio.Queue()
        for clause in (*clauses, None):
            source.put_nowait(clause)
        self.take = Take(
            0,
            self.voice,
            GivenClauses(source, lambda: None),
            Timing("fake-tts", "tts", now_s, self.timed.append),
            begins=begins,
            format=format,
            speed=1.2,
            is_last=lambda: False,
        )
        self.take.owed = SoundOwed(Stall(lambda: None), 1.0)

    async def run(self) -> list[Piece]:
        async def name() -> str:
            return "anna"

        return [piece async for piece in self.take.speech(name)]


async def test_it_speaks_from_its_word_on_with_the_name_and_pace_asked_for() -> None:
    studio = Studio("one two three", "four", begins=1)
    pieces = await studio.run()
    assert studio.voice.clauses == ["two three", "four"]
    assert (studio.voice.asked, studio.voice.speeds) == ([(PCMU, "anna")], [1.2])
    assert [(piece.speech.text, piece.begins) for piece in pieces if piece.speech.text] == [
        ("two three", 1),
        ("four", 3),
    ]
    assert studio.take.owed.has_all and not studio.take.leaves_words


async def test_what_it_makes_is_in_the_format_asked_for_to_the_last_sample() -> None:
    pieces = await Studio("one two", format=PCM_24K).run()
    assert sum(len(piece.speech.audio) for piece in pieces) == PCM_24K.bytes_in(2 * WORD_MS)


async def test_it_is_asked_once_when_there_is_something_to_say() -> None:
    studio, asked = Studio("one", "two"), 0

    def first_asked() -> None:
        nonlocal asked
        asked += 1

    studio.take.first_asked = first_asked
    await studio.run()
    assert (asked, studio.take.is_asked) == (1, True)


async def test_where_nothing_is_to_be_said_it_is_not_asked() -> None:
    studio = Studio()
    assert await studio.run() == []
    assert not studio.take.is_asked


@pytest.mark.parametrize(
    ("word", "can"), [("one", True), ("2.", True), ("...", False), ("—", False), ("🙂", False), ("好", True)]
)
def test_only_letters_and_digits_have_a_sound(word: str, can: bool) -> None:
    assert can_be_spoken(word) is can
