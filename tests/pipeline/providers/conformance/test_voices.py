"""What every voice keeps to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from pipeline.audio import g711
from pipeline.audio.formats import AudioFormat
from pipeline.playback_ledger import PlaybackLedger
from pipeline.provider import KnowsVoices, Speech, skills_of_voice
from simulator.sound import rms
from simulator.standins.fault import Fault
from simulator.standins.tone import WORD_MS
from tests.pipeline.providers.conformance.standing import (
    LIMIT_S,
    NEVER_ENDING,
    USUAL_ENDINGS,
    Floor,
    keep_no_secret,
    log_everything,
    taken_note_of,
)
from tests.pipeline.providers.conformance.voices import VOICES, Speaking, VoiceMaker
from tests.pipeline.providers.spoken import Said, said, then_nothing
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio

ALL = pytest.mark.parametrize("maker", VOICES, ids=str)
AT_STANDINS = pytest.mark.parametrize("maker", [maker for maker in VOICES if maker.has_standin], ids=str)
HUMMING = pytest.mark.parametrize("maker", [maker for maker in VOICES if maker.hums], ids=str)

ENDINGS = {**USUAL_ENDINGS, Fault.ZERO_AUDIO: "failed"}

CLAUSES = ("Hello, my dear friend of old.", "It is half past nine:", "are you ready, or shall I come later?")
WORDS = " ".join(CLAUSES).split()

HUM_LEVEL = 2_800
"""Root mean square of a stand-in's voice."""


async def speak(
    speaking: Speaking,
    clauses: Sequence[str] = CLAUSES,
    *,
    format: AudioFormat | None = None,
    name: str | None = None,
    speed: float = 1.0,
) -> Said:
    format = format or speaking.voice.formats[0]
    return await said(speaking.voice, clauses, format=format, name=name, speed=speed)


def length_ms(answer: Said, format: AudioFormat) -> float:
    return format.ms_in(format.samples_in(answer.audio))


@ALL
async def test_every_word_is_told_once_and_in_order(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        assert (await speak(speaking)).text.split() == WORDS


@ALL
async def test_words_begin_one_after_another_within_the_sound(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        answer = await speak(speaking)
        starts = answer.starts(format)
        times = [start_ms for _, start_ms in starts]
        assert times == sorted(times)
        assert all(0 <= start_ms < length_ms(answer, format) for start_ms in times)
        # Who says it has the times of words has that of each; who does not may have them nevertheless.
        assert [word for word, _ in starts] in (
            [WORDS] if skills_of_voice(speaking.voice).has_word_times else [WORDS, []]
        )


@ALL
async def test_once_all_was_played_all_was_heard(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        answer = await speak(speaking)
        assert answer.heard(format, round(length_ms(answer, format)) + 1).split() == WORDS


@ALL
async def test_what_was_heard_is_always_a_beginning_and_only_grows(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        answer = await speak(speaking)
        whole_ms = length_ms(answer, format)
        heard = [answer.heard(format, round(whole_ms * tenth / 10)).split() for tenth in range(10)]
        assert all(words == WORDS[: len(words)] for words in heard)
        assert [len(words) for words in heard] == sorted(len(words) for words in heard)


@HUMMING
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
async def test_what_was_heard_is_true_to_two_words(maker: VoiceMaker, floor: Floor, share: float) -> None:
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        answer = await speak(speaking)
        words = answer.heard(format, round(length_ms(answer, format) * share)).split()
        assert words == WORDS[: len(words)]
        assert len(WORDS) * share - 2 <= len(words) <= len(WORDS) * share


@HUMMING
async def test_every_declared_format_has_its_length_to_the_sample(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        for format in speaking.voice.formats:
            answer = await speak(speaking, format=format)
            assert len(answer.audio) == format.bytes_in(WORD_MS * len(WORDS))
            assert all(len(piece.audio) % format.encoding.bytes_per_sample == 0 for piece in answer.pieces)
            assert rms(g711.decode(answer.audio, format.encoding)) == pytest.approx(HUM_LEVEL, rel=0.05)


@ALL
async def test_nothing_to_say_is_no_sound_and_no_error(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        for nothing in ((), (" ",), ("", "  ")):
            answer = await speak(speaking, nothing)
            assert answer.audio == b"" and answer.text == ""
        assert (await speak(speaking)).text.split() == WORDS


@ALL
async def test_a_dash_among_the_clauses_harms_nothing(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        answer = await speak(speaking, (CLAUSES[0], "–", " ", *CLAUSES[1:]))
        assert [word for word in answer.text.split() if word != "–"] == WORDS


@ALL
async def test_sound_comes_before_the_last_clause_is_known(maker: VoiceMaker, floor: Floor) -> None:
    """And who stops listening then leaves nothing."""
    async with maker.open(floor) as speaking:
        clauses = then_nothing(*CLAUSES[:2])
        made = speaking.voice.speak(clauses, format=speaking.voice.formats[0], voice=None)
        async with asyncio.timeout(LIMIT_S), aclosing(made):
            async for piece in made:
                if piece.audio:
                    break
        await speaking.at_most(maker.spares)
        assert (await speak(speaking)).text.split() == WORDS


@AT_STANDINS
async def test_who_stops_listening_stops_the_service(maker: VoiceMaker, floor: Floor) -> None:
    """It would never come to the end by itself."""
    async with maker.open(floor) as speaking:
        speaking.next_fault(Fault.STALL)
        made = speaking.voice.speak(stream_of(CLAUSES), format=speaking.voice.formats[0], voice=None)
        async with asyncio.timeout(LIMIT_S), aclosing(made):
            assert (await anext(made)).audio
        await speaking.at_most(maker.spares)
        assert (await speak(speaking)).text.split() == WORDS


@AT_STANDINS
async def test_an_answer_given_up_before_its_first_sound_leaves_nothing(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        assert speaking.place is not None
        speaking.next_fault(Fault.HANG)
        waiting = asyncio.ensure_future(speak(speaking))
        await speaking.place.journal.reaches(1)
        waiting.cancel()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(waiting, return_exceptions=True)
        await speaking.at_most(maker.spares)
        assert (await speak(speaking)).text.split() == WORDS


@ALL
async def test_answers_one_after_another_and_at_once_do_not_mix(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        texts = [f"This is answer number {'and ' * number}so on." for number in range(8)]
        alone = [await speak(speaking, [text]) for text in texts[:3]]
        together = await asyncio.gather(*(speak(speaking, [text]) for text in texts))
        assert [answer.text for answer in alone] == texts[:3]
        assert [answer.text for answer in together] == texts
        lengths = [length_ms(answer, format) for answer in together]
        assert lengths == sorted(lengths)
        assert lengths == [WORD_MS * len(text.split()) for text in texts] or not maker.hums


@HUMMING
@pytest.mark.parametrize("speed", [0.25, 0.8, 1.0, 1.1, 1.5])
async def test_the_pace_is_as_asked_or_as_near_as_the_voice_can(
    maker: VoiceMaker, floor: Floor, speed: float
) -> None:
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        answer = await speak(speaking, speed=speed)
        taken = min(maker.fastest, max(maker.slowest, speed))
        # Stand-ins hum whole milliseconds.
        assert length_ms(answer, format) == pytest.approx(WORD_MS / taken * len(WORDS), abs=len(WORDS))
        words = answer.heard(format, round(length_ms(answer, format) / 2)).split()
        assert len(WORDS) / 2 - 4 <= len(words) <= len(WORDS) / 2


@pytest.mark.parametrize("maker", [maker for maker in VOICES if maker.known], ids=str)
async def test_it_tells_which_voices_it_knows_and_speaks_with_them(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        assert isinstance(speaking.voice, KnowsVoices)
        assert await speaking.voice.knows(maker.known)
        assert not await speaking.voice.knows(maker.unknown)
        assert not await speaking.voice.knows("")
        assert (await speak(speaking, name=maker.known)).text.split() == WORDS
        assert speaking.asked_for() == ({maker.known} if maker.has_standin else set())


def heard_of(pieces: Sequence[Speech], format: AudioFormat) -> str:
    """Once all that came of a broken answer was played."""
    ledger = PlaybackLedger(format.rate_hz)
    for piece in pieces:
        ledger.write("item", format.samples_in(piece.audio), piece.text, piece.words)
    ledger.play(ledger.end)
    return ledger.heard("item").text if pieces else ""


@AT_STANDINS
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_a_fault_costs_one_answer_and_is_told(
    maker: VoiceMaker, floor: Floor, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    log_everything(caplog)
    async with maker.open(floor) as speaking:
        format = speaking.voice.formats[0]
        speaking.next_fault(fault)
        pieces: list[Speech] = []
        async with taken_note_of(is_patient=fault not in NEVER_ENDING) as endings:
            made = speaking.voice.speak(stream_of(CLAUSES), format=format, voice=None)
            async with aclosing(made):
                async for piece in made:
                    pieces.append(piece)  # noqa: PERF401 (what came before it broke off counts)
            endings.append("whole" if Said(pieces).audio else "empty")
        expected = maker.endings.get(fault, ENDINGS[fault])
        assert endings == [expected]
        assert all(len(piece.audio) % format.encoding.bytes_per_sample == 0 for piece in pieces)
        heard = heard_of(pieces, format).split()
        assert heard == WORDS[: len(heard)]
        assert len(heard) * WORD_MS <= length_ms(Said(pieces), format)
        await speaking.at_most(maker.spares * (2 if expected == "whole" else 1))
        assert (await speak(speaking)).text.split() == WORDS
    keep_no_secret(caplog)


@ALL
async def test_another_format_is_refused_before_anything_is_asked(maker: VoiceMaker, floor: Floor) -> None:
    async with maker.open(floor) as speaking:
        assert speaking.voice.formats
        strange = AudioFormat(speaking.voice.formats[0].encoding, 11_025)
        async with taken_note_of() as endings:
            await all_of(speaking.voice.speak(stream_of(CLAUSES), format=strange, voice=None))
        assert endings == ["refused"]
        assert speaking.asked_for() == set()
