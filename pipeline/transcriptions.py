"""Transcriptions: the utterances of one session on their way through the transcriber, a task for each.

The session says when an utterance begins, ends or is void; this carries its sound, and reports its words. Who
understands it is the leg's business. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing

from pipeline.events.config import SessionConfig
from pipeline.legs.means import Means
from pipeline.legs.transcriber_leg import STALL_PER_S, TRANSCRIPT_STALL_S, TranscriberLeg
from pipeline.legs.utterance import PIECE_MS, UTTERANCE_BACKLOG, Utterance
from pipeline.provider import ProviderError, Transcriber
from pipeline.reports import Report, Transcribed, TranscriptionFailed

__all__ = ["PIECE_MS", "STALL_PER_S", "TRANSCRIPT_STALL_S", "UTTERANCE_BACKLOG", "Transcriptions"]

log = logging.getLogger(__name__)


class Transcriptions:
    """See the module's docstring."""

    def __init__(self, transcribers: Sequence[Transcriber], report: Callable[[Report], None], means: Means) -> None:
        self._leg = TranscriberLeg(transcribers, means)
        self._report = report
        self._open: dict[str, Utterance] = {}
        """Those that are still being said."""
        self._running: dict[str, tuple[Utterance, asyncio.Task[None]]] = {}

    def begin(self, item_id: str, audio: bytes, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        """An utterance, of which `audio` is known already; what `hear` brings until its end belongs to it."""
        utterance = self._open[item_id] = self._leg.begin(audio, config.input_format)
        task = tasks.create_task(self._transcribe(item_id, utterance, _language(config)))
        self._running[item_id] = (utterance, task)

    def hear(self, audio: bytes) -> None:
        """More of what is being said. The hot path."""
        for utterance in self._open.values():
            utterance.hear(audio)

    def end(self, item_id: str) -> None:
        """The utterance is complete."""
        self._open.pop(item_id, None)
        if item_id in self._running:
            self._running[item_id][0].end()

    def drop(self, item_id: str) -> None:
        """The utterance is void."""
        self.end(item_id)
        if item_id in self._running:
            self._running.pop(item_id)[1].cancel()

    def leave(self) -> None:
        """Nobody waits for any words any more."""
        for _, task in self._running.values():
            task.cancel()

    async def _transcribe(self, item_id: str, utterance: Utterance, language: str | None) -> None:
        try:
            async with aclosing(self._leg.transcribe(utterance, language)) as transcripts:
                async for transcript in transcripts:
                    self._report(Transcribed(item_id, transcript.text, transcript.is_final, transcript.turn))
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
