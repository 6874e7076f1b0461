"""An answer begun before it is certain that the caller has finished, and kept back until it is.

Nothing of it is reported before the turn is committed, so nothing of it can be heard, shown or done: what it has
made waits here, a few seconds of sound at most. If the caller goes on, or turns out to have said something else,
it is thrown away. Otherwise it becomes the answer, with its head start.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.audio.formats import AudioFormat
from pipeline.commands import Anticipate, Respond
from pipeline.costs import Used
from pipeline.events.items import InputAudio, Item, Message
from pipeline.provider import Prompt
from pipeline.reports import AudioMade, Failed, Finished, Report, TextEnded, TextMade, ToolRequested

log = logging.getLogger(__name__)

MOST_KEPT_S = 3.0
"""Of sound; the voice waits then. Turns are committed within a second of the first guess."""

Making: TypeAlias = AudioMade | Failed | Finished | TextEnded | TextMade | ToolRequested


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an answer that is being made tells of itself."""

    report: Callable[[Report], None]
    room: Callable[[], Awaitable[None]]
    first_clause: Callable[[], None]
    used: Callable[[str, tuple[Used, ...]], None] = lambda _response_id, _used: None
    """What went into an answer that was not finished; into none, if the id is empty."""


class Anticipation:
    """One such answer. `stage` is where it goes once it is wanted; `now` counts seconds."""

    def __init__(
        self,
        command: Anticipate,
        format: AudioFormat,
        answer: Callable[[Respond, AudioFormat, Stage], Awaitable[None]],
        stage: Stage,
        now: Callable[[], float],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.command = command
        self._format = format
        self._stage = stage
        self._now = now
        self._began_s = now()
        self._response_id: str | None = None
        self._kept: deque[Making] = deque()
        self._kept_s = 0.0
        self._has_clause = False
        self._is_wanted = asyncio.Event()
        self._making: asyncio.Task[None] | None = tasks.create_task(
            self._make(answer, Stage(self._report, self._room, self._first_clause, self._used)), name="anticipation"
        )

    @property
    def words(self) -> int:
        """Of the answer, made so far."""
        return sum(len(made.text.split()) for made in self._kept if isinstance(made, TextMade))

    @property
    def has_failed(self) -> bool:
        return any(isinstance(made, Failed) for made in self._kept)

    def suits(self, command: Respond, format: AudioFormat) -> bool:
        """Whether it is the answer that is asked for now."""
        begun = self.command.respond
        return (
            not self.has_failed
            and command.script is None
            and (command.speaks, command.voice, command.speed) == (begun.speaks, begun.voice, begun.speed)
            and (command.format or format) == self._format
            and asks_the_same(begun.prompt, command.prompt)
        )

    @property
    def head_start_s(self) -> float:
        """How long it has been in the making."""
        return self._now() - self._began_s

    async def become(self, response_id: str) -> None:
        """Be the answer of this id, until it is all made."""
        making = self._making
        assert making is not None, "it was not abandoned"
        self._response_id = response_id
        if self._has_clause:
            self._stage.first_clause()
        try:
            while self._kept:  # more may be made while there is no room
                made = self._kept.popleft()
                self._stage.report(dataclasses.replace(made, response_id=response_id))
                if isinstance(made, AudioMade):
                    await self._stage.room()
            self._is_wanted.set()
            await asyncio.shield(making)
        finally:
            self._settle()  # whoever waited for it was cancelled, or it is done

    def abandon(self) -> None:
        """It is not wanted; what went into it is told as wasted."""
        self._settle()

    async def _make(self, answer: Callable[[Respond, AudioFormat, Stage], Awaitable[None]], stage: Stage) -> None:
        try:
            await answer(self.command.respond, self._format, stage)
        except Exception:
            log.exception("an answer that was anticipated failed by a fault of ours")
            self._report(Failed("", "internal_error", "internal error"))

    def _report(self, report: Report) -> None:
        assert isinstance(report, Making), "an answer tells of nothing else"
        if self._is_wanted.is_set() and self._response_id is not None:
            self._stage.report(dataclasses.replace(report, response_id=self._response_id))
            return
        self._kept.append(report)
        if isinstance(report, AudioMade):
            self._kept_s += self._format.seconds_of(report.audio)

    def _settle(self) -> None:
        """Nobody will hear the end that is kept here, but it must be paid for."""
        if self._making is not None:
            self._making.cancel()
            self._making = None  # what is cancelled holds what it ran in, and that is here
        for made in self._kept:
            if isinstance(made, Finished):
                self._used(made.response_id, made.used)

    def _used(self, _response_id: str, used: tuple[Used, ...]) -> None:
        if self._response_id is None:
            self._stage.used("", tuple(each.wasted() for each in used))
        else:
            self._stage.used(self._response_id, used)

    async def _room(self) -> None:
        if self._kept_s >= MOST_KEPT_S:
            await self._is_wanted.wait()
        if self._is_wanted.is_set():
            await self._stage.room()

    def _first_clause(self) -> None:
        self._has_clause = True
        if self._is_wanted.is_set():
            self._stage.first_clause()


def asks_the_same(guessed: Prompt, asked: Prompt) -> bool:
    """Whether two prompts differ in nothing a model would answer differently: the last thing the caller said may be
    written otherwise, with the same words."""
    if dataclasses.replace(guessed, items=()) != dataclasses.replace(asked, items=()):
        return False
    if len(guessed.items) != len(asked.items) or guessed.items[:-1] != asked.items[:-1]:
        return False
    return not asked.items or _words(guessed.items[-1]) == _words(asked.items[-1])


def _words(item: Item) -> object:
    """What is compared of the last item: a caller's words without case and punctuation, all else as it is."""
    is_spoken = isinstance(item, Message) and item.role == "user" and isinstance(item.content[0], InputAudio)
    if not is_spoken:
        return item
    assert isinstance(item, Message)
    return (item.id, tuple(re.findall(r"\w+", item.text.casefold())))
