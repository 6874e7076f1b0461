"""The worker of a session whose answers a cascade makes: speech to text, a language model, text to speech."""

from __future__ import annotations

import asyncio
import dataclasses

from pipeline.anticipation import Anticipation, Stage
from pipeline.audio.formats import AudioFormat
from pipeline.commands import Anticipate, Respond
from pipeline.costs import Tally, Used
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.observations import Anticipated, TurnUsed
from pipeline.prices import Prices
from pipeline.reports import Finished, Report
from pipeline.responder import Cascade, Responder
from pipeline.transcriptions import Transcriptions
from pipeline.worker import Seat


class CascadeWorker:
    """See `Worker`, which this is one of."""

    def __init__(self, cascade: Cascade, seat: Seat) -> None:
        self._cascade = cascade
        self._seat = seat
        self._means = cascade.means(seat.now, seat.observe)
        self._account = account = _Account(seat, cascade.prices)
        hearing = dataclasses.replace(self._means, used=account.heard)
        self._transcriptions = Transcriptions(cascade.transcribers, seat.report, hearing)
        self._stage = Stage(account.report, seat.room, seat.first_clause, account.used)
        self._responder = self._responder_on(self._stage)
        self._tasks: asyncio.TaskGroup | None = None
        self._anticipation: Anticipation | None = None

    async def run(self) -> None:
        """Where answers live that nobody has asked for yet."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await asyncio.get_running_loop().create_future()  # until it is cancelled
        except asyncio.CancelledError as cancelled:
            cancelled.__traceback__ = None  # in it stands a frame of the group, which holds this very task
            raise
        finally:
            self._tasks = None

    def begin(self, item_id: str, audio: bytes, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        self._transcriptions.begin(item_id, audio, config, tasks)

    def hear(self, audio: bytes) -> None:
        self._transcriptions.hear(audio)

    def end(self, item_id: str) -> None:
        self._transcriptions.end(item_id)

    def drop(self, item_id: str) -> None:
        self._transcriptions.drop(item_id)

    def leave(self) -> None:
        self._account.leave()
        self.abandon()
        self._transcriptions.leave()
        self._account.used("", ())

    def anticipate(self, command: Anticipate, usual: AudioFormat) -> None:
        self.abandon()
        if self._tasks is not None:
            format = command.respond.format or usual
            self._anticipation = Anticipation(
                command, format, self._answer, self._stage, self._seat.now, self._tasks
            )

    def abandon(self) -> None:
        anticipation, self._anticipation = self._anticipation, None
        if anticipation is not None:
            anticipation.abandon()
            self._seat.observe(Anticipated(0.0, anticipation.words))

    async def respond(self, command: Respond, usual: AudioFormat) -> None:
        anticipation = self._anticipation
        if command.is_out_of_band:  # it answers no turn, so what was guessed of the caller's stands
            await self._answer(command, usual, self._stage)
            return
        if anticipation is None or not anticipation.suits(command, usual):
            self.abandon()
            await self._answer(command, usual, self._stage)
            return
        self._anticipation = None
        self._seat.observe(Anticipated(anticipation.head_start_s, 0))
        await anticipation.become(command.response_id)

    async def _answer(self, command: Respond, usual: AudioFormat, stage: Stage) -> None:
        responder = self._responder if stage is self._stage else self._responder_on(stage)
        await responder.respond(command, usual)

    def _responder_on(self, stage: Stage) -> Responder:
        return Responder(
            self._cascade, stage.report, stage.room, stage.first_clause, means=self._means, used=stage.used
        )

    def see(self, event: ServerEvent) -> None:
        """Everything it needs to know comes in commands."""


class _Account:
    """What was used for a session, told with its answers. Legs hold this, and not the worker that holds them."""

    def __init__(self, seat: Seat, prices: Prices) -> None:
        self._seat = seat
        self._prices = prices
        self._untold = Tally()
        """Used for answers to come."""
        self._has_left = False

    def report(self, report: Report) -> None:
        if isinstance(report, Finished):
            report = dataclasses.replace(report, used=self._told(report.response_id, report.used))
        self._seat.report(report)

    def heard(self, used: Used) -> None:
        self.used("", (self._prices.priced(used),))

    def used(self, response_id: str, used: tuple[Used, ...]) -> None:
        """What no answer came of goes to the account of the next one; at the end there is none."""
        if response_id or self._has_left:
            self._told(response_id, used)
        else:
            self._untold.add(*used)

    def leave(self) -> None:
        """No answer will come."""
        self._has_left = True

    def _told(self, response_id: str, used: tuple[Used, ...]) -> tuple[Used, ...]:
        """All that this answer took, which watchers are told now."""
        self._untold.add(*used)
        if whole := self._untold.take():
            self._seat.observe(TurnUsed(response_id, whole))
        return whole
