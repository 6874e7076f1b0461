"""The output audio buffer as its events tell it: whose sound began to be heard, and whether to its end.

For transports that play; one `started` for each response that is heard, then one `stopped` or `cleared`
(Realtime reference, section E.1). Positions are the playback ledger's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.commands import Command
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import DtmfEventReceived, SpeechStarted
from pipeline.events.output_audio import (
    OutputAudioBufferCleared,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
)

Output: TypeAlias = ServerEvent | Command

Happened: TypeAlias = tuple[Literal["started", "stopped", "cleared"], str]
"""What, and to the sound of which response."""

_TOLD = (OutputAudioBufferStarted, OutputAudioBufferStopped, OutputAudioBufferCleared)
_STOPS = (SpeechStarted, DtmfEventReceived)
"""What the caller does that stops our sound."""


def in_order(waiting: Iterable[Output], flushed: Iterable[Output]) -> list[Output]:
    """Everything that is to be told when the line was flushed: that our sound has stopped right behind what has
    stopped it, what that cuts off the conversation at the very end (Realtime reference, section D.8)."""
    rest, told = list(waiting), list(flushed)
    begins = 1 if rest and isinstance(rest[0], _STOPS) else 0
    first = [one for one in told if isinstance(one, _TOLD)]
    return [*rest[:begins], *first, *rest[begins:], *(one for one in told if not isinstance(one, _TOLD))]


@dataclass(slots=True)
class _Stretch:
    """A response's sound on the line."""

    response_id: str
    begins: int
    ends: int
    is_whole: bool = False
    """No more will be made."""
    is_heard: bool = False


class Playout:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()

    def write(self, response_id: str, begins: int, ends: int) -> None:
        """Sound of a response was put on the line."""
        if begins == ends:
            return  # no sound at all: a transcoder may hold back its first samples
        last = self._stretches[-1] if self._stretches else None
        if last is not None and last.response_id == response_id:
            last.ends = ends
        else:
            self._stretches.append(_Stretch(response_id, begins, ends))

    def finish(self, response_id: str, position: int) -> list[Happened]:
        """A response is done; its sound may still be playing."""
        for stretch in self._stretches:
            if stretch.response_id == response_id:
                stretch.is_whole = True
        return self.play(position)

    def play(self, position: int) -> list[Happened]:
        """The loudspeaker has come this far."""
        happened: list[Happened] = []
        while self._stretches and position > self._stretches[0].begins:
            stretch = self._stretches[0]
            if not stretch.is_heard:
                stretch.is_heard = True
                happened.append(("started", stretch.response_id))
            if position < stretch.ends or not stretch.is_whole:
                break
            self._stretches.popleft()
            happened.append(("stopped", stretch.response_id))
        return happened

    def flush(self, position: int) -> list[Happened]:
        """Everything after `position` was thrown away."""
        happened = self.play(position)
        happened += [("cleared", stretch.response_id) for stretch in self._stretches if stretch.is_heard]
        self._stretches.clear()
        return happened
