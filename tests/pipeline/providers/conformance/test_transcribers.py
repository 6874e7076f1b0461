"""What every transcriber keeps to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from pipeline.audio.formats import AudioFormat
from pipeline.provider import Prepares, Transcript, skills_of_transcriber
from simulator.standins.fault import Fault
from tests.pipeline.providers.conformance.standing import (
    LIMIT_S,
    NEVER_ENDING,
    USUAL_ENDINGS,
    Floor,
    keep_no_secret,
    log_everything,
    taken_note_of,
)
from tests.pipeline.providers.conformance.transcribers import TRANSCRIBERS, Hearing, TranscriberMaker
from tests.pipeline.providers.streams import all_of, stream_of

pytestmark = pytest.mark.anyio

ALL = pytest.mark.parametrize("maker", TRANSCRIBERS, ids=str)
REMOTE = [maker for maker in TRANSCRIBERS if maker.has_standin]
AT_STANDINS = pytest.mark.parametrize("maker", REMOTE, ids=str)

ENDINGS = {**USUAL_ENDINGS, Fault.ZERO_AUDIO: "empty"}


def frames(sound: bytes, format: AudioFormat) -> list[bytes]:
    """Packets of 20 ms, and between them now and then an empty one, as a resampler makes them."""
    size = format.bytes_in(20)
    return [*(sound[at : at + size] for at in range(0, len(sound), size)), b""]


async def hear(
    hearing: Hearing,
    maker: TranscriberMaker,
    number: int = 0,
    format: AudioFormat | None = None,
    language: str | None = None,
) -> list[Transcript]:
    format = format or hearing.transcriber.formats[0]
    sound = stream_of(frames(maker.sound(number, format), format))
    return await all_of(hearing.transcriber.transcribe(sound, format=format, language=language))


def text_of(transcripts: list[Transcript]) -> str:
    """The words of one utterance that was heard to its end."""
    assert [transcript.is_final for transcript in transcripts] == [False] * (len(transcripts) - 1) + [True]
    return transcripts[-1].text


@ALL
async def test_an_utterance_ends_with_one_final_transcript(maker: TranscriberMaker, floor: Floor) -> None:
    async with maker.open(floor) as hearing:
        assert text_of(await hear(hearing, maker)) == hearing.texts[0]


@ALL
async def test_no_sound_at_all_is_no_word_at_all(maker: TranscriberMaker, floor: Floor) -> None:
    async with maker.open(floor) as hearing:
        for pieces in ([], [b"", b""]):
            sound = stream_of(pieces)
            format = hearing.transcriber.formats[0]
            transcripts = await all_of(hearing.transcriber.transcribe(sound, format=format, language=None))
            assert transcripts == [Transcript("", is_final=True)]


@pytest.mark.parametrize("maker", [maker for maker in TRANSCRIBERS if maker.hears_silence_as_nothing], ids=str)
async def test_silence_is_no_word_and_the_next_utterance_is_heard(maker: TranscriberMaker, floor: Floor) -> None:
    async with maker.open(floor) as hearing:
        format = hearing.transcriber.formats[0]
        silence = stream_of(frames(format.silence * format.samples_in(bytes(format.bytes_in(600))), format))
        assert text_of(await all_of(hearing.transcriber.transcribe(silence, format=format, language=None))) == ""
        assert text_of(await hear(hearing, maker)) in hearing.texts


@ALL
async def test_words_come_while_the_caller_speaks_only_from_those_who_say_so(
    maker: TranscriberMaker, floor: Floor
) -> None:
    async with maker.open(floor) as hearing:
        format = hearing.transcriber.formats[0]
        has_partials = skills_of_transcriber(hearing.transcriber).has_partials
        may_end = asyncio.Event()
        has_ended = False

        async def caller() -> AsyncIterator[bytes]:
            nonlocal has_ended
            for piece in frames(maker.sound(0, format), format):
                yield piece
            if has_partials:
                await may_end.wait()
            has_ended = True

        came_before: list[bool] = []
        made = hearing.transcriber.transcribe(caller(), format=format, language=None)
        async with asyncio.timeout(LIMIT_S), aclosing(made):
            async for _ in made:
                came_before.append(not has_ended)
                may_end.set()
        assert came_before[0] is has_partials or maker.may_be_early


@ALL
async def test_every_declared_format_is_understood(maker: TranscriberMaker, floor: Floor) -> None:
    async with maker.open(floor) as hearing:
        said = [text_of(await hear(hearing, maker, 0, format)) for format in hearing.transcriber.formats]
        assert said
        assert set(said) <= set(hearing.texts)


@AT_STANDINS
async def test_the_sound_of_every_format_reaches_the_service_untouched(
    maker: TranscriberMaker, floor: Floor
) -> None:
    async with maker.open(floor) as hearing:
        formats = hearing.transcriber.formats
        for format in formats:
            await hear(hearing, maker, 0, format)
        assert [(one.format, one.sound) for one in hearing.sent()] == [
            (format, maker.sound(0, format)) for format in formats
        ]


@ALL
async def test_utterances_one_after_another_do_not_mix(maker: TranscriberMaker, floor: Floor) -> None:
    async with maker.open(floor) as hearing:
        said = [text_of(await hear(hearing, maker, number)) for number in range(4)]
        format = hearing.transcriber.formats[0]
        assert said == [hearing.texts[number % len(hearing.texts)] for number in range(4)]
        heard = b"".join(one.sound for one in hearing.sent())
        assert heard in (b"", b"".join(maker.sound(number, format) for number in range(4)))


@ALL
async def test_utterances_at_the_same_time_do_not_mix(maker: TranscriberMaker, floor: Floor) -> None:
    """All have begun before the first ends, and each begins, or ends, after the one before has its text."""
    async with maker.open(floor) as hearing:
        format = hearing.transcriber.formats[0]
        speaking = asyncio.Barrier(maker.at_once)

        async def caller(number: int) -> AsyncIterator[bytes]:
            pieces = frames(maker.sound(number, format), format)
            if maker.has_text_from == "beginning":
                await hearing.begun(number)
            for piece in pieces[:10]:
                yield piece
            await speaking.wait()
            if maker.has_text_from == "end":
                await hearing.begun(number)
            for piece in pieces[10:]:
                yield piece

        async def listen(number: int) -> str:
            made = hearing.transcriber.transcribe(caller(number), format=format, language=None)
            return text_of(await all_of(made))

        said = await asyncio.gather(*map(listen, range(maker.at_once)))
        expected = [hearing.texts[number % len(hearing.texts)] for number in range(maker.at_once)]
        assert said == expected
        sounds = sorted(one.sound for one in hearing.sent())
        assert sounds in ([], sorted(maker.sound(number, format) for number in range(maker.at_once)))


@ALL
@pytest.mark.parametrize("is_over", [False, True], ids=["while the caller speaks", "while its end is awaited"])
async def test_an_utterance_that_is_given_up_leaves_nothing(
    maker: TranscriberMaker, floor: Floor, is_over: bool
) -> None:
    async with maker.open(floor) as hearing:
        format = hearing.transcriber.formats[0]
        has_begun = is_over or maker.has_text_from == "beginning"
        if has_begun:
            hearing.next_fault(Fault.HANG)
        all_told = asyncio.Event()

        async def caller() -> AsyncIterator[bytes]:
            for piece in frames(maker.sound(0, format), format):
                yield piece
            all_told.set()
            if not is_over:
                await asyncio.Event().wait()

        made = hearing.transcriber.transcribe(caller(), format=format, language=None)
        listening = asyncio.ensure_future(all_of(made))
        async with asyncio.timeout(LIMIT_S):
            await all_told.wait()
            await hearing.begun(1 if has_begun else 0)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await made.aclose()
        await hearing.at_most(maker.spares)
        assert text_of(await hear(hearing, maker)) in hearing.texts


@ALL
async def test_who_stops_listening_after_the_first_words_leaves_nothing(
    maker: TranscriberMaker, floor: Floor
) -> None:
    async with maker.open(floor) as hearing:
        format = hearing.transcriber.formats[0]
        is_early = skills_of_transcriber(hearing.transcriber).has_partials

        async def caller() -> AsyncIterator[bytes]:
            for piece in frames(maker.sound(0, format), format):
                yield piece
            if is_early:
                await asyncio.Event().wait()

        async with asyncio.timeout(LIMIT_S):
            async with aclosing(hearing.transcriber.transcribe(caller(), format=format, language=None)) as made:
                assert (await anext(made)).text
            await hearing.at_most(maker.spares)
        assert text_of(await hear(hearing, maker, 1)) in hearing.texts


@pytest.mark.parametrize("maker", [maker for maker in TRANSCRIBERS if maker.tells_language], ids=str)
async def test_the_service_is_told_the_language(maker: TranscriberMaker, floor: Floor) -> None:
    """The session's if it has one, else the agent's."""
    async with maker.open(floor, language="fr") as hearing:
        await hear(hearing, maker)
        await hear(hearing, maker, language="de")
        assert [one.language for one in hearing.sent()] == ["fr", "de"]


@AT_STANDINS
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_a_fault_costs_one_utterance_and_is_told(
    maker: TranscriberMaker, floor: Floor, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    log_everything(caplog)
    async with maker.open(floor) as hearing:
        hearing.next_fault(fault)
        async with taken_note_of(is_patient=fault not in NEVER_ENDING) as endings:
            endings_text = text_of(await hear(hearing, maker))
            endings.append("whole" if endings_text == hearing.texts[0] else "empty")
            assert endings_text in ("", hearing.texts[0])
        assert endings == [maker.endings.get(fault, ENDINGS[fault])]
        was_sound = endings[0] in ("whole", "empty")  # then its connection waits beside the spare one
        await hearing.at_most(maker.spares * (2 if was_sound else 1))
        assert text_of(await hear(hearing, maker)) in hearing.texts
    keep_no_secret(caplog)


@AT_STANDINS
async def test_that_it_cannot_be_made_ready_is_no_error(maker: TranscriberMaker, floor: Floor) -> None:
    async with maker.open(floor) as hearing:
        assert isinstance(hearing.transcriber, Prepares)
        hearing.next_fault(Fault.REFUSE)
        await hearing.transcriber.prepare()
        async with taken_note_of() as endings:
            endings.append("whole" if text_of(await hear(hearing, maker)) else "empty")
        # Who keeps no spare connection had nothing that could be refused before.
        assert endings == ["whole" if maker.spares else "refused"]
        assert text_of(await hear(hearing, maker)) in hearing.texts
