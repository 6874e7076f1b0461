"""The listening half of the Inworld stand-in: it hears where there is voice, and says what its script says.

One more word of the script for each `WORD_MS` of voice, as a partial transcript; all of it when the turn ends. The
turn ends by `endTurn` or `closeStream`, or by itself after a pause unless `vadThreshold` is 0.

    hang                        not a word
    zero-audio                  a final transcript without words
    stall, close-1006, -1011    once half of the words were said, at the latest when the turn ends
    slow-drip                   the final transcript letter by letter, as partial ones
    garbage                     broken JSON where words should be
    big-chunk                   a final transcript with ten megabytes more
    odd-pcm                     nothing is wrong: no sound goes out
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

from simulator.standins.energy import FRAME_MS, Energy
from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld_wire import (
    BIG_CHUNK_BYTES,
    DRIP_S,
    GARBAGE,
    INVALID_ARGUMENT,
    REFUSALS,
    Wire,
)

PATH: Final = "/stt/v1/transcribe:streamBidirectional"

WORD_MS: Final = 200

END_OF_TURN_MS: Final = 1_000
"""Silence after which the service itself finds that a turn is over."""


class Listening:
    """One connection. `serve` it until the peer leaves or it is told to close."""

    def __init__(
        self, wire: Wire, faults: Faults, script: Iterator[str], *, delay_s: float, drip_s: float = DRIP_S
    ) -> None:
        self._wire = wire
        self._faults = faults
        self._script = script
        self._delay_s = delay_s
        self._drip_s = drip_s
        self._energy: Energy | None = None
        self._model = ""
        self._finds_turns = True
        self._rate_hz = 0
        self._utterance: _Utterance | None = None

    async def serve(self) -> None:
        while (message := await self._wire.receive()) is not None:
            match message:
                case {"audioChunk": {"content": str(content)}} if self._energy is not None:
                    await self._hear(self._energy, content)
                    continue
                case {"transcribeConfig": dict(config)} if self._energy is None:
                    self._wire.heard.messages.append(message)
                    await self._configure(config)
                    continue
            self._wire.heard.messages.append(message)
            match message:
                case {"endTurn": _}:
                    await self._end_turn()
                case {"closeStream": _}:
                    await self._close()
                    return
                case _:
                    await self._wire.fail(
                        INVALID_ARGUMENT, "expected transcribeConfig first, and once, then audioChunk"
                    )

    async def _configure(self, config: dict[str, Any]) -> None:
        match config:
            case {"modelId": str(model), "audioEncoding": "LINEAR16", **more} if "/" in model:
                self._model = model
                self._rate_hz = int(more.get("sampleRateHertz", 16_000))
                own = more.get("inworldSttV1Config") or {}
                self._finds_turns = own.get("vadThreshold", 0.5) != 0
                self._energy = Energy("linear16", self._rate_hz)
            case _:
                await self._wire.fail(INVALID_ARGUMENT, "expected a modelId of vendor/model, and LINEAR16")

    async def _hear(self, energy: Energy, content: str) -> None:
        try:
            sound = base64.b64decode(content, validate=True)
        except binascii.Error:
            await self._wire.fail(INVALID_ARGUMENT, "audioChunk.content is not base64")
            return
        self._wire.heard.audio += sound
        for is_voice in energy.frames(sound):
            if self._utterance is None:
                self._utterance = _Utterance(self._wire, self._faults.take(), self._script, self._drip_s)
                await self._utterance.begin()
            await self._utterance.hear(is_voice)
            if self._finds_turns and self._utterance.silence_ms >= END_OF_TURN_MS:
                await self._wire.say({"speechStopped": {"silenceDurationMs": END_OF_TURN_MS}})
                await self._end_turn()

    async def _end_turn(self) -> None:
        utterance, self._utterance = self._utterance, None
        await asyncio.sleep(self._delay_s)
        await (utterance or _Utterance(self._wire, Fault.NONE, self._script, 0)).end()

    async def _close(self) -> None:
        if self._utterance is not None:
            await self._end_turn()
        heard_ms = len(self._wire.heard.audio) * 500 // self._rate_hz if self._rate_hz else 0
        await self._wire.say({"usage": {"transcribedAudioMs": heard_ms, "modelId": self._model}})
        await self._wire.close()


class _Utterance:
    def __init__(self, wire: Wire, fault: Fault, script: Iterator[str], drip_s: float) -> None:
        self._wire = wire
        self._fault = fault
        self._script = script
        self._drip_s = drip_s
        self._words: list[str] = []
        self._voice_ms = 0
        self._said = 0
        self._is_mute = fault is Fault.HANG
        self.silence_ms = 0
        """Since the last voice; 0 before the first."""

    async def begin(self) -> None:
        if self._fault in REFUSALS:
            await self._wire.fail(*REFUSALS[self._fault])
            self._is_mute = True

    async def hear(self, is_voice: bool) -> None:
        """One frame of sound."""
        if not is_voice:
            self.silence_ms += FRAME_MS if self._voice_ms else 0
            return
        if not self._voice_ms:
            self._words = next(self._script).split()
            await self._say({"speechStarted": {"startTimeMs": 0, "confidence": 1}})
        self.silence_ms = 0
        self._voice_ms += FRAME_MS
        said = min(len(self._words), self._voice_ms // WORD_MS)
        if said > self._said and self._fault not in (Fault.ZERO_AUDIO, Fault.SLOW_DRIP):
            self._said = said
            await self._say_words(" ".join(self._words[:said]))
            await self._break_off(is_half_way=said * 2 >= len(self._words))

    async def end(self) -> None:
        """The turn is over."""
        await self._break_off(is_half_way=True)
        text = "" if self._fault is Fault.ZERO_AUDIO else " ".join(self._words)
        if self._fault is Fault.SLOW_DRIP:
            for letters in range(1, len(text)):
                await asyncio.sleep(self._drip_s)
                await self._say_words(text[:letters])
        if self._fault is Fault.BIG_CHUNK:
            text += " " + "x" * BIG_CHUNK_BYTES
        await self._say_words(text, is_final=True)

    async def _say_words(self, text: str, *, is_final: bool = False) -> None:
        if self._fault is Fault.GARBAGE:
            await self._wire.say_text(GARBAGE)
        await self._say({"transcription": {"transcript": text, "isFinal": is_final, "wordTimestamps": []}})

    async def _say(self, result: dict[str, Any]) -> None:
        if not self._is_mute:
            await self._wire.say(result)

    async def _break_off(self, *, is_half_way: bool) -> None:
        if not is_half_way or self._fault not in (Fault.STALL, Fault.CLOSE_1006, Fault.CLOSE_1011) or self._is_mute:
            return
        self._is_mute = True
        if self._fault is not Fault.STALL:
            await self._wire.break_off(self._fault)
