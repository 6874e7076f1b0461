"""What stands around an engine in tests: scripted providers, an ear that hears exactly, a phone that plays by the
loop's clock. Each does what its script says and writes down what was asked of it; none of them guesses.

All sound is µ-law. `VOICE_BYTE` is the caller's voice: an ear scores windows of it as speech. A piece of an agent's
speech is any sound at all, `WORD_MS` long for each word.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from pipeline.audio.formats import PCMU, AudioFormat
from pipeline.events.backchannel import BackchannelAudioDelta
from pipeline.events.event import ServerEvent
from pipeline.events.response import OutputAudioDelta
from pipeline.provider import ModelOutput, Prompt, ProviderError, Speech, TextDelta, Transcript, WordTime
from pipeline.reports import Played, Report, SpeechScored
from pipeline.turn.speech_activity import SpeechActivity

VOICE_BYTE: Final = b"\x10"
SPEECH_BYTE: Final = b"\x20"
WINDOW_SAMPLES: Final = 256
FRAME_MS: Final = 20
WORD_MS: Final = 200
LEAD_MS: Final = 300
"""A phone takes no more sound ahead of its loudspeaker."""


class Ids:
    """`make_id` that counts: item_1, item_2, …; all events are `event`, since no test cares which is which."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __call__(self, prefix: str) -> str:
        if prefix == "event":
            return prefix
        self._counts[prefix] += 1
        return f"{prefix}_{self._counts[prefix]}"


@dataclass(frozen=True)
class Wait:
    """Do nothing for so long."""

    seconds: float


STALL: Final = Wait(1e9)
"""Say nothing any more."""

Step: TypeAlias = str | ModelOutput | Wait | Exception
"""A model's: a word or more, another output, a wait, or its end."""


def failure(provider: str = "fake") -> ProviderError:
    return ProviderError(provider, "is out of order", retryable=False)


class FakeTranscriber:
    """Understands its script, an utterance each: words, said when the utterance ends; a wait; a failure.

    It begins to listen after `deaf_s`, and never with `early`: then it says everything at once.
    """

    name = "fake-stt"

    def __init__(
        self,
        *script: Sequence[str | Wait | Exception] | str,
        formats: tuple[AudioFormat, ...] = (PCMU,),
        early: bool = False,
        deaf_s: float = 0.0,
    ) -> None:
        self.formats = formats
        self.heard: list[bytes] = []
        self.asked: list[tuple[AudioFormat, str | None]] = []
        self.running = 0
        self._script = deque(script)
        self._early = early
        self._deaf_s = deaf_s

    async def transcribe(
        self, audio: AsyncIterator[bytes], *, format: AudioFormat, language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        self.running += 1
        self.asked.append((format, language))
        heard = len(self.heard)
        self.heard.append(b"")
        entry = self._script.popleft() if self._script else ""
        steps: Sequence[str | Wait | Exception] = [entry] if isinstance(entry, str) else entry
        try:
            await asyncio.sleep(self._deaf_s)
            if not self._early:
                async for sound in audio:
                    self.heard[heard] += sound
            for number, step in enumerate(steps):
                match step:
                    case str():
                        yield Transcript(step, is_final=number + 1 == len(steps))
                    case Wait():
                        await asyncio.sleep(step.seconds)
                    case _:
                        raise step
        finally:
            self.running -= 1


class FakeModel:
    """Answers by its script, an answer each; after its end it says nothing."""

    name = "fake-llm"

    def __init__(self, *script: Sequence[Step] | str, takes_images: bool = False) -> None:
        self.takes_images = takes_images
        self.prompts: list[Prompt] = []
        self.running = 0
        self._script = deque(script)

    async def respond(self, prompt: Prompt) -> AsyncGenerator[ModelOutput, None]:
        self.running += 1
        self.prompts.append(prompt)
        entry = self._script.popleft() if self._script else ""
        steps: Sequence[Step] = [entry] if isinstance(entry, str) else entry
        try:
            for step in steps:
                match step:
                    case str():
                        yield TextDelta(step)
                    case Wait():
                        await asyncio.sleep(step.seconds)
                    case Exception():
                        raise step
                    case _:
                        yield step
        finally:
            self.running -= 1


class FakeVoice:
    """Speaks `WORD_MS` a word, a piece a word. Before clause number n it does what `before[n]` says.

    `gives_up_after`: clauses after which it ends as if all were said. `asks_ahead`: it takes in all it is to say
    before it speaks, as services do that have one stream for text and one for sound.
    """

    name = "fake-tts"

    def __init__(
        self,
        before: dict[int, Wait | Exception] | None = None,
        *,
        formats: tuple[AudioFormat, ...] = (PCMU,),
        tells_times: bool = True,
        gives_up_after: int | None = None,
        asks_ahead: bool = False,
    ) -> None:
        self.formats = formats
        self.clauses: list[str] = []
        self.asked: list[tuple[AudioFormat, str | None]] = []
        self.speeds: list[float] = []
        """The speed asked for, beside each of `asked`; whatever it is, a word lasts `WORD_MS`."""
        self.running = 0
        self._before = before or {}
        self._tells_times = tells_times
        self._gives_up_after = gives_up_after
        self._asks_ahead = asks_ahead

    async def speak(
        self, clauses: AsyncIterator[str], *, format: AudioFormat, voice: str | None, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        self.running += 1
        self.asked.append((format, voice))
        self.speeds.append(speed)
        try:
            if self._asks_ahead:
                clauses = _stream_of([clause async for clause in clauses])
            async for clause in clauses:
                step = self._before.get(len(self.clauses))
                self.clauses.append(clause)
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                elif step is not None:
                    raise step
                words = clause.split()
                times = (
                    tuple(WordTime(word, at * WORD_MS) for at, word in enumerate(words))
                    if self._tells_times
                    else ()
                )
                sound = SPEECH_BYTE * format.bytes_in(WORD_MS)
                for number in range(len(words)):
                    yield Speech(sound) if number else Speech(sound, clause, times)
                if len(self.clauses) == self._gives_up_after:
                    return
        finally:
            self.running -= 1


async def _stream_of(clauses: list[str]) -> AsyncIterator[str]:
    for clause in clauses:
        yield clause


class FakePhone:
    """A transport that plays by the loop's clock, takes `LEAD_MS` ahead, and writes down all it is told, in order.

    `play` must run beside it. `jams` has it never take sound again once it is full.
    """

    def __init__(self, *, plays: bool = True, jams: bool = False) -> None:
        self.plays = plays
        self.told: list[ServerEvent | str] = []
        """Events, and `flush` for each flush."""
        self.position = 0
        self._waiting = 0
        self._jams = jams
        self._has_room = asyncio.Event()
        self._has_room.set()

    def send(self, event: ServerEvent) -> None:
        self.told.append(event)
        if isinstance(event, OutputAudioDelta):
            self._hold(self._waiting + len(event.delta))
        elif isinstance(event, BackchannelAudioDelta):
            self._hold(self._waiting + len(event.line))

    def flush(self) -> int:
        self.told.append("flush")
        self._hold(0)
        return self.position

    async def room(self) -> None:
        await self._has_room.wait()

    async def play(self, report: Callable[[Report], None]) -> None:
        """Play for ever, a frame at a time."""
        while True:
            await asyncio.sleep(FRAME_MS / 1000)
            played = min(self._waiting, PCMU.bytes_in(FRAME_MS))
            if played and not self._jams:
                self._hold(self._waiting - played)
                self.position += played
                report(Played(self.position))

    def _hold(self, waiting: int) -> None:
        self._waiting = waiting
        if self.plays and waiting > PCMU.bytes_in(LEAD_MS):
            self._has_room.clear()
        else:
            self._has_room.set()

    @property
    def kinds(self) -> list[str]:
        """The types of all it was told, repetitions left out."""
        kinds = [e if isinstance(e, str) else type(e).__name__ for e in self.told]
        return [kind for at, kind in enumerate(kinds) if not at or kinds[at - 1] != kind]


class FakeEar:
    """Scores every window of sound, one loop step after it was heard: speech if it holds any `VOICE_BYTE`."""

    def __init__(self, report: Callable[[SpeechScored], None]) -> None:
        self.is_closed = False
        self._report = report
        self._sound = b""
        self._end = 0
        self._loud_until = 0

    def hear(self, audio: bytes) -> None:
        self._sound += audio
        while len(self._sound) >= WINDOW_SAMPLES:
            window, self._sound = self._sound[:WINDOW_SAMPLES], self._sound[WINDOW_SAMPLES:]
            last = window.rfind(VOICE_BYTE)
            if last >= 0:
                self._loud_until = self._end + last + 1
            self._end += WINDOW_SAMPLES
            score = SpeechScored(self._end, 0.9 if last >= 0 else 0.1, self._loud_until)
            asyncio.get_running_loop().call_soon(self._tell, score)

    def close(self) -> None:
        self.is_closed = True

    def _tell(self, score: SpeechScored) -> None:
        if not self.is_closed:
            self._report(score)


class FakeActivity:
    """The shared service as far as one engine sees it. `is_stuck`: its thread never comes round to any window."""

    def __init__(self, *, is_stuck: bool = False) -> None:
        self.ears: list[FakeEar] = []
        self.formats: list[AudioFormat] = []
        self._is_stuck = is_stuck

    def open(self, format: AudioFormat, report: Callable[[SpeechScored], None]) -> FakeEar:
        self.formats.append(format)
        self.ears.append(FakeEar((lambda _: None) if self._is_stuck else report))
        return self.ears[-1]

    @property
    def as_service(self) -> SpeechActivity:
        """For the type checker: engines name the one real service, of which they use `open` alone."""
        return cast("SpeechActivity", self)
