"""The transport of a session that is over."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.events.response import OutputAudioDelta
from pipeline.transport import NOBODY

pytestmark = pytest.mark.anyio


async def test_nobody_takes_everything_at_once_and_has_played_nothing() -> None:
    sound = OutputAudioDelta(
        event_id="event_1", response_id="resp_1", item_id="item_1", output_index=0, content_index=0, delta=b"\x7f"
    )
    NOBODY.send(sound)
    async with asyncio.timeout(1):
        await NOBODY.room()
    assert (NOBODY.plays, NOBODY.flush()) == (False, 0)
