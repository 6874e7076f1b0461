"""What became of one call under proof: what the caller's ear had of it, and where its stream broke. Pure.

All `…_ms` are on the call's sound clock, which begins with its first media stream; `…_s` on the machine's steady
clock. A hole in the agent's speech is judged by the recording: the voice under proof hums words of a known length
with a pause of a known length between them (`prove_witness.py`). Of any other agent, sound and quiet are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.cli.prove_witness import ANSWER_WORDS, GREETING_WORDS, PAUSE_MS, WORD_MS
from simulator.call_result import CallResult, EndReason, Happening
from simulator.sound import SAMPLES_PER_MS, Samples

AUDIBLE: Final = 500
"""Of 32,768: well below the voice's 4,000, well above silence."""

SPOKE_MS: Final = PAUSE_MS + 60
"""An agent whose last sound is no longer ago is speaking: the pause after a word, and some for the network."""

WHOLE_MS: Final = WORD_MS - 10
"""A word that sounds shorter was cut."""


@dataclass(frozen=True, slots=True)
class Run:
    """The agent was audible without a break: a word."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Break:
    """A stream ended that was not meant to."""

    at_s: float
    close_code: int | None
    gap_ms: float | None
    """Until the next stream began; None: there was none."""
    hole_ms: float | None
    """From the last sound to the next one, if the agent was in the middle of speaking, or until the caller took
    the silence for the end of it and spoke; None: it was not, or nothing more was heard."""
    was_speaking: bool
    is_in_word: bool
    """The last word was cut."""
    spoke_until_s: float | None
    """When the agent's last sound before it ended; None: there was none."""
    spoke_again_s: float | None

    @property
    def silence_ms(self) -> float | None:
        """What the caller had to bear."""
        return self.hole_ms if self.was_speaking else self.gap_ms


@dataclass(frozen=True, slots=True)
class Report:
    """See the module's docstring."""

    number: int
    call_sid: str
    end: EndReason
    began_s: float
    """When its first stream began; 0 for a call that had none."""
    ended_s: float
    turns: int
    """That the caller said."""
    unanswered: int
    impatient: int
    """How often the caller waited in vain for the agent."""
    breaks: tuple[Break, ...]
    longest_underrun_ms: float
    """Within an agent's sentence."""
    complaints: tuple[str, ...]
    spoken_verbs: tuple[str, ...]
    words: int
    """Of the agent's that were heard, cut ones included."""
    first_answer_ms: float | None
    """From the call's first webhook to its answer."""

    @property
    def is_lost(self) -> bool:
        """It ended although the caller wanted to go on, or nobody spoke with the caller any more."""
        return self.end is not EndReason.CALLER_HUNG_UP or self.is_silent

    @property
    def is_silent(self) -> bool:
        """The agent did not speak again after its stream had broken for the last time."""
        return bool(self.breaks) and self.impatient > 0 and self.breaks[-1].spoke_again_s is None


def report_of(number: int, result: CallResult, *, knows_words: bool = True) -> Report:
    """From everything that happened in the call. `knows_words`: the agent's voice and answers are those under
    proof, so that it is known how much it still had to say."""
    streams = _streams(result.happenings)
    runs = runs_of(result.agent_sound)
    zero_s = streams[0].zero_s if streams else 0.0
    caller = _Caller(
        starts_ms=tuple(one.at_ms for one in result.happenings if one.name == "caller.speaks"),
        stops_ms=tuple(one.at_ms for one in result.happenings if one.name == "caller.stops"),
        knows_words=knows_words,
    )
    breaks = tuple(
        _break(stream, streams[at + 1] if at + 1 < len(streams) else None, runs, caller, zero_s)
        for at, stream in enumerate(streams)
        if stream.by == "gateway" and not _is_end(result, at, len(streams))
    )
    asked = next((one for one in result.happenings if one.name == "webhook"), None)
    took = None if asked is None else asked.detail.get("took_ms")
    return Report(
        number=number,
        call_sid=result.call_sid,
        end=result.end_reason,
        began_s=zero_s,
        ended_s=result.happenings[-1].at_s if result.happenings else 0.0,
        turns=len(result.turns),
        unanswered=sum(turn.agent_heard_ms is None for turn in result.turns),
        impatient=sum(one.name == "caller.impatient" for one in result.happenings),
        breaks=breaks,
        longest_underrun_ms=max((underrun.gap_ms for underrun in result.underruns), default=0.0),
        complaints=tuple(f"{one.code}: {one.message}" for one in result.complaints),
        spoken_verbs=result.spoken_verbs,
        words=len(runs),
        first_answer_ms=float(took) if isinstance(took, int | float) else None,
    )


@dataclass(frozen=True, slots=True)
class _Stream:
    zero_s: float
    """Of the call's sound clock."""
    began_s: float
    ended_s: float
    by: str
    close_code: int | None


def _streams(happenings: Sequence[Happening]) -> list[_Stream]:
    found: list[_Stream] = []
    began: Happening | None = None
    for one in happenings:
        if one.name == "start":
            began = one
        elif one.name == "stream.ended" and began is not None:
            code = one.detail["close_code"]
            found.append(
                _Stream(
                    zero_s=began.at_s - began.at_ms / 1000,
                    began_s=began.at_s,
                    ended_s=one.at_s,
                    by=str(one.detail["by"]),
                    close_code=code if isinstance(code, int) else None,
                )
            )
            began = None
    return found


def _is_end(result: CallResult, at: int, count: int) -> bool:
    """Whether the stream of this place was the last because the gateway meant the call to end."""
    return at + 1 == count and result.end_reason is EndReason.HANGUP_VERB and not result.spoken_verbs


@dataclass(frozen=True, slots=True)
class _Caller:
    starts_ms: tuple[float, ...]
    stops_ms: tuple[float, ...]
    knows_words: bool

    def is_spoken_to(self, before: Sequence[Run], at_ms: float) -> bool:
        """Whether the agent is in the middle of what it has to say."""
        since_ms = max((stop for stop in self.stops_ms if stop <= at_ms), default=-1.0)
        if not self.knows_words:
            return bool(before) and at_ms - before[-1].end_ms <= SPOKE_MS
        words = sum(run.start_ms > since_ms for run in before)
        return 0 < words < (GREETING_WORDS if since_ms < 0 else ANSWER_WORDS)


def _break(
    stream: _Stream, following: _Stream | None, runs: Sequence[Run], caller: _Caller, zero_s: float
) -> Break:
    at_ms = (stream.ended_s - zero_s) * 1000
    before = [run for run in runs if run.start_ms <= at_ms]
    last = before[-1] if before else None
    again_ms = next((run.start_ms for run in runs if run.start_ms > at_ms), None)
    taken_ms = min((start for start in caller.starts_ms if start > at_ms), default=None)
    until_ms = min((each for each in (again_ms, taken_ms) if each is not None), default=None)
    was_speaking = caller.is_spoken_to(before, at_ms)
    is_near = last is not None and at_ms - last.end_ms <= SPOKE_MS
    return Break(
        at_s=stream.ended_s,
        close_code=stream.close_code,
        gap_ms=None if following is None else (following.began_s - stream.ended_s) * 1000,
        hole_ms=until_ms - last.end_ms if was_speaking and last and until_ms is not None else None,
        was_speaking=was_speaking,
        is_in_word=is_near and last is not None and last.end_ms - last.start_ms < WHOLE_MS,
        spoke_until_s=None if last is None else zero_s + last.end_ms / 1000,
        spoke_again_s=None if again_ms is None else zero_s + again_ms / 1000,
    )


def runs_of(sound: Samples) -> list[Run]:
    """Where it is audible, to the millisecond."""
    whole = len(sound) // SAMPLES_PER_MS
    loudest = np.abs(sound[: whole * SAMPLES_PER_MS].astype(np.int32)).reshape(whole, SAMPLES_PER_MS).max(axis=1)
    is_audible = np.concatenate(([False], loudest >= AUDIBLE, [False]))
    edges = np.flatnonzero(is_audible[1:] != is_audible[:-1])
    return [Run(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
