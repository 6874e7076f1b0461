"""The real voice: sound, words and their times, pauses, giving up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.audio.formats import PCM_8K
from pipeline.provider import ProviderError, Speech
from pipeline.providers import espeak
from pipeline.providers.espeak import PCM_22K, PIECE_MS, SENTENCE_PAUSE_MS, EspeakVoice
from tests.pipeline.providers.streams import TIMEOUT_S, all_of, stream_of

pytestmark = pytest.mark.anyio

FRAME_MS = 5
PAUSE_MS = 40
"""No sound for this long inside a clause is a comma; the voice leaves 65 ms for one at 1.5 times its pace."""
SLACK_MS = 20
"""Of a word's time: 15 ms at most are measured, at a quarter of the pace."""


async def spoken(*clauses: str, voice: str | None = None, speed: float = 1.0) -> list[Speech]:
    return await all_of(EspeakVoice().speak(stream_of(clauses), format=PCM_22K, voice=voice, speed=speed))


def ms_of(pieces: list[Speech]) -> float:
    return PCM_22K.ms_in(sum(PCM_22K.samples_in(piece.audio) for piece in pieces))


def peak(sound: bytes) -> int:
    return int(np.abs(np.frombuffer(sound, "<i2").astype(int)).max())


async def test_a_clause_is_sound_in_short_pieces_and_the_first_says_what_it_is() -> None:
    pieces = await spoken("We are open from nine until five.")
    assert 1_500 < ms_of(pieces) < 4_000
    assert all(0 < len(piece.audio) <= PCM_22K.bytes_in(PIECE_MS) for piece in pieces)
    assert [piece.text for piece in pieces] == ["We are open from nine until five."] + [""] * (len(pieces) - 1)
    assert max(peak(piece.audio) for piece in pieces) > 10_000


async def test_it_begins_with_sound_and_not_with_silence() -> None:
    (first, *_) = await spoken("Hello there.")
    assert peak(first.audio[:2]) > 0
    assert peak(first.audio[: PCM_22K.bytes_in(20)]) > 100


async def test_every_word_has_its_time_in_order_whatever_it_is_made_of() -> None:
    text = "Order 4815 - of the café - costs 9:30 twice twice."
    pieces = await spoken(text)
    words = pieces[0].words
    assert [word.text for word in words] == text.split()
    times = [word.start_ms for word in words]
    assert times == sorted(times)
    assert times[0] < 100
    assert times[-1] < ms_of(pieces)
    # Words that are spoken one by one do not begin together.
    assert times[-1] > times[-2] > times[-3]


async def test_between_two_sentences_there_is_a_pause_but_none_after_the_last() -> None:
    alone = await spoken("One moment.")
    both = await spoken("One moment.", "One moment.")
    assert ms_of(both) - 2 * ms_of(alone) == pytest.approx(SENTENCE_PAUSE_MS, abs=1)
    silent = [piece for piece in both if peak(piece.audio) == 0]
    assert [piece.text for piece in silent] == [""]
    after_comma = await spoken("One moment,", "One moment.")
    assert ms_of(after_comma) < ms_of(both)


async def test_what_cannot_be_pronounced_is_left_out() -> None:
    assert await spoken("…", " ", "") == []


async def test_voices_differ() -> None:
    assert [p.audio for p in await spoken("Hello.")] != [p.audio for p in await spoken("Hello.", voice="de")]


SENTENCE = "We are open from nine until five, Monday to Friday, and we sell second-hand books."


@pytest.mark.parametrize("voice", ["en-us", "de"])
@pytest.mark.parametrize("speed", [0.25, 0.4, 0.5, 0.75, 1.5])
async def test_at_half_the_speed_it_speaks_about_twice_as_long(speed: float, voice: str) -> None:
    own_pace = await spoken(SENTENCE, voice=voice)
    assert ms_of(await spoken(SENTENCE, voice=voice, speed=speed)) == pytest.approx(
        ms_of(own_pace) / speed, rel=0.1
    )


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.0, 1.5])
async def test_words_have_the_times_at_which_they_are_heard_at_any_speed(speed: float) -> None:
    pieces = await spoken("Nine, nine, nine.", speed=speed)
    sound = np.abs(np.frombuffer(b"".join(piece.audio for piece in pieces), "<i2").astype(int))
    frame = PCM_22K.samples_in(bytes(PCM_22K.bytes_in(FRAME_MS)))
    loud = [at * FRAME_MS for at in range(len(sound) // frame) if sound[at * frame :][:frame].max() > 1_000]
    heard = [loud[0], *(later for before, later in pairwise(loud) if later - before > PAUSE_MS)]
    assert [word.start_ms for word in pieces[0].words] == pytest.approx(heard, abs=SLACK_MS)


async def test_the_pause_between_two_sentences_grows_with_them() -> None:
    alone = await spoken("One moment.", speed=0.5)
    both = await spoken("One moment.", "One moment.", speed=0.5)
    assert ms_of(both) - 2 * ms_of(alone) == pytest.approx(2 * SENTENCE_PAUSE_MS, abs=1)


async def test_a_slow_caller_leaves_the_next_one_his_own_pace() -> None:
    before = await spoken("One moment.")
    slow, after = await asyncio.gather(spoken("One moment.", speed=0.25), spoken("One moment."))
    assert ms_of(after) == pytest.approx(ms_of(before), abs=5)
    assert ms_of(slow) > 3 * ms_of(after)


async def test_what_cannot_be_pronounced_is_left_out_at_any_speed() -> None:
    assert await spoken("…", " ", "", speed=0.25) == []


async def test_a_build_that_cannot_speak_so_slowly_says_how_slowly_it_can() -> None:
    sound = espeak._Spoken(b"\x00\x01", ())
    with pytest.raises(ProviderError, match="choose a speed of 0.46 or more") as failure:
        espeak._slowed(SimpleNamespace(), sound, 0.5)
    assert not failure.value.retryable


async def test_an_unknown_voice_is_refused_for_good_and_the_next_clause_is_spoken() -> None:
    with pytest.raises(ProviderError, match="has no voice 'nobody'") as failure:
        await spoken("Hello.", voice="nobody")
    assert not failure.value.retryable
    assert await spoken("Hello.")


async def test_another_format_is_refused() -> None:
    with pytest.raises(ProviderError, match="speaks"):
        await all_of(EspeakVoice().speak(stream_of(["Hello."]), format=PCM_8K, voice=None))


async def test_two_callers_at_once_are_each_spoken_to_in_full() -> None:
    expected = [await spoken("First caller."), await spoken("The other one, a little longer.")]
    both = await asyncio.gather(spoken("First caller."), spoken("The other one, a little longer."))
    # A faint sound at the start (12 ms of "th") may fall to either side of the silence that is cut off.
    assert [ms_of(pieces) for pieces in both] == pytest.approx([ms_of(p) for p in expected], abs=20)


async def test_a_clause_given_up_stops_the_library_and_leaves_it_usable() -> None:
    given_up = False

    def is_given_up() -> bool:
        nonlocal given_up
        was, given_up = given_up, True
        return was

    loop = asyncio.get_running_loop()
    whole = await loop.run_in_executor(espeak._thread, espeak._speak, "word " * 50, "en-us", 1.0, lambda: False)
    cut = await loop.run_in_executor(espeak._thread, espeak._speak, "word " * 50, "en-us", 1.0, is_given_up)
    assert len(cut.audio) < len(whole.audio) / 10
    assert await spoken("Hello.")


async def test_a_library_that_fails_is_an_error_of_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(
        espeak_SetVoiceByName=lambda _: 0,
        espeak_SetSynthCallback=lambda _: None,
        espeak_SetParameter=lambda *_: 0,
        espeak_Synth=lambda *_: -1,
        espeak_Initialize=lambda *_: -1,
    )
    with monkeypatch.context() as patched:
        patched.setattr(espeak, "_library", lambda: library)
        with pytest.raises(ProviderError, match="could not speak a text of 6 characters") as failure:
            await spoken("Hello.")
        assert failure.value.retryable
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    with pytest.raises(ProviderError, match="did not start"):
        espeak._library.__wrapped__()


async def test_a_cancelled_caller_does_not_wait_for_the_rest() -> None:
    asked = asyncio.Event()

    async def clauses() -> AsyncIterator[str]:
        yield "Hello."
        asked.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(all_of(EspeakVoice().speak(clauses(), format=PCM_22K, voice=None)))
    async with asyncio.timeout(TIMEOUT_S):
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
