"""Speech to text without a network: PocketSphinx with the English model of its wheel.

A decoder of the nineties' kind: good enough for a demonstration and for tests, not for strangers on bad lines.
On telephone sound of two synthetic voices its open vocabulary gets one word in nine wrong, and one in two; with the
phrases an agent expects (`phrases.py`) none. Sound is matched with the phrases while it arrives; only an utterance
that fits none of them is decoded again, with the open vocabulary at last.

A decoder holds 91 MB and one utterance, so there are few, each with one thread of its own: an utterance borrows one
and, when it is given up, the thread finishes what it is at before the next borrower's first step. Nothing here
knows of calls or sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pocketsphinx

from pipeline.audio.formats import PCM_16K, AudioFormat
from pipeline.provider import ProviderError, Transcript
from pipeline.providers.phrases import SOUNDS, is_expected, phrase_grammar, words_of
from pipeline.providers.source import Source

NAME: Final = "pocketsphinx"

PIECE_MS: Final = 100
"""Sound is decoded in pieces of this length: one thread hop costs as much as 2 ms of decoding."""

WAIT_MS: Final = 3_000
"""For a free decoder. A caller who gets no answer within this time is better told so."""

SECOND_LOOK_MS: Final = 8_000
"""At most this much of an unexpected utterance is decoded again: at a quarter of real time, 2 s."""

TELEPHONE_COLOUR: Final = "43.81,29.51,-28.24,47.10,-23.04,4.18,11.30,-20.17,12.36,-14.10,8.47,1.63,-7.02"
"""Mean cepstrum of speech that came over 8 kHz µ-law, which the decoder subtracts until it has heard enough to
know the line: the mean of six sentences of flite's `awb` and `kal16`. With the model's own, made for microphones,
an utterance is not understood at all (95 % of the words wrong instead of 11 %, with phrases
62 % instead of none)."""

_OPEN_VOCABULARY: Final = "_default"  # the name pocketsphinx gives the language model it was built with
_PHRASES: Final = "phrases"


class PocketsphinxTranscriber:
    """The `Transcriber` of this file. `decoders` utterances at once; more wait for `wait_ms` and then fail."""

    name = NAME
    formats: tuple[AudioFormat, ...] = (PCM_16K,)

    def __init__(self, phrases: Sequence[str] = (), *, decoders: int = 1, wait_ms: int = WAIT_MS) -> None:
        if decoders < 1:
            raise ValueError(f"{NAME}: needs at least 1 decoder, got {decoders}")
        self._wait_ms = wait_ms
        # Last in, first out: a second decoder is loaded only when two utterances overlap.
        self._free: asyncio.LifoQueue[_Desk] = asyncio.LifoQueue(maxsize=decoders)
        for number in range(decoders):
            self._free.put_nowait(_Desk(number, tuple(phrases)))

    async def prepare(self) -> None:
        """Load one decoder now, 0.3 s, instead of in the first caller's first utterance."""
        desk = await self._borrow()
        try:
            await desk.run(desk.recogniser.load)
        finally:
            self._free.put_nowait(desk)

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """See `Transcriber`. Raises `ProviderError` for another format or language, or if no decoder gets free."""
        if format not in self.formats:
            raise ProviderError(NAME, f"hears {self.formats}, not {format}", retryable=False)
        if language is not None and language.lower().partition("-")[0] != "en":
            raise ProviderError(NAME, f"understands English only, not {language!r}", retryable=False)
        desk = await self._borrow()
        try:
            await desk.run(desk.recogniser.begin)
            last = ""
            async for piece in _pieces(audio, format.bytes_in(PIECE_MS)):
                text = await desk.run(desk.recogniser.hear, piece)
                if text and text != last:
                    last = text
                    yield Transcript(text, is_final=False)
            yield Transcript(await desk.run(desk.recogniser.finish), is_final=True)
        finally:
            self._free.put_nowait(desk)

    async def _borrow(self) -> _Desk:
        try:
            async with asyncio.timeout(self._wait_ms / 1000):
                return await self._free.get()
        except TimeoutError:
            message = f"all {self._free.maxsize} decoders were busy for {self._wait_ms} ms; allow more decoders"
            raise ProviderError(NAME, message, retryable=True) from None


async def _pieces(audio: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same sound in pieces of at least `size` bytes, whole samples each, the last one shorter."""
    waiting = bytearray()
    async for sound in audio:
        waiting += sound
        if len(waiting) >= size:
            whole = len(waiting) & ~1
            yield bytes(waiting[:whole])
            del waiting[:whole]
    if len(waiting) >= 2:
        yield bytes(waiting[: len(waiting) & ~1])


class _Desk:
    """One decoder and the one thread that may touch it; steps run in the order they were asked for."""

    def __init__(self, number: int, phrases: tuple[str, ...]) -> None:
        self.recogniser = _Recogniser(phrases)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{NAME}-{number}")

    async def run(self, step: Any, *arguments: Any) -> Any:
        """What `step` returns. The library's own errors become a `ProviderError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step, *arguments)
        except RuntimeError as error:
            raise ProviderError(NAME, f"the decoder failed: {error}", retryable=True) from error


class _Recogniser:
    """One decoder, blocking: `begin`, then `hear` as often as there is sound, then `finish` or again `begin`."""

    def __init__(self, phrases: tuple[str, ...]) -> None:
        self._phrases = phrases
        self._decoder: Any = None
        self._is_hearing = False
        self._heard = bytearray()

    def load(self) -> None:
        """Once; later calls do nothing. Raises `ProviderError` for phrases that cannot be recognised."""
        if self._decoder is not None:
            return
        # Two more passes would run after the caller stops: `fwdflat` takes 50 to 150 ms there and gains nothing,
        # `bestpath` takes up to half a minute on the loop of single sounds.
        decoder = pocketsphinx.Decoder(samprate=PCM_16K.rate_hz, loglevel="FATAL", fwdflat=False, bestpath=False)
        if self._phrases:
            _teach(decoder, self._phrases)
        self._decoder = decoder

    def begin(self) -> None:
        self.load()
        if self._is_hearing:  # the last utterance was given up
            self._decoder.end_utt()
        self._heard.clear()
        self._decoder.set_cmn(TELEPHONE_COLOUR)  # one caller's line must not colour the next one's
        self._decoder.activate_search(_PHRASES if self._phrases else _OPEN_VOCABULARY)
        self._decoder.start_utt()
        self._is_hearing = True

    def hear(self, pcm16: bytes) -> str:
        """What all sound so far seems to say; empty while it fits no phrase."""
        if self._phrases and len(self._heard) < PCM_16K.bytes_in(SECOND_LOOK_MS):
            self._heard += pcm16
        self._decoder.process_raw(pcm16)
        return self._text()

    def finish(self) -> str:
        """What was said; empty if nothing was understood."""
        self._decoder.end_utt()
        self._is_hearing = False
        text = self._text()
        # Heard as a whole the line's colour is known exactly, which saves a phrase on a faint line.
        for search in (_PHRASES, _OPEN_VOCABULARY):
            if text or not self._heard:
                break
            text = self._look_again(search)
        return text

    def _look_again(self, search: str) -> str:
        self._decoder.activate_search(search)
        self._decoder.start_utt()
        self._decoder.process_raw(bytes(self._heard), full_utt=True)
        self._decoder.end_utt()
        return self._text()

    def _text(self) -> str:
        hypothesis = self._decoder.hyp()
        text = str(hypothesis.hypstr).lower() if hypothesis else ""
        return text if is_expected(text) else ""


def _teach(decoder: Any, phrases: tuple[str, ...]) -> None:
    strangers = [word for word in words_of(phrases) if decoder.lookup_word(word) is None]
    if strangers:
        message = f"phrases use words that are not in its English dictionary: {', '.join(strangers)}"
        raise ProviderError(NAME, message, retryable=False)
    last = list(SOUNDS)[-1]
    for word, phone in SOUNDS.items():
        decoder.add_word(word, phone, word == last)  # the dictionary is rebuilt once, with the last
    try:
        decoder.add_jsgf_string(_PHRASES, phrase_grammar(phrases))
    except (RuntimeError, ValueError) as error:
        message = f"phrases are not a JSGF expansion each: {error}"
        raise ProviderError(NAME, message, retryable=False) from error


def transcriber(source: Source) -> PocketsphinxTranscriber:
    """For the registry."""
    return PocketsphinxTranscriber(source.agent.phrases, decoders=source.decoders)
