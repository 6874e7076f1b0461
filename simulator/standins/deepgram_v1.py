"""One connection to the stand-in's `/v1/listen`: live results of Nova models (Deepgram's "Live Audio").

An utterance lasts from its first sound to `Finalize` or `CloseStream`; between them a pause makes what was said so
far final ("Endpointing"). It knows no sockets; what it has to say goes to a `Wire`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulator.standins.deepgram_query import Query
from simulator.standins.deepgram_wire import Wire
from simulator.standins.deepgram_words import ScriptedWords, Words
from simulator.standins.energy import FRAME_MS, Energy
from simulator.standins.fault import Fault

NOTICEABLE_MS: Final = 100
"""`Finalize` is answered only if there is about this much sound to work on ("Finalize": "not guaranteed")."""

REQUEST_ID: Final = "00000000-0000-4000-8000-000000000001"


class LiveResults:
    """See the module's docstring. `next_utterance` gives the transcript and the fault of one; `understand`, what
    says the transcript as it hears."""

    def __init__(
        self,
        query: Query,
        wire: Wire,
        next_utterance: Callable[[], tuple[str, Fault]],
        understand: Callable[[str], Words] = ScriptedWords,
    ) -> None:
        self._query = query
        self._wire = wire
        self._next_utterance = next_utterance
        self._understand = understand
        self._energy = Energy(query.encoding, query.rate_hz)
        self._words: Words | None = None
        self._heard_ms = 0
        self._final_ms = 0
        """Up to where results are final."""
        self._final_words = 0

    async def hear(self, sound: bytes) -> None:
        """More sound. None at all ends the stream, as `CloseStream` does ("Close Stream")."""
        if not sound:
            await self.close()
            return
        words = self._words or self._begin()
        words.listen(sound)
        for is_voice in self._energy.frames(sound):
            self._heard_ms += FRAME_MS
            was_silent = words.silence_ms > 0 or not words.voice_ms
            has_more = words.hear(is_voice)
            if is_voice and was_silent and "vad_events" in self._query.on:
                await self._say("SpeechStarted", channel=[0], timestamp=self._heard_ms / 1000)
            if has_more and "interim_results" in self._query.on:
                await self._result(words)
            await self._pause(words)

    async def obey(self, message: dict[str, Any]) -> None:
        """A text message of the client."""
        match message.get("type"):
            case "KeepAlive":
                pass
            case "Finalize":
                await self._finalize()
            case "CloseStream":
                await self.close()
            case _:
                await self._say("Error", variant="SchemaError", description="unknown message", message=str(message))

    async def close(self) -> None:
        """All that is left, then the end."""
        if self._words is not None:
            self._words.show_all()
            await self._wire.wait(self._words.text())
            await self._result(self._words, is_final=True)
        await self._say(
            "Metadata",
            transaction_key="deprecated",
            request_id=REQUEST_ID,
            sha256="0" * 64,
            created="2026-01-01T00:00:00.000Z",
            duration=self._heard_ms / 1000,
            channels=1,
        )
        await self._wire.close(1000)

    def _begin(self) -> Words:
        text, fault = self._next_utterance()
        self._wire.begin(fault)
        self._words, self._final_words = self._understand(text), 0
        return self._words

    async def _pause(self, words: Words) -> None:
        """What a pause of just this length brings about."""
        if words.silence_ms == 0:
            return
        endpoint_ms = self._query.endpointing_ms
        has_new = words.shown > self._final_words
        if has_new and endpoint_ms is not None and words.silence_ms >= max(endpoint_ms, FRAME_MS):
            await self._result(words, is_final=True, speech_final=True)
        if words.voice_ms and words.silence_ms == self._query.utterance_end_ms:
            last_word_end = (self._heard_ms - words.silence_ms) / 1000
            await self._say("UtteranceEnd", channel=[0, 1], last_word_end=last_word_end)

    async def _finalize(self) -> None:
        words = self._words
        if words is None or self._heard_ms - self._final_ms < NOTICEABLE_MS:
            return
        self._words = None
        words.show_all()
        await self._wire.wait(words.text())
        await self._result(words, is_final=True, from_finalize=True)

    async def _result(self, words: Words, *, is_final: bool = False, **more: bool) -> None:
        start_ms, start_word = self._final_ms, self._final_words
        if is_final:
            self._final_ms, self._final_words = self._heard_ms, words.shown
        alternative = {
            "transcript": words.text(start_word),
            "confidence": 0.99,
            "words": words.entries(start_word, start_ms),
        }
        await self._say(
            "Results",
            is_half_way=is_final or words.is_half_way,
            channel_index=[0, 1],
            duration=(self._heard_ms - start_ms) / 1000,
            start=start_ms / 1000,
            is_final=is_final,
            speech_final=more.get("speech_final", False),
            channel={"alternatives": [alternative]},
            metadata={
                "request_id": REQUEST_ID,
                "model_info": {"name": self._query.model, "version": "stand-in", "arch": "script"},
                "model_uuid": REQUEST_ID,
            },
            from_finalize=more.get("from_finalize", False),
        )

    async def _say(self, type: str, *, is_half_way: bool = False, **fields: Any) -> None:
        await self._wire.say({"type": type, **fields}, is_half_way=is_half_way)
