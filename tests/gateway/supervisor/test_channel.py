from __future__ import annotations

import asyncio

import pytest

from gateway.supervisor.channel import PAGE_MAX_BYTES, Word, page_words, read_word

pytestmark = pytest.mark.anyio


def heard(sent: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(sent)
    reader.feed_eof()
    return reader


async def test_words_come_one_by_one_a_page_with_its_text_and_the_end_is_none() -> None:
    reader = heard(Word.READY.value + page_words(b"up 1\n") + Word.BEAT.value)
    words = [await read_word(reader) for _ in range(4)]
    assert words == [(Word.READY, b""), (Word.PAGE, b"up 1\n"), (Word.BEAT, b""), None]


async def test_a_page_that_is_cut_off_is_the_end() -> None:
    assert await read_word(heard(page_words(b"up 1\n")[:-1])) is None


@pytest.mark.parametrize("sent", [b"z", Word.PAGE.value + (PAGE_MAX_BYTES + 1).to_bytes(4, "big")])
async def test_what_is_no_word_and_no_page_is_an_error(sent: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a valid Word|longer than"):
        await read_word(heard(sent))
