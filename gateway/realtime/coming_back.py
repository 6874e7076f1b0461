"""Coming back: a client that names its old session (`?session_id=`) goes on with that conversation.

Often it comes before we have noticed that it was gone: then the session it names still runs, and is ended first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.credentials.credential import Credential
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from pipeline.kept_conversation import KeptConversation

LEAVE_LIMIT_S: Final = 3.0
"""For a session that still runs to end, and to be kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of a session, and of which."""

    session_id: str
    conversation: KeptConversation


@asynccontextmanager
async def taken_back(
    studio: Studio, session_id: str | None, credential: Credential
) -> AsyncGenerator[Kept | None, None]:
    """What was kept of this session; None if none was named. Given back if what is done with it fails.

    Raises `Refusal` (404) for a session that is not there, or was another key's.
    """
    if session_id is None:
        yield None
        return
    live = studio.directory.own(session_id, credential)
    if live is not None and live.finish is not None:
        live.finish(SessionEnd.CONNECTION_LOST)
        try:
            async with asyncio.timeout(LEAVE_LIMIT_S):
                await live.freed.wait()  # its seat may be the only one
        except TimeoutError:
            pass  # then nothing is kept of it yet, and it is said so
    kept = Kept(session_id, await studio.kept.take(session_id, credential.owner, studio.unix_now()))
    try:
        yield kept
    except BaseException:
        await asyncio.shield(give_back(studio, credential, kept))
        raise


async def give_back(studio: Studio, credential: Credential, kept: Kept) -> None:
    """It was not gone on with: it stays what it was."""
    await studio.kept.keep(kept.session_id, credential.owner, kept.conversation, studio.unix_now())
