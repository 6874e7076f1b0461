"""Murmurs: the session's part of a backchannel. What is heard of one, in order, and whether it may be heard. Pure.

A murmur is sound without an item: the conversation does not hold it, the playback ledger counts its samples and
no words, and nobody can interrupt it, because it is nobody's turn.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.answers import Answers
from pipeline.audio.formats import PCM_24K
from pipeline.audio.transcode import transcode
from pipeline.events import backchannel as wire
from pipeline.events.event import ServerEvent
from pipeline.output_line import OutputLine
from pipeline.phase import Phase
from pipeline.turns import Turns

LONGEST_DELTA_MS = 400
"""As of every delta (Realtime reference, section A.1)."""


class Murmurs:
    """Of one session, which makes it."""

    def __init__(self, turns: Turns, answers: Answers, line: OutputLine, make_id: Callable[[str], str]) -> None:
        self._turns = turns
        self._answers = answers
        self._line = line
        self._make_id = make_id

    @property
    def is_welcome(self) -> bool:
        """The caller speaks, and nobody answers."""
        if self._turns.listening.current is None or self._answers.phase is not Phase.TALKING:
            return False
        return not (self._answers.is_busy or self._turns.is_over_answer)

    def begin(self) -> str:
        """The id of an attempt."""
        return self._make_id("bc")

    def say(self, id: str, phrase: str, sound: bytes) -> list[ServerEvent]:
        """Let the caller hear `sound` (PCM16, 24 kHz), at once and whole. Nothing follows unless it is welcome."""
        if not self.is_welcome:
            return []
        line = b""
        if self._line.is_telephone:
            line = transcode(sound, PCM_24K, self._line.format)
            self._line.murmur(line)
        return [
            *self._deltas(id, sound, line),
            wire.BackchannelAudioDone(event_id=self._make_id("event"), backchannel_id=id, phrase=phrase),
        ]

    def skip(self, reason: wire.SkipReason, id: str | None = None) -> list[ServerEvent]:
        """Nothing is said; `id` if there was an attempt."""
        return [wire.BackchannelSkipped(event_id=self._make_id("event"), backchannel_id=id, reason=reason)]

    def _deltas(self, id: str, sound: bytes, line: bytes) -> list[ServerEvent]:
        size, line_size = PCM_24K.bytes_in(LONGEST_DELTA_MS), self._line.format.bytes_in(LONGEST_DELTA_MS)
        count = -(-len(sound) // size)
        return [
            wire.BackchannelAudioDelta(
                event_id=self._make_id("event"),
                backchannel_id=id,
                delta=sound[at * size : (at + 1) * size],
                # A change of rate may leave a sample more: the last piece takes the rest.
                line=line[at * line_size : None if at + 1 == count else (at + 1) * line_size],
            )
            for at in range(count)
        ]
