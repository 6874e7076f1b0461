"""One answer as a remote Realtime service makes it: its events, from being asked for to its end.

Events are put down as they come, faster than they are heard; whoever tells the session of them takes them from here
in its own time. An answer is made on one connection; asked again on another, it is another of these.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from typing import Final

from pipeline.audio.formats import AudioFormat
from pipeline.provider import ProviderError
from pipeline.upstream.captions import Captions
from pipeline.upstream.wire import Called, Ended, ItemBegan, OfResponse, Sound, SoundDone, Text, Usage

MOST_SOUND_BYTES: Final = 16 * 1024 * 1024
"""Of sound nobody has taken yet: half an hour on the telephone. Past it, the answer has failed."""


class AnswerState(enum.Enum):
    ASKED = "asked"
    RUNNING = "running"
    """The remote has said that it makes it."""
    CANCELLED = "cancelled"
    """We want no more of it."""
    OVER = "over"


LEGAL_STEPS: Final[dict[AnswerState, frozenset[AnswerState]]] = {
    AnswerState.ASKED: frozenset({AnswerState.RUNNING, AnswerState.CANCELLED, AnswerState.OVER}),
    AnswerState.RUNNING: frozenset({AnswerState.CANCELLED, AnswerState.OVER}),
    AnswerState.CANCELLED: frozenset({AnswerState.OVER}),
    AnswerState.OVER: frozenset(),
}


class Answer:
    """`format`: how the remote writes its sound. `is_aside`: out of band, in no conversation."""

    def __init__(self, response_id: str, format: AudioFormat, *, is_aside: bool) -> None:
        self.id = response_id
        self.format = format
        self.is_aside = is_aside
        self.theirs: str | None = None
        """The remote's id, once it has begun."""
        self.state = AnswerState.ASKED
        self.captions = Captions()
        self.is_told = False
        """Something of it was passed on: it can no longer be asked for again."""
        self.sound_s = 0.0
        """Of its sound, come so far."""
        self.settled: Callable[[Usage], None] = lambda _: None
        """Called when the remote says what it took, which it does of a cancelled one as well."""
        self._events: deque[OfResponse] = deque()
        self._failure: ProviderError | None = None
        self._news = asyncio.Event()
        self._waiting_bytes = 0

    def step(self, state: AnswerState) -> None:
        if state not in LEGAL_STEPS[self.state]:
            raise AssertionError(f"an answer that is {self.state.value} cannot become {state.value}")
        self.state = state
        self._news.set()

    def begin(self, theirs: str) -> None:
        """The remote makes it, under this id."""
        self.theirs = theirs
        if self.state is AnswerState.ASKED:
            self.step(AnswerState.RUNNING)

    def take(self, event: OfResponse) -> None:
        """Something of it has come. What comes after a cancelling is of no interest."""
        if self.state is not AnswerState.RUNNING:
            return
        match event:
            case Text(delta=delta):
                self.captions.push(delta)
            case Sound(audio=audio):
                seconds = self.format.seconds_of(audio)
                self.sound_s += seconds
                self.captions.sound(seconds * 1000)
                self._waiting_bytes += len(audio)
                if self._waiting_bytes > MOST_SOUND_BYTES:
                    self.fail(ProviderError("remote", "made more sound than anybody listens to", retryable=False))
                    return
            case SoundDone() | Called() | ItemBegan():
                pass
            case Ended():
                self.captions.finish()
        self._events.append(event)
        self._news.set()

    def fail(self, failure: ProviderError) -> None:
        """Nothing more of it will come."""
        if self.state in (AnswerState.ASKED, AnswerState.RUNNING):
            self._failure = failure
            self.step(AnswerState.OVER)

    async def began(self, limit_s: float) -> None:
        """Wait until the remote makes it. Raises TimeoutError, or the `ProviderError` it failed with."""
        async with asyncio.timeout(limit_s):
            while self.state is AnswerState.ASKED:
                await self._wait()
        if self.state is AnswerState.OVER and self._failure is not None:
            raise self._failure

    async def next(self, limit_s: float) -> OfResponse:
        """The next event. Raises TimeoutError, or, once all that came has been taken, what it failed with."""
        if not self._events:
            async with asyncio.timeout(limit_s):
                while not self._events and self._failure is None:
                    await self._wait()
        if not self._events:
            assert self._failure is not None
            raise self._failure
        event = self._events.popleft()
        if isinstance(event, Sound):
            self._waiting_bytes -= len(event.audio)
        return event

    @property
    def has_all(self) -> bool:
        """It has ended, and no sound of it is left to be taken but what was just taken."""
        return (
            bool(self._events)
            and not any(isinstance(event, Sound) for event in self._events)
            and isinstance(self._events[-1], Ended)
        )

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()
