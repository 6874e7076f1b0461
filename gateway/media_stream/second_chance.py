"""For a caller who may have spoken while there was no stream: nobody knows what was said, or whether it was."""

from __future__ import annotations

import asyncio

from pipeline.engine import Engine
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import DtmfEventReceived, SpeechStarted
from pipeline.opening import QUIET_LIMIT_S, SECOND_CHANCE_S, Act, Opening


async def second_chance(engine: Engine, opening: Opening) -> None:
    """A caller whose sentence was lost between two streams goes on with it, or is asked to say it again.

    So is one who says nothing after a break although it is their turn: they may have said it already, to a worker
    that was dead.
    """
    if not opening.words or opening.act not in (Act.LISTEN, Act.WAIT):
        return
    limit_s = SECOND_CHANCE_S if opening.act is Act.LISTEN else QUIET_LIMIT_S
    came = asyncio.Event()

    def heard(event: ServerEvent) -> None:
        if type(event) in (SpeechStarted, DtmfEventReceived):
            came.set()

    engine.watch(heard)
    try:
        async with asyncio.timeout(limit_s):
            await came.wait()
    except TimeoutError:
        if engine.is_running and engine.session.is_quiet:
            engine.take_up(Opening(Act.ANSWER, opening.words))
    finally:
        engine.unwatch(heard)
