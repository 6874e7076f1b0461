"""The worker of a session whose answers a remote Realtime service makes.

The session here keeps its authority: when a turn ends, what was heard, what is truncated, which functions run. The
remote hears the caller, thinks and speaks; its own turn detection is off. See `Worker`, which this is one of.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pipeline.audio.apology import apology
from pipeline.audio.formats import AudioFormat
from pipeline.commands import Anticipate, Respond
from pipeline.costs import Used
from pipeline.events.config import SessionConfig
from pipeline.events.event import ServerEvent
from pipeline.events.items import FunctionCall, FunctionCallOutput
from pipeline.events.session import SessionCreated, SessionUpdated
from pipeline.observations import TurnUsed
from pipeline.prices import Prices
from pipeline.provider import ProviderError
from pipeline.reports import AudioMade, Failed, Finished, TextMade
from pipeline.timing import Timing
from pipeline.upstream import requests
from pipeline.upstream.answer import Answer
from pipeline.upstream.connection import CONNECT_LIMIT_S
from pipeline.upstream.far_session import FarSession
from pipeline.upstream.hearing import Hearing
from pipeline.upstream.life import Life
from pipeline.upstream.shape import Upstream
from pipeline.upstream.telling import Stalled, Telling
from pipeline.upstream.wire import Usage
from pipeline.worker import Seat

ATTEMPTS: Final = 2
"""At one answer. A third would come too late for anybody who waits on the line."""


@dataclass(slots=True)
class _Bill:
    """Of one answer, asked for once."""

    used: tuple[Used, ...] = ()


class RemoteWorker:
    """`open` makes a far session with this configuration, ready, its `run` a task of the group."""

    def __init__(
        self,
        upstream: Upstream,
        seat: Seat,
        open: Callable[[SessionConfig, asyncio.TaskGroup], Awaitable[FarSession]],
        prices: Prices | None = None,
    ) -> None:
        self._upstream = upstream
        self._seat = seat
        self._prices = prices or Prices()
        self._config = SessionConfig()
        self._hearing = Hearing(seat.report)
        self._far: FarSession | None = None
        self._life = Life(lambda tasks: open(self._config, tasks), self._take_over, self._is_quiet)

    async def run(self) -> None:
        await self._life.run()

    def begin(self, item_id: str, audio: bytes, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        far = self._far
        if far is not None and (request := far.mirror.bring(item_id, audio)) is not None:
            far.send(request)
            self._hearing.expect(item_id, request["item"]["id"])
        else:
            self._hearing.begin(item_id, audio, config.input_format)

    def hear(self, audio: bytes) -> None:
        self._hearing.hear(audio)

    def end(self, item_id: str) -> None:
        self._hearing.end(item_id)

    def drop(self, item_id: str) -> None:
        self._hearing.drop(item_id)

    def leave(self) -> None:
        self._hearing.leave()

    def anticipate(self, command: Anticipate, usual: AudioFormat) -> None:
        """Left: what a remote service has begun can be heard."""

    def abandon(self) -> None:
        """Nothing was anticipated."""

    def see(self, event: ServerEvent) -> None:
        """What the remote must know of it is sent at once, so it stands before whatever is asked next."""
        if isinstance(event, SessionCreated | SessionUpdated):
            self._config = event.session
            if self._far is not None:
                self._far.configure(event.session)
        elif self._far is not None:
            self._far.see(event, self._seat.items)

    async def respond(self, command: Respond, usual: AudioFormat) -> None:
        format = command.format or usual
        if command.is_recorded:
            self._play_recording(command, format)
            self._seat.report(Finished(command.response_id))
            return
        try:
            finished = await self._make(command, format)
        except ProviderError as error:
            # Whoever could not answer is not asked to apologise either: the recording is sure.
            self._seat.report(Failed(command.response_id, "model_failed", str(error), is_voiceless=True))
        else:
            self._seat.report(finished)

    def _play_recording(self, command: Respond, format: AudioFormat) -> None:
        text = command.script or ""
        self._seat.report(TextMade(command.response_id, text))
        self._seat.report(AudioMade(command.response_id, apology(format), text))

    async def _make(self, command: Respond, format: AudioFormat) -> Finished:
        """The answer; asked for again, on another connection if this one is gone, as long as nothing was heard."""
        attempt = 0
        while True:
            attempt += 1
            far = await self._life.ready(CONNECT_LIMIT_S)
            answer = Answer(command.response_id, requests.far(format), is_aside=command.is_out_of_band)
            try:
                return await self._ask(far, answer, command, format)
            except ProviderError as error:
                if isinstance(error, Stalled):
                    far.give_up(str(error))
                    await far.lost.wait()
                if attempt == ATTEMPTS or answer.is_told or not error.retryable:
                    raise

    async def _ask(self, far: FarSession, answer: Answer, command: Respond, format: AudioFormat) -> Finished:
        seat = self._seat
        telling = Telling(
            answer,
            command,
            format,
            label=self._upstream.label,
            report=seat.report,
            room=seat.room,
            first_clause=seat.first_clause,
            asking=far.mirror.asking,
        )
        input = None if command.input is None else far.mirror.references(command.input)
        if not command.is_out_of_band:
            far.sync(seat.items())
        timing = Timing(self._upstream.label, "realtime", seat.now, seat.observe)
        bill = _Bill()
        answer.settled = lambda usage: self._settle(answer, timing, bill, usage)
        far.ask(answer, requests.ask(command, self._config, self._upstream, input, format))
        try:
            finished = await telling.run(timing)
        except ProviderError as error:
            if isinstance(error, Stalled):
                timing.stalled()
            else:
                timing.failed(error)
            if not bill.used:  # it was made, at least in part, and nobody will say what it took
                self._settle(answer, timing, bill, Usage())
            raise
        finally:
            far.cancel(answer)
        timing.done()
        return dataclasses.replace(finished, used=bill.used)

    def _settle(self, answer: Answer, timing: Timing, bill: _Bill, usage: Usage) -> None:
        """The answer has taken so much."""
        first_s = timing.first_s
        used = Used(
            provider=self._upstream.label,
            kind="realtime",
            requests=1,
            answered=int(first_s is not None),
            first_s=first_s or 0.0,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            input_audio_tokens=usage.input_audio_tokens,
            cached_audio_tokens=usage.cached_audio_tokens,
            output_audio_tokens=usage.output_audio_tokens,
            audio_s=answer.sound_s,
        )
        bill.used = (self._prices.priced(used),)
        self._seat.observe(TurnUsed(answer.id, bill.used))

    def _take_over(self, far: FarSession) -> None:
        """From now on this one hears and answers; it is told everything that was said so far."""
        self._far = far
        self._hearing.follow(far)
        if far.config != self._config:  # it has changed while this one was being opened
            far.configure(self._config)
        far.sync(self._seat.items())
        self._hearing.retell()

    def _is_quiet(self, is_late: bool) -> bool:
        """Nothing is going on that a change of sessions could disturb; late, no answer is."""
        if self._far is None or not self._far.is_idle:
            return self._far is None
        if is_late:
            return True
        return self._hearing.is_settled and not self._awaits_output()

    def _awaits_output(self) -> bool:
        """A function runs, here or at the peer: its result is owed to the model that asked for it."""
        items = self._seat.items()
        called = {item.call_id for item in items if isinstance(item, FunctionCall)}
        returned = {item.call_id for item in items if isinstance(item, FunctionCallOutput)}
        return bool(called - returned)
