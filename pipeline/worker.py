"""Who does a session's work: understands what the caller says, and makes the answers.

Two kinds stand behind this seam: a cascade of three providers, and a remote Realtime service that does all of it.
The session and the engine cannot tell them apart, but for `hears_sound`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pipeline.audio.formats import AudioFormat
from pipeline.commands import Anticipate, Respond
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import Item
from pipeline.observations import Observation
from pipeline.reports import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What a worker is given of the session it works for."""

    report: Callable[[Report], None]
    """Where it tells what it did."""
    observe: Callable[[Observation], None]
    room: Callable[[], Awaitable[None]]
    """Awaited before more sound is made than can be played soon."""
    first_clause: Callable[[], None]
    """Called when the first words of an answer are known."""
    now: Callable[[], float]
    """Seconds of a monotonic clock."""
    items: Callable[[], tuple[Item, ...]]
    """The conversation as it now stands; an interrupted answer holds only what was heard."""


class Worker(Protocol):
    """Of one session. `run` lives as long as the session; everything else is called while it does."""

    async def run(self) -> None:
        """Whatever lives as long as the session does, such as a connection; cancelled at its end. May return."""
        ...

    def begin(self, item_id: str, audio: bytes, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        """An utterance, of which `audio` is known already; what `hear` brings until its end belongs to it."""
        ...

    def hear(self, audio: bytes) -> None:
        """More of the caller's sound, in the session's input format. The hot path."""
        ...

    def end(self, item_id: str) -> None:
        """The utterance is complete; answered with `Transcribed` or `TranscriptionFailed`."""
        ...

    def drop(self, item_id: str) -> None:
        """The utterance is void."""
        ...

    def leave(self) -> None:
        """The session ends: nobody waits for any words any more."""
        ...

    async def respond(self, command: Respond, usual: AudioFormat) -> None:
        """Make the answer; every way it can end but cancellation ends in `Finished` or `Failed`.

        Its sound is in the format it asks for, or in the `usual` one.
        """
        ...

    def anticipate(self, command: Anticipate, usual: AudioFormat) -> None:
        """Begin this answer in secret, or leave it: `respond` may ask for it."""
        ...

    def abandon(self) -> None:
        """What was anticipated is not wanted."""
        ...

    def see(self, event: ServerEvent) -> None:
        """An event of the session, as it leaves."""
        ...


class Remote(Protocol):
    """A remote Realtime service: one for all sessions, a worker for each."""

    takes_images: bool
    hears_sound: bool
    """It hears the caller itself, and needs no words to answer."""

    def engage(self, seat: Seat) -> Worker:
        """A worker for a session that begins."""
        ...
