"""The responder: one answer of a cascade, from the prompt to the last sample. The model's leg and
the voice's run side by side.

The model's words are reported as they come and cut into clauses; each clause goes to the voice as soon as it is
whole, so that speech begins with the first one. Sound is reported in the session's output format. Cancelling the
task that runs it closes all providers' generators on the way out. Which provider does the work, and what is done
when one fails, is the legs' business.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pipeline.audio.apology import apology
from pipeline.audio.formats import AudioFormat
from pipeline.commands import Respond
from pipeline.costs import Tally, Used
from pipeline.legs.means import Means
from pipeline.legs.model_leg import MODEL_STALL_S, ModelLeg
from pipeline.legs.pace import Pace
from pipeline.legs.voice_leg import VOICE_STALL_S, Manner, SpareVoice, VoiceLeg
from pipeline.limits import LONGEST_SOUND_MS
from pipeline.observations import Observation
from pipeline.prices import Prices
from pipeline.provider import (
    CutOff,
    CutOffReason,
    LanguageModel,
    ProviderError,
    Speech,
    TextDelta,
    TokensUsed,
    ToolRequest,
    Transcriber,
    Voice,
)
from pipeline.reports import AudioMade, Failed, Finished, Report, TextEnded, TextMade, ToolRequested
from pipeline.sentences import Clauses
from pipeline.spoken_phrases import SpokenPhrases

__all__ = ["CLAUSES_AHEAD", "LONGEST_SOUND_MS", "MODEL_STALL_S", "VOICE_STALL_S", "Cascade", "Responder"]

T = TypeVar("T")

CLAUSES_AHEAD = 8
"""Clauses the model may be ahead of the voice; then it waits, so an endless answer cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """The providers of one session."""

    transcriber: Transcriber
    model: LanguageModel
    voice: Voice
    voice_name: str | None = None
    spare_transcribers: tuple[Transcriber, ...] = ()
    """Who is asked when the first fails; here and below in order of preference."""
    spare_models: tuple[LanguageModel, ...] = ()
    spare_voices: tuple[SpareVoice, ...] = ()
    hedges: bool = False
    """Whether whoever is slow is asked a second time: for providers that answer each request on its own."""
    pace: Pace = field(default_factory=Pace)
    """What is known of the providers' pace: one for all sessions of a process."""
    phrases: SpokenPhrases = field(default_factory=SpokenPhrases)
    """What the voice has said before and may say again; as `pace`."""
    prices: Prices = field(default_factory=Prices)
    """What the providers cost."""

    @property
    def takes_images(self) -> bool:
        """Whether all who may think take images."""
        return all(model.takes_images for model in self.models)

    @property
    def hears_sound(self) -> bool:
        """A cascade answers words."""
        return False

    @property
    def transcribers(self) -> tuple[Transcriber, ...]:
        return (self.transcriber, *self.spare_transcribers)

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        return (self.model, *self.spare_models)

    @property
    def voices(self) -> tuple[SpareVoice, ...]:
        return (SpareVoice(self.voice, self.voice_name), *self.spare_voices)

    def means(self, now: Callable[[], float], observe: Callable[[Observation], None]) -> Means:
        """For the legs of one session."""
        return Means(now, observe, self.pace, hedges=self.hedges)


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
        means: Means | None = None,
        used: Callable[[str, tuple[Used, ...]], None] = lambda _response_id, _used: None,
    ) -> None:
        """`means`: those of the session, if it has other legs. `used` is told what went into an answer that was not
        finished: the report of one that was tells it itself."""
        self._report = report
        self._room = room
        self._first_clause = first_clause
        self._used = used
        self._tally = Tally()
        means = means or cascade.means(time.monotonic, lambda _: None)
        # Not a method: those it is given to are held here.
        self._means = dataclasses.replace(means, used=partial(_add, self._tally, cascade.prices))
        self._model_leg = ModelLeg(cascade.models, self._means)
        self._voice_leg = VoiceLeg(cascade.voices, self._means)

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
                self._means.budget.earn()
                thought = await self._make(command, format)
        except ProviderError as error:
            self._report(Failed(command.response_id, "model_failed", str(error)))
        except _Voiceless as error:
            self._report(Failed(command.response_id, "voice_failed", str(error.__cause__), is_voiceless=True))
        else:
            used = thought.used
            self._report(
                Finished(
                    command.response_id,
                    used.input_tokens,
                    used.output_tokens,
                    used.cached_tokens,
                    thought.cut_off,
                    used=self._tally.take(),
                )
            )
        finally:
            if left := self._tally.take():
                self._used(command.response_id, left)

    def _play_recording(self, command: Respond, format: AudioFormat) -> None:
        text = command.script or ""
        self._report(TextMade(command.response_id, text))
        self._report(AudioMade(command.response_id, apology(format), text))

    async def _make(self, command: Respond, format: AudioFormat) -> _Thought:
        clauses: asyncio.Queue[str | None] = asyncio.Queue(CLAUSES_AHEAD)
        try:
            async with asyncio.TaskGroup() as legs:
                model = legs.create_task(_traceless(self._think(command, clauses)))
                if command.speaks:
                    legs.create_task(_traceless(self._speak(command, format, clauses)))
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
        response_id, has_words = command.response_id, False
        if command.script is not None:
            self._report(TextMade(response_id, command.script))
            await _put(clauses, cutter.push(command.script))
        else:
            async with aclosing(self._model_leg.respond(command.prompt)) as outputs:
                async for output in outputs:
                    match output:
                        case TextDelta(text=text):
                            has_words = True
                            self._report(TextMade(response_id, text))
                            await _put(clauses, cutter.push(text))
                        case ToolRequest(call_id=call_id, name=name, arguments=arguments):
                            self._report(ToolRequested(response_id, call_id, name, arguments))
                        case TokensUsed():
                            thought.used = output
                        case CutOff(reason=reason):
                            thought.cut_off = reason
            if has_words:
                self._report(TextEnded(response_id))
        await _put(clauses, cutter.flush())
        await clauses.put(None)
        return thought

    async def _speak(self, command: Respond, format: AudioFormat, clauses: asyncio.Queue[str | None]) -> None:
        manner = Manner(format=format, voice=command.voice, speed=command.speed)
        try:
            async with aclosing(self._voice_leg.speak(clauses, manner, self._first_clause)) as speech:
                async for piece in speech:
                    self._sound(command.response_id, piece, format)
                    if piece.audio:
                        await self._room()
        except ProviderError as error:
            raise _Voiceless from error

    def _sound(self, response_id: str, piece: Speech, format: AudioFormat) -> None:
        """Report a piece of speech, a long one in several."""
        audio, most = piece.audio, format.bytes_in(LONGEST_SOUND_MS)
        self._report(AudioMade(response_id, audio[:most], piece.text, piece.words))
        for at in range(most, len(audio), most):
            self._report(AudioMade(response_id, audio[at : at + most]))


async def _traceless(leg: Coroutine[Any, Any, T]) -> T:
    """A cancelled task keeps its traceback, in which stand frames of groups that hold the task: both would stay,
    with all that those frames hold of the call."""
    try:
        return await leg
    except asyncio.CancelledError as cancelled:
        cancelled.__traceback__ = None
        raise


def _add(tally: Tally, prices: Prices, used: Used) -> None:
    tally.add(prices.priced(used))


async def _put(clauses: asyncio.Queue[str | None], cut: list[str]) -> None:
    for clause in cut:
        await clauses.put(clause)


async def _discard(clauses: asyncio.Queue[str | None]) -> None:
    """Nobody speaks this answer; its words were reported."""
    while await clauses.get() is not None:
        pass
