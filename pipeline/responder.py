"""The responder: one answer of a cascade, from the prompt to the last sample. The model's leg and
the voice's run side by side.

The model's words are reported as they come and cut into clauses; each clause goes to the voice as soon as it is
whole, so that speech begins with the first one. Sound is reported in the session's output format. Cancelling the
task that runs it closes both providers' generators on the way out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pipeline.audio.apology import apology
from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.commands import Respond
from pipeline.observations import ProviderTimed
from pipeline.provider import (
    CutOff,
    CutOffReason,
    KnowsVoices,
    LanguageModel,
    ModelOutput,
    ProviderError,
    Speech,
    TextDelta,
    TokensUsed,
    ToolRequest,
    Transcriber,
    Voice,
)
from pipeline.reports import AudioMade, Failed, Finished, Report, TextMade, ToolRequested
from pipeline.sentences import Clauses
from pipeline.stall import Stall
from pipeline.timing import Timing

log = logging.getLogger(__name__)

MODEL_STALL_S = 4.0
"""No word for this long, at the start or in the middle: the caller would think the line is dead."""

VOICE_STALL_S = 1.5
"""A voice that has been given words and makes no sound for this long has failed."""

LONGEST_SOUND_MS = 400
"""Of one report and so of one delta, whatever a voice makes at once: more would be late, and long to cut into
(Realtime reference, section A.1)."""

CLAUSES_AHEAD = 8
"""Clauses the model may be ahead of the voice; then it waits, so an endless answer cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """The providers of one session."""

    transcriber: Transcriber
    model: LanguageModel
    voice: Voice
    voice_name: str | None = None


@dataclass(slots=True)
class _Thought:
    """How the model's leg ended."""

    used: TokensUsed = TokensUsed(0, 0)
    cut_off: CutOffReason | None = None


class _Voiceless(Exception):
    """The voice leg failed; its `__cause__` says how."""


class Responder:
    """Runs answers for one session. `room` is awaited before more sound is made than can be played soon."""

    def __init__(
        self,
        cascade: Cascade,
        report: Callable[[Report], None],
        room: Callable[[], Awaitable[None]],
        first_clause: Callable[[], None],
        *,
        now: Callable[[], float] = time.monotonic,
        timed: Callable[[ProviderTimed], None] = lambda _: None,
    ) -> None:
        self._cascade = cascade
        self._report = report
        self._room = room
        self._first_clause = first_clause
        self._now = now
        self._timed = timed
        self._unknown_voices: set[str] = set()

    async def respond(self, command: Respond, usual: AudioFormat) -> None:
        """Make the answer; every way it can end but cancellation ends in `Finished` or `Failed`.

        Its sound is in the format it asks for, or in the `usual` one.
        """
        format = command.format or usual
        try:
            if command.is_recorded:
                self._play_recording(command, format)
                thought = _Thought()
            else:
                thought = await self._make(command, format)
        except ProviderError as error:
            self._report(Failed(command.response_id, "model_failed", str(error)))
        except _Voiceless as error:
            self._report(Failed(command.response_id, "voice_failed", str(error.__cause__), is_voiceless=True))
        else:
            used = thought.used
            self._report(
                Finished(
                    command.response_id, used.input_tokens, used.output_tokens, used.cached_tokens, thought.cut_off
                )
            )

    def _play_recording(self, command: Respond, format: AudioFormat) -> None:
        text = command.script or ""
        self._report(TextMade(command.response_id, text))
        self._report(AudioMade(command.response_id, apology(format), text))

    async def _make(self, command: Respond, format: AudioFormat) -> _Thought:
        clauses: asyncio.Queue[str | None] = asyncio.Queue(CLAUSES_AHEAD)
        try:
            async with asyncio.TaskGroup() as legs:
                model = legs.create_task(self._think(command, clauses))
                if command.speaks:
                    legs.create_task(self._speak(command, format, clauses))
                else:
                    legs.create_task(_discard(clauses))
        except* (ProviderError, _Voiceless) as failures:
            # The first failure cancels the other leg; a second can only be its echo.
            failure = failures.exceptions[0]
        else:
            return model.result()
        raise failure

    async def _think(self, command: Respond, clauses: asyncio.Queue[str | None]) -> _Thought:
        thought = _Thought()
        cutter = Clauses()
        response_id = command.response_id
        if command.script is not None:
            self._report(TextMade(response_id, command.script))
            await _put(clauses, cutter.push(command.script))
        else:
            async with aclosing(self._answer(command)) as outputs:
                async for output in outputs:
                    match output:
                        case TextDelta(text=text):
                            self._report(TextMade(response_id, text))
                            await _put(clauses, cutter.push(text))
                        case ToolRequest(call_id=call_id, name=name, arguments=arguments):
                            self._report(ToolRequested(response_id, call_id, name, arguments))
                        case TokensUsed():
                            thought.used = output
                        case CutOff(reason=reason):
                            thought.cut_off = reason
        await _put(clauses, cutter.flush())
        await clauses.put(None)
        return thought

    async def _answer(self, command: Respond) -> AsyncGenerator[ModelOutput, None]:
        """What the model says; `ProviderError` once it has said nothing for too long."""
        model = self._cascade.model
        try:
            with Timing(model.name, "llm", self._now, self._timed) as timing:
                async with Stall(MODEL_STALL_S) as stall, aclosing(model.respond(command.prompt)) as outputs:
                    stall.owes()
                    async for output in outputs:
                        timing.came()
                        stall.rests()  # whoever takes it may take his time
                        yield output
                        stall.owes()
        except TimeoutError:
            message = f"no word for {MODEL_STALL_S:g} seconds"
            raise ProviderError(model.name, message, retryable=True) from None

    async def _speak(self, command: Respond, format: AudioFormat, clauses: asyncio.Queue[str | None]) -> None:
        response_id, voice = command.response_id, self._cascade.voice
        spoken = format if format in voice.formats else voice.formats[0]
        transcoder = Transcoder(spoken, format)
        name = await self._voice_for(command.voice)
        try:
            with Timing(voice.name, "tts", self._now, self._timed) as timing:
                async with Stall(VOICE_STALL_S) as stall:
                    owed = _SoundOwed(stall)
                    told = self._told(clauses, owed, timing)
                    speech_made = voice.speak(told, format=spoken, voice=name, speed=command.speed)
                    async with aclosing(speech_made) as speech:
                        async for piece in speech:
                            owed.sounded()
                            timing.came()
                            self._sound(response_id, transcoder.push(piece.audio), format, piece)
                            await owed.pause(self._room())
                    if not owed.has_all:
                        raise ProviderError(voice.name, "stopped before it had said everything", retryable=True)
        except TimeoutError:
            stalled = ProviderError(voice.name, f"no sound for {VOICE_STALL_S:g} seconds", retryable=True)
            raise _Voiceless from stalled
        except ProviderError as error:
            raise _Voiceless from error
        if tail := transcoder.flush():
            self._report(AudioMade(response_id, tail))

    def _sound(self, response_id: str, audio: bytes, format: AudioFormat, piece: Speech) -> None:
        """Report a piece of speech, a long one in several."""
        most = format.bytes_in(LONGEST_SOUND_MS)
        self._report(AudioMade(response_id, audio[:most], piece.text, piece.words))
        for at in range(most, len(audio), most):
            self._report(AudioMade(response_id, audio[at : at + most]))

    async def _voice_for(self, asked: str | None) -> str | None:
        """The voice the peer asked for, if the provider has it. A client made for another service asks for one of
        that service's, and must be heard all the same."""
        own, voice = self._cascade.voice_name, self._cascade.voice
        if asked is None or asked == own:
            return own
        if isinstance(voice, KnowsVoices) and not await voice.knows(asked):
            if asked not in self._unknown_voices:
                self._unknown_voices.add(asked)
                log.info("%s has no voice %r; speaking with %r", voice.name, asked[:40], own)
            return own
        return asked

    async def _told(
        self, clauses: asyncio.Queue[str | None], owed: _SoundOwed, timing: Timing
    ) -> AsyncGenerator[str, None]:
        """What the voice is given to say."""
        clause = await clauses.get()
        if clause is None:
            timing.drop()
        else:
            self._first_clause()
            timing.asked()
        while clause is not None:
            owed.given()
            yield clause
            owed.idle()
            clause = await clauses.get()
        owed.has_all = True
        owed.given()


class _SoundOwed:
    """Whether the voice owes us sound: it was given a clause and has made none since, or asks for no other."""

    def __init__(self, stall: Stall) -> None:
        self._stall = stall
        self._is_idle = True
        """It asks for its next clause and has made sound since the last: silence is its right."""
        self._is_owing = False
        self.has_all = False
        """It was told that there are no more clauses."""

    def given(self) -> None:
        """It was given a clause, or told that there are no more."""
        self._is_idle, self._is_owing = False, True
        self._judge()

    def idle(self) -> None:
        """It asks for its next clause."""
        self._is_idle = True
        self._judge()

    def sounded(self) -> None:
        """It made sound."""
        self._is_owing = False
        self._judge()

    async def pause(self, waiting: Awaitable[None]) -> None:
        """While we make it wait, it owes nothing."""
        self._stall.rests()
        await waiting
        self._judge()

    def _judge(self) -> None:
        if self._is_owing or not self._is_idle:
            self._stall.owes()
        else:
            self._stall.rests()


async def _put(clauses: asyncio.Queue[str | None], cut: list[str]) -> None:
    for clause in cut:
        await clauses.put(clause)


async def _discard(clauses: asyncio.Queue[str | None]) -> None:
    """Nobody speaks this answer; its words were reported."""
    while await clauses.get() is not None:
        pass
