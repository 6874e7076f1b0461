"""The worker of a session whose answers a cascade makes: speech to text, a language model, text to speech."""

from __future__ import annotations

import asyncio

from pipeline.audio.formats import AudioFormat
from pipeline.commands import Respond
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.responder import Cascade, Responder
from pipeline.transcriptions import Transcriptions
from pipeline.worker import Seat


class CascadeWorker:
    """See `Worker`, which this is one of."""

    def __init__(self, cascade: Cascade, seat: Seat) -> None:
        self._transcriptions = Transcriptions(cascade.transcriber, seat.report, seat.observe, seat.now)
        self._responder = Responder(
            cascade, seat.report, seat.room, seat.first_clause, now=seat.now, timed=seat.observe
        )

    async def run(self) -> None:
        """Its tasks are those of utterances and answers; nothing lives longer."""

    def begin(self, item_id: str, audio: bytes, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        self._transcriptions.begin(item_id, audio, config, tasks)

    def hear(self, audio: bytes) -> None:
        self._transcriptions.hear(audio)

    def end(self, item_id: str) -> None:
        self._transcriptions.end(item_id)

    def drop(self, item_id: str) -> None:
        self._transcriptions.drop(item_id)

    def leave(self) -> None:
        self._transcriptions.leave()

    async def respond(self, command: Respond, usual: AudioFormat) -> None:
        await self._responder.respond(command, usual)

    def see(self, event: ServerEvent) -> None:
        """Everything it needs to know comes in commands."""
