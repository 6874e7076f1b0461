"""Transcriptions: the utterances of one session on their way through the transcriber, a task for each.

The session says when an utterance begins, ends or is void; this carries its sound, keeps its deadline, and reports
its words. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from pipeline.audio.formats import AudioFormat
from pipeline.audio.transcode import Transcoder
from pipeline.events.config import SessionConfig
from pipeline.observations import Observation
from pipeline.provider import ProviderError, Transcriber
from pipeline.reports import Report, Transcribed, TranscriptionFailed
from pipeline.timing import Timing

log = logging.getLogger(__name__)

TRANSCRIPT_STALL_S = 4.0
"""From the end of an utterance to its words. Streaming services are done in 0.3 to 2 s (their published p99), the
built-in decoder in 2.3 s where it has to look twice."""

STALL_PER_S = 0.5
"""More for each second of sound that came at once instead of as it was spoken: a slow decoder hears at twice the
pace of speech."""

PIECE_MS = 100
"""Sound goes to the transcriber in pieces of this length: five frames at the price of one. Its end goes at once."""

UTTERANCE_BACKLOG = 300
"""Pieces of sound (30 s) a transcriber may be behind; then the utterance is cut short rather than grow."""


class _Utterance:
    """Sound on its way to the transcriber."""

    def __init__(self, item_id: str, audio: bytes, format: AudioFormat) -> None:
        self.item_id = item_id
        self.format = format
        self.deadline: asyncio.Timeout | None = None
        self.timing: Timing | None = None
        self.is_open = True
        self.stall_s = TRANSCRIPT_STALL_S + STALL_PER_S * format.seconds_of(audio)
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(UTTERANCE_BACKLOG + 2)
        self._pieces.put_nowait(audio)
        self._gathered = bytearray()
        self._piece_bytes = format.bytes_in(PIECE_MS)

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

    def due(self) -> None:
        """Its words are due from now on."""
        if self.deadline is not None and not self.is_open:
            self.deadline.reschedule(asyncio.get_running_loop().time() + self.stall_s)


class Transcriptions:
    """See the module's docstring."""

    def __init__(
        self,
        transcriber: Transcriber,
        report: Callable[[Report], None],
        observe: Callable[[Observation], None],
        now: Callable[[], float],
    ) -> None:
        self._transcriber = transcriber
        self._report = report
        self._observe = observe
        self._now = now
        self._open: dict[str, _Utterance] = {}
        """Those that are still being said."""
        self._running: dict[str, tuple[_Utterance, asyncio.Task[None]]] = {}

    def begin(self, item_id: str, audio: bytes, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        """An utterance, of which `audio` is known already; what `hear` brings until its end belongs to it."""
        utterance = self._open[item_id] = _Utterance(item_id, audio, config.input_format)
        task = tasks.create_task(self._transcribe(utterance, _language(config)))
        self._running[item_id] = (utterance, task)

    def hear(self, audio: bytes) -> None:
        """More of what is being said. The hot path."""
        for utterance in self._open.values():
            utterance.hear(audio)

    def end(self, item_id: str) -> None:
        """The utterance is complete."""
        self._open.pop(item_id, None)
        if item_id in self._running:
            utterance = self._running[item_id][0]
            utterance.end()
            if utterance.timing is not None:
                utterance.timing.asked()
            utterance.due()

    def drop(self, item_id: str) -> None:
        """The utterance is void."""
        self.end(item_id)
        if item_id in self._running:
            self._running.pop(item_id)[1].cancel()

    def leave(self) -> None:
        """Nobody waits for any words any more."""
        for _, task in self._running.values():
            task.cancel()

    async def _transcribe(self, utterance: _Utterance, language: str | None) -> None:
        transcriber, source = self._transcriber, utterance.format
        target = source if source in transcriber.formats else transcriber.formats[0]
        sound = utterance.sound(Transcoder(source, target))
        item_id = utterance.item_id
        utterance.timing = Timing(transcriber.name, "stt", self._now, self._observe)
        try:
            with utterance.timing:
                async with asyncio.timeout(None) as utterance.deadline:
                    utterance.due()
                    transcripts = transcriber.transcribe(sound, format=target, language=language)
                    is_final = False
                    async with aclosing(transcripts):
                        async for transcript in transcripts:
                            is_final = transcript.is_final
                            self._report(Transcribed(item_id, transcript.text, is_final))
                    if not is_final:
                        raise ProviderError(transcriber.name, "ended without a final transcript", retryable=True)
        except TimeoutError:
            message = f"{transcriber.name}: no words {utterance.stall_s:g} seconds after the caller stopped"
            self._report(TranscriptionFailed(item_id, message))
        except ProviderError as error:
            self._report(TranscriptionFailed(item_id, str(error)))
        except Exception:
            log.exception("transcription of %s failed by a fault of ours", item_id)
            self._report(TranscriptionFailed(item_id, "internal error"))
        finally:
            self._running.pop(item_id, None)


def _language(config: SessionConfig) -> str | None:
    asked = config.transcription.language if config.transcription else None
    return asked or config.language
