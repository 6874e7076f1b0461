"""Telling: passes one answer of a remote Realtime service on to the session, as fast as it can be heard.

Words wait for their sound: as long as nothing was passed on, the answer may be asked for again elsewhere. Functions
are passed on with the end, so that an answer that breaks off has asked for none. What a service may take its time
for, and how much, stands here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.commands import Respond
from pipeline.legs.gaps import Gaps
from pipeline.limits import LONGEST_SOUND_MS
from pipeline.provider import ProviderError
from pipeline.reports import AudioMade, Finished, Report, TextMade, ToolRequested
from pipeline.timing import Timing
from pipeline.upstream.answer import Answer
from pipeline.upstream.wire import Called, Ended, ItemBegan, Sound, SoundDone, Text

BEGIN_LIMIT_S: Final = 4.0
"""From asking to the first sign of an answer, and from there to its first piece: as for a language model."""

SOUND_LIMIT_S: Final = 1.5
"""Between two pieces of sound of one part: as for a voice."""

MOST_GAPS_S: Final = 2.5
"""Of silence in the middle of words, if there was more of it than of sound: a drip of sounds is no answer."""

FRAME_MS: Final = 20
"""Sound is cut between the frames of the telephone."""


class Stalled(ProviderError):
    """It has said nothing for too long: whatever it is connected by is not to be trusted any more."""


class Telling:
    """Of one answer, asked for by `command`; `format` is that of its sound here."""

    def __init__(
        self,
        answer: Answer,
        command: Respond,
        format: AudioFormat,
        *,
        label: str,
        report: Callable[[Report], None],
        room: Callable[[], Awaitable[None]],
        first_clause: Callable[[], None],
        asking: Callable[[str], None],
    ) -> None:
        """`asking` is told of each call before the session is."""
        self._answer = answer
        self._command = command
        self._format = format
        self._label = label
        self._report = report
        self._room = room
        self._first_clause = first_clause
        self._asking = asking
        self._transcoder = Transcoder(answer.format, format)
        self._passed_ms = 0.0
        """Of its sound, passed on."""
        self._words = ""
        """That wait for their sound."""
        self._sound = b""
        """Half a sample, which waits for its other half."""
        self._calls: dict[str, Called] = {}
        self._is_sounding = False
        self._gaps = Gaps()

    async def run(self, timing: Timing) -> Finished:
        """Pass it on to its end. Raises `ProviderError`."""
        try:
            await self._answer.began(BEGIN_LIMIT_S)
        except TimeoutError:
            raise Stalled(
                self._label, f"has not begun to answer in {BEGIN_LIMIT_S:g} seconds", retryable=True
            ) from None
        while True:
            limit_s = SOUND_LIMIT_S if self._is_sounding else BEGIN_LIMIT_S
            try:
                event = await self._answer.next(limit_s)
            except TimeoutError:
                what = "no more sound" if self._is_sounding else "nothing"
                raise Stalled(self._label, f"{what} for {limit_s:g} seconds", retryable=True) from None
            match event:
                case Text(delta=delta):
                    timing.came()
                    self._say(delta)
                case Sound(audio=audio):
                    timing.came()
                    await self._listen_to(audio)
                case SoundDone():
                    self._is_sounding = False
                case Called():
                    timing.came()
                    self._calls[event.call_id] = event
                case ItemBegan():
                    self._is_sounding = False
                case Ended():
                    return self._end(event)

    async def _listen_to(self, audio: bytes) -> None:
        """Pass it on, if it does not come too slowly to be listened to."""
        loop, gaps = asyncio.get_running_loop(), self._gaps
        gaps.sounded(loop.time(), self._answer.format.seconds_of(audio), is_first=not self._is_sounding)
        if gaps.total_s > max(MOST_GAPS_S, gaps.made_s):
            raise Stalled(self._label, "makes its sound slower than it plays", retryable=True)
        await self._speak(audio)
        gaps.excuse(loop.time())

    def _say(self, words: str) -> None:
        if not self._command.speaks or self._passed_ms:
            self._tell_words(words)
        else:
            self._words += words

    def _tell_words(self, words: str) -> None:
        if words:
            if not self._answer.is_told:
                self._first_clause()
            self._answer.is_told = True
            self._report(TextMade(self._command.response_id, words))

    async def _speak(self, audio: bytes) -> None:
        """Sound, cut where words begin, and never longer than a delta may be."""
        self._is_sounding = True
        if not self._command.speaks:
            return
        captions, from_format = self._answer.captions, self._answer.format
        sound = self._sound + audio
        whole = from_format.samples_in(sound) * from_format.encoding.bytes_per_sample
        sound, self._sound = sound[:whole], sound[whole:]
        at = 0
        while at < len(sound):
            words, self._words = self._words, ""
            self._tell_words(words)
            self._answer.is_told = True
            most = from_format.bytes_in(LONGEST_SOUND_MS)
            is_last = len(sound) - at <= from_format.bytes_in(FRAME_MS) and self._answer.has_all
            caption = captions.rest(self._passed_ms) if is_last else captions.take(self._passed_ms)
            if (next_ms := captions.next_ms) is not None:
                frames = max(1, math.ceil((next_ms - self._passed_ms) / FRAME_MS))
                most = min(most, from_format.bytes_in(frames * FRAME_MS))
            piece = sound[at : at + most]
            at += len(piece)
            self._passed_ms += from_format.seconds_of(piece) * 1000
            made = self._transcoder.push(piece)
            self._report(AudioMade(self._command.response_id, made, caption.text, caption.words))
            await self._room()

    def _end(self, ended: Ended) -> Finished:
        response_id = self._command.response_id
        if ended.status not in ("completed", "incomplete"):
            reason = f"{ended.status}: {ended.reason or 'no reason was given'}"
            raise ProviderError(self._label, f"broke its answer off, {reason}", retryable=True)
        self._calls |= {call.call_id: call for call in ended.calls}
        if not self._answer.is_told and not self._calls and ended.status == "completed":
            raise ProviderError(self._label, "has answered nothing at all", retryable=True)
        left = self._answer.captions.rest(self._passed_ms)
        tail = self._transcoder.flush() if self._passed_ms else b""
        if self._passed_ms and (left.text or tail):
            self._report(AudioMade(response_id, tail, left.text, left.words))
        for call in self._calls.values():
            self._answer.is_told = True
            self._asking(call.call_id)
            self._report(ToolRequested(response_id, call.call_id, call.name, call.arguments))
        usage = ended.usage
        return Finished(
            response_id,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            ended.cut_off,
            input_audio_tokens=usage.input_audio_tokens,
            cached_audio_tokens=usage.cached_audio_tokens,
            output_audio_tokens=usage.output_audio_tokens,
        )
