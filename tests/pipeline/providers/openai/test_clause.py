from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.formats import PCM_24K
from pipeline.providers.openai.clause import PIECES_AHEAD, Clause, NotSpeech
from simulator.standins.tone import hum
from tests.virtual_time import VIRTUAL_TIME, VirtualTime

pytestmark = pytest.mark.anyio

SOUND = hum(1, 24_000)


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


async def coming(*pieces: bytes | Exception) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def heard(*pieces: bytes | Exception, text: str = "hello", speed: float = 1.0) -> list[bytes]:
    clause = Clause(text, PCM_24K, speed)
    clause.make(coming(*pieces))
    async with aclosing(clause.sounds()) as sounds:
        return [sound async for sound in sounds]


@given(st.lists(st.integers(0, len(SOUND)), max_size=8))
def test_sound_may_be_cut_in_mid_sample(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(SOUND)]
    pieces = [SOUND[start:end] for start, end in zip(places, places[1:], strict=False)]
    sounds = asyncio.run(heard(*pieces))
    assert b"".join(sounds) == SOUND
    assert all(sound and len(sound) % 2 == 0 for sound in sounds)


async def test_half_a_sample_at_the_end_is_left_out() -> None:
    assert b"".join(await heard(SOUND + b"\x01")) == SOUND


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((), "no sound"),
        ((b"", b""), "no sound"),
        ((b"\x01\x02",), "only 2 bytes"),
        ((b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00",), "sent a file"),
        ((b"ID", b"3\x04" + bytes(40)), "sent a file"),
        ((b'{"error": {"message"',), "sent a text"),
        ((b"<html>\r\n<body>bad gateway",), "sent a text"),
    ],
)
async def test_what_is_no_speech_is_refused(pieces: tuple[bytes, ...], said: str) -> None:
    with pytest.raises(NotSpeech, match=said):
        await heard(*pieces)


async def test_sound_that_happens_to_begin_like_a_text_is_sound() -> None:
    assert b"".join(await heard(b"{" + SOUND[1:])) == b"{" + SOUND[1:]


async def test_sound_far_longer_than_its_words_is_refused() -> None:
    second = bytes(48_000)
    assert len(await heard(*[second] * 6)) == 6
    with pytest.raises(NotSpeech, match="far more sound"):
        await heard(*[second] * 7)
    assert len(await heard(*[second] * 13, speed=0.5)) == 13


async def test_a_clause_has_begun_with_its_first_sound_or_when_there_will_be_none() -> None:
    release = asyncio.Event()

    async def one_by_one() -> AsyncGenerator[bytes, None]:
        await release.wait()
        yield SOUND
        await asyncio.Event().wait()

    clause, void = Clause("hello", PCM_24K, 1.0), Clause("hello", PCM_24K, 1.0)
    making = clause.make(one_by_one())
    await asyncio.wait([void.make(coming(OSError("cut")))])
    assert (clause.begun.is_set(), void.begun.is_set()) == (False, True)
    release.set()
    await clause.begun.wait()
    assert not making.done()
    making.cancel()
    await asyncio.wait([making])
    with pytest.raises(OSError, match="cut"):
        async for _ in void.sounds():
            pytest.fail("heard nothing as something")


async def test_what_went_wrong_comes_before_what_was_made() -> None:
    clause = Clause("hello", PCM_24K, 1.0)
    making = clause.make(coming(SOUND, SOUND, OSError("cut")))
    await asyncio.wait([making])
    with pytest.raises(OSError, match="cut"):
        async for _ in clause.sounds():
            pytest.fail("heard what is not worth hearing")


async def test_a_service_is_read_no_further_than_somebody_listens() -> None:
    taken = 0
    is_closed = False

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal taken, is_closed
        try:
            while True:
                taken += 1
                yield bytes(48)
        finally:
            is_closed = True

    clause = Clause("hello", PCM_24K, 1.0)
    making = clause.make(endless())
    await asyncio.sleep(60)  # of the loop's own time: as far as it gets by itself
    assert taken == PIECES_AHEAD + 1
    making.cancel()
    await asyncio.wait([making])
    assert making.cancelled()
    assert is_closed
