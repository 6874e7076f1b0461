"""What a worker and its supervisor say to each other: single bytes over a socket pair.

Its end is a message too: whoever sees it knows that the other process is gone, however it went.
"""

from __future__ import annotations

import asyncio
from enum import Enum

BEAT_EVERY_S = 0.1
"""Ten signs of life within the default limit, so that a late one or two mean nothing."""

LENGTH_BYTES = 4
PAGE_MAX_BYTES = 16 * 1024 * 1024
"""Of metrics. A worker's page has about 50 KiB; what claims to have more than this is no page."""

PAGE_LIMIT_S = 1.0
"""For a worker's page; one that is hung is left out of the answer."""


class Word(Enum):
    """From the worker, except the last two."""

    BEAT = b"."
    """The event loop runs."""
    READY = b"R"
    """Connections are accepted from now on."""
    LEAVING = b"L"
    """All is done; no beat will follow, only the end of the process."""
    PAGE = b"P"
    """The metrics, as a length of four bytes, the first the highest, and the text."""
    ASK_PAGE = b"?"
    """To the worker: send the page."""
    RETIRE = b"X"
    """To the worker: others take the new connections from now on. Finish what there is, and leave."""


async def read_word(reader: asyncio.StreamReader) -> tuple[Word, bytes] | None:
    """The next word and, with a page, its text; None when the other process is gone. Raises `ValueError`."""
    try:
        word = Word(await reader.readexactly(1))
        if word is not Word.PAGE:
            return word, b""
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if length > PAGE_MAX_BYTES:
            raise ValueError(f"a page of {length} bytes is longer than {PAGE_MAX_BYTES}")
        return word, await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def page_words(text: bytes) -> bytes:
    """A page as it is sent."""
    return Word.PAGE.value + len(text).to_bytes(LENGTH_BYTES, "big") + text
