"""The speaking half of the Inworld stand-in: contexts on one connection, each with its own voice and pace.

It hums as long as the words take, and times them as the service does: every word, mark and space of the text, from
the beginning of each synthesis. Contexts run side by side, so that their sound comes interleaved.

    zero-audio                  every flush is completed, and there was no sound
    stall, close-1006, -1011    after half the sound of the first synthesis
    slow-drip                   20 ms of sound at a time
    odd-pcm                     pieces end in the middle of samples
    garbage                     broken JSON where the first sound should be
    big-chunk                   all of it, and ten megabytes of silence more in one piece
"""

from __future__ import annotations

import asyncio
import audioop
import base64
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.standins.fault import Fault, Faults
from simulator.standins.inworld_wire import (
    BIG_CHUNK_BYTES,
    DRIP_S,
    GARBAGE,
    INVALID_ARGUMENT,
    NOT_FOUND,
    REFUSALS,
    RESOURCE_EXHAUSTED,
    Wire,
)
from simulator.standins.tone import WORD_MS, hum

PATH: Final = "/tts/v1/voice:streamBidirectional"

VOICES: Final = ("Dennis", "Sarah", "Clive", "workspace__reception")

CHUNK_MS: Final = 200
DRIP_MS: Final = 20

MOST_CONTEXTS: Final = 5
LONGEST_TEXT_CHARS: Final = 1_000

_ENCODINGS: Final = ("PCM", "LINEAR16", "MULAW", "ALAW")
_TOKEN: Final = re.compile(r"[\w'’]+|[^\w\s'’]+|\s+")
_WAV_HEAD: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sound, as one message carries it, and the words that begin in it."""

    sound: bytes
    words: tuple[tuple[str, float, float], ...] = ()
    """Text, beginning, end: in seconds from the beginning of the synthesis."""

    def message(self, *, has_words: bool = True) -> dict[str, Any]:
        chunk: dict[str, Any] = {"audioContent": base64.b64encode(self.sound).decode("ascii")}
        if has_words and self.words:
            texts, starts, ends = (list(column) for column in zip(*self.words, strict=True))
            alignment = {"words": texts, "wordStartTimeSeconds": starts, "wordEndTimeSeconds": ends}
            chunk["timestampInfo"] = {"wordAlignment": alignment}
        return {"audioChunk": chunk}


class Speaking:
    """All contexts of one connection. `serve` it until the peer leaves."""

    def __init__(self, wire: Wire, faults: Faults, *, delay_s: float, drip_s: float = DRIP_S) -> None:
        self._wire = wire
        self._faults = faults
        self._delay_s = delay_s
        self._drip_s = drip_s
        self._contexts: dict[str, _Context] = {}

    async def serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            running: list[asyncio.Task[None]] = []
            while (message := await self._wire.receive()) is not None:
                self._wire.heard.messages.append(message)
                id = str(message.get("contextId") or "default")
                if "create" in message:
                    if (context := await self._create(id, message["create"])) is not None:
                        running.append(tasks.create_task(self._run(context)))
                elif id in self._contexts:
                    self._contexts[id].commands.put_nowait(message)
                else:
                    await _refuse(self._wire, id, NOT_FOUND, f"Context not found: {id}")
            for task in running:
                task.cancel()

    async def _create(self, id: str, settings: Any) -> _Context | None:
        fault = _fault_of(settings)
        if len(self._contexts) >= MOST_CONTEXTS:
            await _refuse(self._wire, id, RESOURCE_EXHAUSTED, f"at most {MOST_CONTEXTS} contexts a connection")
        elif fault:
            await _refuse(self._wire, id, *fault)
        else:
            made = _Context(self._wire, id, settings, self._faults.take(), self._delay_s, self._drip_s)
            self._contexts[id] = made
            return made
        return None

    async def _run(self, context: _Context) -> None:
        await context.run()
        del self._contexts[context.id]


class _Context:
    def __init__(
        self, wire: Wire, id: str, settings: Mapping[str, Any], fault: Fault, delay_s: float, drip_s: float
    ) -> None:
        self.id = id
        self.commands: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        """Unbounded: a stand-in trusts those who test with it."""
        self._wire = wire
        self._settings = settings
        self._fault = fault
        self._delay_s = delay_s
        self._drip_s = drip_s
        self._text = ""

    async def run(self) -> None:
        """Until it is closed."""
        if self._fault in REFUSALS:
            await _refuse(self._wire, self.id, *REFUSALS[self._fault])
            return
        if self._fault is Fault.HANG:
            await asyncio.Event().wait()
        await self._say({"contextCreated": dict(self._settings)})
        while True:
            command = await self.commands.get()
            match command:
                case {"send_text": {"text": str(text), **more}} if len(text) <= LONGEST_TEXT_CHARS:
                    self._text += text
                    if self._settings.get("autoMode") or "flush_context" in more:
                        await self._flush()
                case {"flush_context": _}:
                    await self._flush()
                case {"close_context": _}:
                    await self._flush()
                    await self._say({"contextClosed": {}})
                    return
                case _:
                    await _refuse(self._wire, self.id, INVALID_ARGUMENT, "no such message, or too long a text")

    async def _flush(self) -> None:
        text, self._text = self._text, ""
        if text.strip():
            await asyncio.sleep(self._delay_s)
            pieces = synthesis(text, self._settings)
            await self._play(_odd(pieces) if self._fault is Fault.ODD_PCM else pieces)
        await self._say({"flushCompleted": {}})

    async def _play(self, pieces: list[Piece]) -> None:
        trails = self._settings.get("timestampTransportStrategy") == "ASYNC"
        for number, piece in enumerate(() if self._fault is Fault.ZERO_AUDIO else pieces):
            await self._break_off(is_half_way=number >= len(pieces) / 2)
            if self._fault is Fault.GARBAGE:
                await self._wire.say_text(GARBAGE)
            for part in _dripped(piece) if self._fault is Fault.SLOW_DRIP else (piece,):
                await asyncio.sleep(self._drip_s if self._fault is Fault.SLOW_DRIP else 0)  # others' turn
                await self._say(self._wrapped(part).message(has_words=not trails))
        words = tuple(word for piece in pieces for word in piece.words)
        if trails and words and self._fault is not Fault.ZERO_AUDIO:
            await self._say(Piece(b"", words).message())
        if self._fault is Fault.BIG_CHUNK:
            await self._say(Piece(bytes(BIG_CHUNK_BYTES)).message())

    async def _break_off(self, *, is_half_way: bool) -> None:
        if not is_half_way or self._fault not in (Fault.STALL, Fault.CLOSE_1006, Fault.CLOSE_1011):
            return
        if self._fault is not Fault.STALL:
            await self._wire.break_off(self._fault)
        await asyncio.Event().wait()  # ends with the connection

    def _wrapped(self, piece: Piece) -> Piece:
        """With a header of its own, if that is what was asked for."""
        config = self._settings.get("audioConfig") or {}
        if config.get("audioEncoding") != "LINEAR16":
            return piece
        return Piece(_wav(piece.sound, config["sampleRateHertz"]), piece.words)

    async def _say(self, result: dict[str, Any]) -> None:
        status = {"code": 0, "message": "", "details": []}
        await self._wire.say({"contextId": self.id, **result, "status": status})


def synthesis(text: str, settings: Mapping[str, Any]) -> list[Piece]:
    """`text` as it sounds, in pieces of `CHUNK_MS`."""
    config = settings["audioConfig"]
    rate_hz, encoding = config["sampleRateHertz"], config["audioEncoding"]
    word_ms = round(WORD_MS / config.get("speakingRate", 1.0))
    sound = hum(len(text.split()), rate_hz, word_ms=word_ms)
    if encoding in ("MULAW", "ALAW"):
        sound = audioop.lin2ulaw(sound, 2) if encoding == "MULAW" else audioop.lin2alaw(sound, 2)
    size = rate_hz * CHUNK_MS // 1000 * (1 if encoding in ("MULAW", "ALAW") else 2)
    words = timed(text, word_ms) if settings.get("timestampType") == "WORD" else []
    pieces: list[Piece] = []
    for number, at in enumerate(range(0, len(sound), size)):
        begins_s, ends_s = number * CHUNK_MS / 1000, (number + 1) * CHUNK_MS / 1000
        is_last = at + size >= len(sound)
        inside = tuple(word for word in words if begins_s <= word[1] < ends_s or (is_last and word[1] >= ends_s))
        pieces.append(Piece(sound[at : at + size], inside))
    return pieces


def timed(text: str, word_ms: int) -> list[tuple[str, float, float]]:
    """Words, marks and spaces of `text` as it was given, with where each begins and ends, in seconds."""
    tokens: list[tuple[str, float, float]] = []
    begun = 0
    is_between = True
    for match in _TOKEN.finditer(text):
        is_space = match[0].isspace()
        if not is_space and is_between:
            begun += 1
        is_between = is_space
        ends_s = begun * word_ms / 1000
        begins_s = ends_s if is_space else max(0, begun - 1) * word_ms / 1000
        tokens.append((match[0], begins_s, ends_s))
    return tokens


def _fault_of(settings: Any) -> tuple[int, str] | None:
    """What is wrong with the settings of a context."""
    match settings:
        case {"voiceId": str(voice), "modelId": str(_), "audioConfig": {"audioEncoding": str(encoding), **config}}:
            rate_hz = config.get("sampleRateHertz")
        case _:
            return INVALID_ARGUMENT, "create needs voiceId, modelId and audioConfig"
    if voice not in VOICES:
        return NOT_FOUND, f"Unknown voice: {voice} not found!"
    if encoding not in _ENCODINGS or not isinstance(rate_hz, int) or not 8_000 <= rate_hz <= 48_000:
        return INVALID_ARGUMENT, f"no {encoding} at {rate_hz} Hz"
    pace = config.get("speakingRate", 1.0)
    if not isinstance(pace, int | float) or not 0.5 <= pace <= 1.5:
        return INVALID_ARGUMENT, "speakingRate is from 0.5 to 1.5"
    return None


async def _refuse(wire: Wire, id: str, code: int, message: str) -> None:
    await wire.say({"contextId": id, "status": {"code": code, "message": message, "details": []}})


def _dripped(piece: Piece) -> list[Piece]:
    size = max(1, len(piece.sound) * DRIP_MS // CHUNK_MS)
    parts = [Piece(piece.sound[at : at + size]) for at in range(0, len(piece.sound), size)]
    return [Piece(parts[0].sound, piece.words), *parts[1:]]


def _odd(pieces: list[Piece]) -> list[Piece]:
    """The same sound, each piece but the last one byte into the next."""
    sound = b"".join(piece.sound for piece in pieces)
    cut: list[Piece] = []
    at = 0
    for number, piece in enumerate(pieces):
        is_last = number + 1 == len(pieces)
        end = len(sound) if is_last else at + len(piece.sound) + (1 if number == 0 else 0)
        cut.append(Piece(sound[at:end], piece.words))
        at = end
    return cut


def _wav(sound: bytes, rate_hz: int) -> bytes:
    """A file of its own: PCM16, mono (Microsoft's RIFF, "WAVE File Format")."""
    head = (b"RIFF", len(sound) + 36, b"WAVE", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16, b"data", len(sound))
    return _WAV_HEAD.pack(*head) + sound
