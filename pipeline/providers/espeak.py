"""Text to speech without a network: espeak-ng, the library of the `espeakng-loader` wheel, by ctypes.

A formant voice: plainly a machine, clear, and a thousand times faster than speech. The library keeps one global
state, so one clause at a time is spoken per process, in one thread; the interpreter is free meanwhile.
Structures and numbers are those of espeak-ng's `speak_lib.h` and of `sonic.h`, which is linked into it.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import struct
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import espeakng_loader
import numpy as np

from pipeline.audio.formats import AudioFormat, Encoding
from pipeline.provider import ProviderError, Speech, WordTime
from pipeline.providers.source import Source

NAME: Final = "espeak"
PCM_22K: Final = AudioFormat(Encoding.PCM16, 22_050)
DEFAULT_VOICE: Final = "en-us"

PIECE_MS: Final = 200
"""Longest piece of sound handed on."""

SENTENCE_PAUSE_MS: Final = 280
CLAUSE_PAUSE_MS: Final = 120
"""espeak-ng ends a text with 7 ms of silence, so the pause between two clauses is ours to make."""

OWN_PACE_WPM: Final = 175
SLOWEST_WPM: Final = 80
"""`espeakRATE_NORMAL` and `espeakRATE_MINIMUM`, in words a minute; below the latter the library stays at it."""

_SILENCE_LEVEL: Final = 100  # of 32,768: -50 dB
_AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
_CALLBACK_MS: Final = 20
_INITIALIZE_DONT_EXIT: Final = 0x8000
_POS_CHARACTER: Final = 1
_CHARS_UTF8: Final = 1
_RATE: Final = 1
_ABSOLUTE: Final = 0
_EVENT_LIST_TERMINATED: Final = 0
_EVENT_WORD: Final = 1
_OK: Final = 0
_GO_ON: Final = 0
_ABORT: Final = 1


_Event: Final = struct.Struct("@iIiiiiPq")
"""`espeak_EVENT`: type, identifier, text position, length, audio position, sample, user data, 8 bytes of union."""

_Callback: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

_thread: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix=NAME)
"""The only thread that touches the library, for the whole process; it starts with the first clause."""


_VOICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")


class EspeakVoice:
    """The `Voice` of this file. `voice` is a name of espeak-ng's: `en-us`, `de`, `en-us+f3` for a woman's."""

    name = NAME
    formats: tuple[AudioFormat, ...] = (PCM_22K,)

    def __init__(self, voice: str = DEFAULT_VOICE) -> None:
        self._voice = voice

    async def knows(self, voice: str) -> bool:
        """See `KnowsVoices`."""
        return await asyncio.get_running_loop().run_in_executor(_thread, _has_voice, voice)

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """See `Voice`. Raises `ProviderError` for another format or an unknown voice."""
        if format not in self.formats:
            raise ProviderError(NAME, f"speaks {self.formats}, not {format}", retryable=False)
        pause_ms = 0.0
        async for clause in clauses:
            spoken = await _in_thread(clause, voice or self._voice, speed)
            if not spoken.audio:
                continue  # nothing in it can be pronounced
            if pause_ms:
                yield Speech(format.silence * format.samples_in(bytes(format.bytes_in(pause_ms))))
            for piece in _pieces(clause, spoken):
                yield piece
            ends_sentence = clause.rstrip("\"')]”’»").endswith((".", "!", "?"))
            pause_ms = (SENTENCE_PAUSE_MS if ends_sentence else CLAUSE_PAUSE_MS) / speed


@dataclass(frozen=True, slots=True)
class _Spoken:
    """One clause, spoken, from its first sound on."""

    audio: bytes
    words: tuple[tuple[int, int], ...]
    """Where a word begins: (character of the text, sample of `audio`)."""


async def _in_thread(text: str, voice: str, speed: float) -> _Spoken:
    """Speak `text` in the library's thread. Given up, it stops within 20 ms of sound."""
    given_up = threading.Event()
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_thread, _speak, text, voice, speed, given_up.is_set)
    finally:
        given_up.set()


def _has_voice(voice: str) -> bool:
    """Blocking; in the library's thread only."""
    return _is_plain(voice) and _library().espeak_SetVoiceByName(voice.encode()) == _OK


def _is_plain(voice: str) -> bool:
    """The library takes some other texts, such as an empty one, for its default voice or a file's name."""
    return _VOICE_NAME.fullmatch(voice) is not None


def _speak(text: str, voice: str, speed: float, is_given_up: Callable[[], bool]) -> _Spoken:
    """Blocking; in the library's thread only."""
    library = _library()
    if library.espeak_SetVoiceByName(voice.encode()) != _OK:
        message = f"has no voice {voice!r}; `espeak-ng --voices` lists them, {DEFAULT_VOICE!r} is the default"
        raise ProviderError(NAME, message, retryable=False)
    wpm = OWN_PACE_WPM * speed
    # Every time, for the library keeps what the caller before wished.
    library.espeak_SetParameter(_RATE, max(SLOWEST_WPM, round(wpm)), _ABSOLUTE)
    audio = bytearray()
    words: list[tuple[int, int]] = []

    def hear(wave: int | None, samples: int, events: int) -> int:
        if is_given_up():
            return _ABORT
        if wave:
            audio.extend(ctypes.string_at(wave, samples * PCM_22K.encoding.bytes_per_sample))
        words.extend(_words_at(events))
        return _GO_ON

    callback = _Callback(hear)  # kept alive by this name until the library has returned
    library.espeak_SetSynthCallback(callback)
    utf8 = text.encode()
    if library.espeak_Synth(utf8, len(utf8) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None) != _OK:
        raise ProviderError(NAME, f"could not speak a text of {len(text)} characters", retryable=True)
    spoken = _trimmed(bytes(audio), words)
    return spoken if wpm >= SLOWEST_WPM else _slowed(library, spoken, wpm / SLOWEST_WPM)


def _words_at(address: int) -> Iterator[tuple[int, int]]:
    """Word events of the list at `address`: (character of the text, sample)."""
    while True:
        kind, _, position, _, _, sample, _, _ = _Event.unpack(ctypes.string_at(address, _Event.size))
        if kind == _EVENT_LIST_TERMINATED:
            return
        if kind == _EVENT_WORD:
            yield position - 1, sample  # the library counts characters from 1
        address += _Event.size


@cache
def _library() -> Any:
    """The library, once per process."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate_hz = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _CALLBACK_MS, data, _INITIALIZE_DONT_EXIT)
    if rate_hz != PCM_22K.rate_hz:
        message = f"did not start (espeak_Initialize gave {rate_hz}, expected {PCM_22K.rate_hz})"
        raise ProviderError(NAME, message, retryable=False)
    return library


def _slowed(library: Any, spoken: _Spoken, speed: float) -> _Spoken:
    """`spoken` at `speed` (below 1) of its pace and at the same pitch, by libsonic, which repeats whole periods.

    The library itself has it for more than 450 words a minute only. It is a C API of the same file, and a build
    may have left it out.
    """
    if not hasattr(library, "sonicCreateStream"):
        slowest = SLOWEST_WPM / OWN_PACE_WPM
        message = f"this build of espeak-ng has no libsonic; choose a speed of {slowest:.2f} or more"
        raise ProviderError(NAME, message, retryable=False)
    library.sonicCreateStream.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.sonicCreateStream(PCM_22K.rate_hz, 1))
    try:
        library.sonicSetSpeed(stream, ctypes.c_float(speed))
        library.sonicWriteShortToStream(stream, spoken.audio, PCM_22K.samples_in(spoken.audio))
        library.sonicFlushStream(stream)
        samples = library.sonicSamplesAvailable(stream)
        slow = ctypes.create_string_buffer(samples * PCM_22K.encoding.bytes_per_sample)
        library.sonicReadShortFromStream(stream, slow, samples)
    finally:
        library.sonicDestroyStream(stream)
    return _Spoken(slow.raw, tuple((at, round(sample / speed)) for at, sample in spoken.words))


def _trimmed(audio: bytes, words: list[tuple[int, int]]) -> _Spoken:
    """Without the silence in front, which a caller would hear as slowness."""
    loud = np.flatnonzero(np.abs(np.frombuffer(audio, dtype="<i2").astype(np.int32)) > _SILENCE_LEVEL)
    if not loud.size:
        return _Spoken(b"", ())
    first = int(loud[0])
    return _Spoken(audio[first * 2 :], tuple((at, max(0, sample - first)) for at, sample in words))


def _pieces(clause: str, spoken: _Spoken) -> list[Speech]:
    size = PCM_22K.bytes_in(PIECE_MS)
    sounds = [spoken.audio[start : start + size] for start in range(0, len(spoken.audio), size)]
    first = Speech(sounds[0], clause, _word_times(clause, spoken.words))
    return [first, *(Speech(sound) for sound in sounds[1:])]


def _word_times(clause: str, heard: tuple[tuple[int, int], ...]) -> tuple[WordTime, ...]:
    """A time for each word of `clause` as split at white space, whatever espeak-ng counts as words.

    It reports "30" of "9:30" by itself, each thousand of a number again, and "of the" as one word; a word it
    does not report begins with the last one it did.
    """
    times: list[WordTime] = []
    position, sample = 0, 0
    for word in clause.split():
        begins = clause.index(word, position)
        position = begins + len(word)
        sample = max(sample, next((s for at, s in heard if begins <= at < position), sample))
        times.append(WordTime(word, round(PCM_22K.ms_in(sample))))
    return tuple(times)


def voice(source: Source) -> EspeakVoice:
    """For the registry."""
    return EspeakVoice()
