"""The engine: runs one session on asyncio. Sound and reports in, events to the transport, commands carried out.

It owns the tasks of a session: one for the answer under way, one for each utterance being transcribed, one for
each function that runs. The session decides; the engine neither reorders nor invents. Sound takes no task and no
queue on its way in: `hear` runs from the transport's reader straight through the session.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import assert_never, cast

import msgspec

from pipeline import commands
from pipeline.audio.formats import AudioFormat
from pipeline.cascade_worker import CascadeWorker
from pipeline.commands import Command
from pipeline.events.error import ErrorEvent
from pipeline.events.event import ClientEvent, ServerEvent
from pipeline.events.input_audio import InputAudioBufferAppend
from pipeline.events.session import SessionUpdated
from pipeline.keypad import Hush, Keypad
from pipeline.manners import Manners
from pipeline.mcp_errands import McpErrands, McpTools
from pipeline.observations import Observation, ToolNoted
from pipeline.opening import NOTHING, Opening
from pipeline.phrasebook import Phrasebook
from pipeline.playout import in_order
from pipeline.prompts import told
from pipeline.reports import AudioMade, DigitPressed, Failed, Flushed, Played, Report, SpeechScored, TurnJudged
from pipeline.responder import Cascade
from pipeline.session import Output, Session
from pipeline.session_ear import SessionEar
from pipeline.tether import Tether, unheard
from pipeline.tool_errands import ToolErrands
from pipeline.toolbox import Toolbox
from pipeline.transport import NOBODY, Transport
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity
from pipeline.turn_watch import TurnWatch
from pipeline.worker import Remote, Seat, Worker

log = logging.getLogger(__name__)

MOST_BEHIND_MS = 160
"""Sound that may be heard before it was judged; more is held back, lest the beginning of an utterance is lost."""

PACED_MS = 40
"""Sound that comes faster than it was spoken is heard in pieces of this length."""

KEEP_UP_S = 2.0
"""A speech-activity thread that does not come round for so long is overloaded; sound then goes on unjudged."""


class Engine:
    """See the module's docstring. Made in the event loop, used from there only."""

    def __init__(
        self,
        session: Session,
        backend: Cascade | Remote,
        transport: Transport,
        *,
        activity: SpeechActivity,
        toolbox: Toolbox,
        observe: Callable[[Observation], None],
        now: Callable[[], float],
        end_of_turn: EndOfTurn | None = None,
        facts: Mapping[str, str] | None = None,
        mcp: McpTools | None = None,
        phrasebook: Phrasebook | None = None,
        hush: Hush = nullcontext,
    ) -> None:
        self._session = session
        self._transport = transport
        self._tether = Tether()
        report = self._tether.to(self.report, unheard)
        perform = self._tether.to(self._perform, unheard)
        self._observe = observe
        self._outputs: deque[Output] = deque()
        self._is_performing = False
        self._end_of_turn = end_of_turn
        self._ear = SessionEar(session, activity, report)
        self._turns = TurnWatch(session, observe, now)
        self._watchers: list[Callable[[ServerEvent], None]] = []
        self.serves_mcp = mcp is not None
        self._errands = McpErrands(mcp, report)
        self._manners = Manners(
            session,
            backend if isinstance(backend, Cascade) else None,
            phrasebook,
            perform=perform,
            observe=observe,
            now=now,
            chance=random.random,
        )
        play = self._tether.to(self._play, lambda sound: False)
        self._keypad = Keypad(facts or {}, session.config.output_format, play, partial(_note, observe), hush)
        self._tools = ToolErrands(toolbox, self._keypad, report, observe, now)
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._has_kept_up = asyncio.Event()
        self._end: asyncio.Future[commands.HangUp | None] = asyncio.get_running_loop().create_future()
        self._end.add_done_callback(lambda _: self._has_kept_up.set())
        seat = Seat(
            report=report,
            observe=self._tether.to(observe, unheard),
            room=self._tether.to(transport.room, NOBODY.room),
            first_clause=self._tether.to(partial(self._turns.lap, "llm"), unheard),
            now=now,
            items=self._tether.to(lambda: told(session.conversation.items), tuple),
        )
        self._worker: Worker = (
            CascadeWorker(backend, seat) if isinstance(backend, Cascade) else backend.engage(seat)
        )

    async def run(self, opening: Opening = NOTHING) -> commands.HangUp | None:
        """Live until `stop`, or until the session wants to hang up, which is then returned."""
        self._ear.open()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                working = self._tasks.create_task(self._worker.run())
                self._manners.begin(self._tasks)
                self._perform([*self._session.open(), *self._session.begin(opening)])
                hang_up = await self._end
                self._leave()
                working.cancel()
        finally:
            self._ear.close()
            self._let_go()
        return hang_up

    @property
    def session(self) -> Session:
        return self._session

    @property
    def is_running(self) -> bool:
        """Events and sound may be given to it."""
        return self._tasks is not None and not self._end.done()

    def stop(self, how: commands.HangUp | None = None) -> None:
        """The other end is gone; or somebody outside wants the call to end, and says how."""
        if not self._end.done():
            self._end.set_result(how)

    def take_up(self, opening: Opening) -> None:
        """Say or do this on our side, as if it began with it: somebody outside wants it, and it has its turn."""
        self._perform(self._session.begin(opening))

    def hear(self, audio: bytes) -> None:
        """The caller's sound, in the session's input format. The hot path."""
        self._ear.hear(audio)
        outputs = self._session.hear(audio)
        self._worker.hear(audio)
        if outputs:
            self._perform(outputs)

    def receive(self, event: ClientEvent) -> None:
        """An event of the peer. Sound by event is heard as sound is, unless it is refused."""
        if type(event) is InputAudioBufferAppend:
            outputs = self._session.receive(event)
            if not (outputs and type(outputs[0]) is ErrorEvent):
                self._ear.hear(event.audio)
                self._worker.hear(event.audio)
            self._perform(outputs)
            return
        self._perform(self._session.receive(event))

    @property
    def is_behind(self) -> bool:
        """More sound was heard than was judged: what comes now should wait, as `take_in` does."""
        return self._session.unjudged_ms > MOST_BEHIND_MS

    async def take_in(self, event: InputAudioBufferAppend) -> None:
        """Sound that comes faster than it was spoken: heard in pieces, as fast as turns can be found in it."""
        config = self._session.config
        if config.turn_detection is None:
            self.receive(event)
            return
        size = config.input_format.bytes_in(PACED_MS)
        keeps_up = True
        for at in range(0, len(event.audio), size):
            keeps_up = keeps_up and await self._keep_up()
            if not self.is_running:
                return
            self.receive(msgspec.structs.replace(event, audio=event.audio[at : at + size]))

    async def _keep_up(self) -> bool:
        """Wait until sound is judged; False if that takes too long."""
        try:
            async with asyncio.timeout(KEEP_UP_S):
                while self.is_behind and self.is_running:
                    self._has_kept_up.clear()
                    await self._has_kept_up.wait()
        except TimeoutError:
            log.warning("speech activity has not kept up for %g s", KEEP_UP_S)
            return False
        return True

    def watch(self, watcher: Callable[[ServerEvent], None]) -> None:
        """Tell somebody else, too, whatever the transport is told."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[ServerEvent], None]) -> None:
        if watcher in self._watchers:  # else all were let go
            self._watchers.remove(watcher)

    def report(self, report: Report) -> None:
        """What a worker did. Thirty times a second and call it is a score, of which nothing follows."""
        kind = type(report)
        if kind is DigitPressed:
            report = self._keypad.claimed(cast(DigitPressed, report))
        outputs = self._session.report(report)
        if outputs:
            self._perform(outputs)
        if kind is SpeechScored:
            self._has_kept_up.set()
            if self._manners.are_attentive:
                self._manners.hear(report)
            if not self._transport.plays:
                self._ear.hurry(is_heard=self._session.is_heard)
            return
        self._manners.hear(report)
        if kind is Played or kind is Flushed or kind is AudioMade:
            is_heard = self._session.is_heard
            self._ear.hurry(is_heard=is_heard)
            if not is_heard:
                self._manners.look()

    def _perform(self, outputs: list[Output]) -> None:
        """Carry out in order. A report made while doing so is heard at once, and its outputs wait their turn."""
        self._outputs.extend(outputs)
        if self._is_performing:
            return
        self._is_performing = True
        try:
            while self._outputs:
                output = self._outputs.popleft()
                if isinstance(output, Command):
                    self._carry_out(output)
                else:
                    self._transport.send(output)
                    for watcher in tuple(self._watchers):  # one may leave for what it is told
                        watcher(output)
                    self._worker.see(output)
                    self._keypad.see(output)
                    self._manners.see(output)
                    self._turns.see(output)
                    self._observe(output)
                    if type(output) is SessionUpdated:
                        self._ear.open()
        finally:
            self._is_performing = False
        if self.is_running:
            self._manners.look()

    def _play(self, sound: bytes) -> bool:
        outputs = self._session.play(sound)
        self._perform(outputs)
        return bool(outputs)

    def _carry_out(self, command: Command) -> None:
        assert self._tasks is not None, "commands come out of a running session only"
        match command:
            case commands.Transcribe(item_id=item_id, audio=audio):
                self._worker.begin(item_id, audio, self._session.config, self._tasks)
            case commands.EndTranscription(item_id=item_id):
                self._worker.end(item_id)
            case commands.DropTranscription(item_id=item_id):
                self._worker.drop(item_id)
            case commands.JudgeTurn():
                if self._end_of_turn is not None and self._end_of_turn.is_there:
                    self._tasks.create_task(self._judge_turn(command, self._end_of_turn))
            case commands.Anticipate():
                self._worker.anticipate(command, self._session.config.output_format)
            case commands.Abandon():
                self._worker.abandon()
            case commands.Respond(response_id=response_id):
                # The format as it is now: an update may come before the task has begun.
                answer = self._respond(command, self._session.config.output_format)
                task = self._answers[response_id] = self._tasks.create_task(answer)
                task.add_done_callback(lambda _: self._answers.pop(response_id, None))
            case commands.Cancel(response_id=response_id):
                if response_id in self._answers:
                    self._answers[response_id].cancel()
            case commands.Flush():
                self._turns.flushed()
                self._flush()
            case commands.CallTool():
                self._tasks.create_task(self._tools.run(command, partial(self._turns.lap, "tool")))
            case commands.ListTools() | commands.CallMcpTool():
                self._errands.begin(command, self._tasks)
            case commands.HangUp():
                if not self._end.done():
                    self._end.set_result(command)
            case _:
                assert_never(command)

    def _flush(self) -> None:
        waiting, self._outputs = self._outputs, deque()
        self.report(Flushed(self._transport.flush()))
        self._outputs = deque(in_order(waiting, self._outputs))

    async def _judge_turn(self, command: commands.JudgeTurn, model: EndOfTurn) -> None:
        try:
            probability = await model.judge(command.audio, self._session.config.input_format)
        except Exception:
            log.exception("the end of %s could not be judged by a fault of ours", command.item_id)
            return
        if probability is not None:
            self.report(TurnJudged(command.item_id, probability))

    async def _respond(self, command: commands.Respond, usual: AudioFormat) -> None:
        try:
            await self._worker.respond(command, usual)
        except asyncio.CancelledError as cancelled:
            cancelled.__traceback__ = None  # in it stand frames of task groups, which hold this very task
            raise
        except Exception:
            log.exception("response %s failed by a fault of ours", command.response_id)
            self.report(Failed(command.response_id, "internal_error", "internal error"))

    def _leave(self) -> None:
        """Stop all work but functions: what they have begun is done, and the conversation should know."""
        self._manners.leave()
        self._perform(self._session.close())
        self._errands.leave()
        self._worker.leave()

    def _let_go(self) -> None:
        """Of all who refer to it, so that it goes with the last of them and not with a search for circles."""
        self._tether.cut()
        self._transport = NOBODY
        self._watchers.clear()


def _note(observe: Callable[[Observation], None], event: str, fields: Mapping[str, str]) -> None:
    observe(ToolNoted(event, fields))
