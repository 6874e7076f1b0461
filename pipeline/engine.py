"""The engine: runs one session on asyncio. Sound and reports in, events to the transport, commands carried out.

It owns the tasks of a session: one for the answer under way, one for each utterance being transcribed, one for
each function that runs. The session decides; the engine neither reorders nor invents. Sound takes no task and no
queue on its way in: `hear` runs from the transport's reader straight through the session.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import assert_never

from pipeline import commands
from pipeline.audio.transcode import Transcoder
from pipeline.commands import Command
from pipeline.events import response as resp
from pipeline.events.conversation import ConversationItemTruncated, TranscriptionCompleted
from pipeline.events.event import ClientEvent, ServerEvent
from pipeline.events.input_audio import DtmfEventReceived, SpeechStarted, SpeechStopped
from pipeline.events.items import Message
from pipeline.observations import CutShort, Interrupted, Observation, ToolTimed, TurnTimed
from pipeline.provider import ProviderError
from pipeline.reports import (
    AudioMade,
    Failed,
    Flushed,
    Played,
    Report,
    ToolReturned,
    Transcribed,
    TranscriptionFailed,
)
from pipeline.responder import Cascade, Responder
from pipeline.session import Output, Session
from pipeline.stopwatch import Stopwatch
from pipeline.timing import Timing
from pipeline.toolbox import Toolbox
from pipeline.transport import Transport
from pipeline.turn.speech_activity import Ear, SpeechActivity

log = logging.getLogger(__name__)

TRANSCRIPT_STALL_S = 4.0
"""From the end of an utterance to its words. Streaming services are done in 0.3 to 2 s (their published p99), the
built-in decoder in 2.3 s where it has to look twice."""

PIECE_MS = 100
"""Sound goes to the transcriber in pieces of this length: five frames at the price of one. Its end goes at once."""

UTTERANCE_BACKLOG = 300
"""Pieces of sound (30 s) a transcriber may be behind; then the utterance is cut short rather than grow."""


class _Utterance:
    """Sound on its way to the transcriber."""

    def __init__(self, item_id: str, audio: bytes, piece_bytes: int) -> None:
        self.item_id = item_id
        self.deadline: asyncio.Timeout | None = None
        self.timing: Timing | None = None
        self.is_open = True
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(UTTERANCE_BACKLOG + 2)
        self._pieces.put_nowait(audio)
        self._gathered = bytearray()
        self._piece_bytes = piece_bytes

    def hear(self, audio: bytes) -> None:
        """More of it. When the transcriber is too far behind, the utterance ends here and is cut short."""
        if not self.is_open:
            return
        self._gathered += audio
        if len(self._gathered) < self._piece_bytes:
            return
        if self._pieces.qsize() >= UTTERANCE_BACKLOG:
            self.end()
        else:
            self._pieces.put_nowait(bytes(self._gathered))
            self._gathered.clear()

    def end(self) -> None:
        if self.is_open:
            self.is_open = False
            if self._gathered:
                self._pieces.put_nowait(bytes(self._gathered))
            self._pieces.put_nowait(None)

    async def sound(self, transcoder: Transcoder) -> AsyncGenerator[bytes, None]:
        while (audio := await self._pieces.get()) is not None:
            yield transcoder.push(audio)
        if tail := transcoder.flush():
            yield tail


class Engine:
    """See the module's docstring. Made in the event loop, used from there only."""

    def __init__(
        self,
        session: Session,
        cascade: Cascade,
        transport: Transport,
        *,
        activity: SpeechActivity,
        toolbox: Toolbox,
        observe: Callable[[Observation], None],
        now: Callable[[], float],
    ) -> None:
        self._session = session
        self._cascade = cascade
        self._transport = transport
        self._activity = activity
        self._toolbox = toolbox
        self._observe = observe
        self._now = now
        self._outputs: deque[Output] = deque()
        self._is_performing = False
        self._ear: Ear | None = None
        self._utterance: _Utterance | None = None
        self._transcriptions: dict[str, tuple[_Utterance, asyncio.Task[None]]] = {}
        self._answer: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._end: asyncio.Future[commands.HangUp | None] = asyncio.get_running_loop().create_future()
        self._turn: tuple[SpeechStopped, float, Stopwatch] | None = None
        self._has_flushed = False
        self._responder = Responder(
            cascade,
            session.config.output_format,
            self.report,
            transport.room,
            self._first_clause,
            now=now,
            timed=observe,
        )

    async def run(self, greeting: str = "") -> commands.HangUp | None:
        """Live until `stop`, or until the session wants to hang up, which is then returned."""
        self._ear = self._activity.open(self._session.config.input_format, self.report)
        self._ear.is_urgent = False
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._perform(self._session.open())
                if greeting:
                    self._perform(self._session.say(greeting))
                hang_up = await self._end
                self._leave()
        finally:
            self._ear.close()
        return hang_up

    def stop(self) -> None:
        """The other end is gone."""
        if not self._end.done():
            self._end.set_result(None)

    def hear(self, audio: bytes) -> None:
        """The caller's sound, in the session's input format. The hot path."""
        if self._ear is not None:
            self._ear.hear(audio)
        outputs = self._session.hear(audio)
        if self._utterance is not None:
            self._utterance.hear(audio)
        if outputs:
            self._perform(outputs)

    def receive(self, event: ClientEvent) -> None:
        """An event of the peer."""
        self._perform(self._session.receive(event))

    def report(self, report: Report) -> None:
        """What a worker did."""
        outputs = self._session.report(report)
        if outputs:
            self._perform(outputs)
        kind = type(report)
        if kind is Played or kind is Flushed or kind is AudioMade:
            self._set_urgency()

    def _set_urgency(self) -> None:
        """While the agent is heard, every moment that speech goes unnoticed it talks over the caller."""
        if self._ear is not None:
            self._ear.is_urgent = not self._transport.plays or not self._session.ledger.is_drained

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
                    self._watch(output)
                    self._observe(output)
        finally:
            self._is_performing = False

    def _carry_out(self, command: Command) -> None:
        assert self._tasks is not None, "commands come out of a running session only"
        match command:
            case commands.Transcribe(item_id=item_id, audio=audio):
                utterance = _Utterance(item_id, audio, self._session.config.input_format.bytes_in(PIECE_MS))
                self._utterance = utterance
                task = self._tasks.create_task(self._transcribe(utterance))
                self._transcriptions[item_id] = (utterance, task)
            case commands.EndTranscription(item_id=item_id):
                self._end_utterance(item_id)
            case commands.DropTranscription(item_id=item_id):
                self._end_utterance(item_id)
                if item_id in self._transcriptions:
                    self._transcriptions.pop(item_id)[1].cancel()
            case commands.Respond():
                self._answer = self._tasks.create_task(self._respond(command))
            case commands.Cancel():
                if self._answer is not None:
                    self._answer.cancel()
            case commands.Flush():
                self._has_flushed = True
                self.report(Flushed(self._transport.flush()))
            case commands.CallTool():
                self._tasks.create_task(self._call_tool(command))
            case commands.HangUp():
                if not self._end.done():
                    self._end.set_result(command)
            case _:
                assert_never(command)

    def _end_utterance(self, item_id: str) -> None:
        if self._utterance is not None and self._utterance.item_id == item_id:
            self._utterance = None
        if item_id in self._transcriptions:
            utterance = self._transcriptions[item_id][0]
            utterance.end()
            if utterance.timing is not None:
                utterance.timing.asked()
            if utterance.deadline is not None:
                utterance.deadline.reschedule(asyncio.get_running_loop().time() + TRANSCRIPT_STALL_S)

    async def _transcribe(self, utterance: _Utterance) -> None:
        transcriber, config = self._cascade.transcriber, self._session.config
        source = config.input_format
        target = source if source in transcriber.formats else transcriber.formats[0]
        sound = utterance.sound(Transcoder(source, target))
        item_id = utterance.item_id
        utterance.timing = Timing(transcriber.name, "stt", self._now, self._observe)
        try:
            with utterance.timing:
                async with asyncio.timeout(None) as utterance.deadline:
                    if not utterance.is_open:
                        utterance.deadline.reschedule(asyncio.get_running_loop().time() + TRANSCRIPT_STALL_S)
                    transcripts = transcriber.transcribe(sound, format=target, language=config.language)
                    is_final = False
                    async with aclosing(transcripts):
                        async for transcript in transcripts:
                            is_final = transcript.is_final
                            self.report(Transcribed(item_id, transcript.text, is_final))
                    if not is_final:
                        raise ProviderError(transcriber.name, "ended without a final transcript", retryable=True)
        except TimeoutError:
            message = f"{transcriber.name}: no words {TRANSCRIPT_STALL_S:g} seconds after the caller stopped"
            self.report(TranscriptionFailed(item_id, message))
        except ProviderError as error:
            self.report(TranscriptionFailed(item_id, str(error)))
        except Exception:
            log.exception("transcription of %s failed by a fault of ours", item_id)
            self.report(TranscriptionFailed(item_id, "internal error"))
        finally:
            self._transcriptions.pop(item_id, None)

    async def _respond(self, command: commands.Respond) -> None:
        try:
            await self._responder.respond(command)
        except Exception:
            log.exception("response %s failed by a fault of ours", command.response_id)
            self.report(Failed(command.response_id, "internal_error", "internal error"))

    async def _call_tool(self, command: commands.CallTool) -> None:
        began = self._now()
        result = await self._toolbox.call(command.name, command.arguments)
        self._observe(ToolTimed(command.name, command.arguments, result.output, self._now() - began))
        if self._turn is not None:
            self._turn[2].lap("tool")
        self.report(ToolReturned(command.call_id, result.output, result.ends_call))

    def _first_clause(self) -> None:
        if self._turn is not None:
            self._turn[2].lap("llm")

    def _watch(self, event: ServerEvent) -> None:
        """Keep the time of turns. Cheap: nothing but the type of the event is looked at."""
        match event:
            case SpeechStarted(item_id=item_id):
                self._turn = None
                if self._has_flushed:
                    self._has_flushed = False
                    self._observe(Interrupted(item_id, self._session.s_since_voice))
            case DtmfEventReceived():
                self._has_flushed = False  # what a key has interrupted, the next word has not
            case SpeechStopped():
                self._turn = (event, self._session.s_since_voice, Stopwatch(self._now))
            case ConversationItemTruncated(item_id=item_id, audio_end_ms=heard_ms):
                item = self._session.conversation.find(item_id)
                self._observe(CutShort(item_id, heard_ms, item.text if isinstance(item, Message) else ""))
            case TranscriptionCompleted() if self._turn is not None:
                self._turn[2].lap("stt")
            case resp.ResponseDone() if self._turn is not None and event.response.output:
                self._turn[2].lap("llm")
            case resp.OutputAudioDelta(response_id=response_id) if self._turn is not None:
                stopped, silence_s, stopwatch = self._turn
                self._turn = None
                stopwatch.lap("tts")
                self._observe(
                    TurnTimed(stopped.item_id, response_id, silence_s, stopped.audio_end_ms, stopwatch.seconds)
                )
            case _:
                pass

    def _leave(self) -> None:
        """Stop all work but functions: what they have begun is done, and the conversation should know."""
        self._perform(self._session.close())
        for _, task in self._transcriptions.values():
            task.cancel()
