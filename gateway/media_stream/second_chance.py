"""For a caller who was speaking when a stream broke: nobody knows whether the sentence was over."""

from __future__ import annotations

import asyncio

from pipeline.engine import Engine
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import SpeechStarted
from pipeline.opening import SECOND_CHANCE_S, Act, Opening


async def second_chance(engine: Engine, opening: Opening) -> None:
    """A caller whose sentence was lost between two streams goes on with it, or is asked to say it again."""
    if opening.act is not Act.LISTEN:
        return
    spoke = asyncio.Event()

    def heard(event: ServerEvent) -> None:
        if type(event) is SpeechStarted:
            spoke.set()

    engine.watch(heard)
    try:
        async with asyncio.timeout(SECOND_CHANCE_S):
            await spoke.wait()
    except TimeoutError:
        if engine.is_running and engine.session.is_quiet:
            engine.take_up(Opening(Act.ANSWER, opening.words))
    finally:
        engine.unwatch(heard)
