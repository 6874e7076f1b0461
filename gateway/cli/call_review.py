"""What the two records of a call say together: the simulator's, which is the truth, and the gateway's journal.

Pure. Times are milliseconds on the call's sound clock. The gateway counts the same milliseconds: those of the sound
it was sent on a stream. Without a journal everything is known but words and stages.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.cli.call_events import Entry, sound_zero_s
from simulator.call_result import CallResult, Happening, Turn
from simulator.call_result import Interruption as CutIn

ONSET_ERROR_MS: Final = 5
"""How exactly the caller's ear finds the beginning of a sound."""

_WORK: Final = ("stt_ms", "llm_ms", "tool_ms", "tts_ms")


@dataclass(frozen=True, slots=True)
class Stages:
    """Where a turn's time went, whole milliseconds; they add up to the turn's `total_ms` exactly."""

    endpoint_ms: int
    """From the caller's last sound to where, in the caller's own sound, the gateway took the turn to be over."""
    stt_ms: int
    llm_ms: int
    tool_ms: int | None
    """None: the turn had no tool before its first sound."""
    tts_ms: int
    to_caller_ms: int
    """The rest: sending, the network, the phone's buffer, and the quiet at the head of the speech."""

    def in_order(self) -> tuple[int | None, ...]:
        return (self.endpoint_ms, self.stt_ms, self.llm_ms, self.tool_ms, self.tts_ms, self.to_caller_ms)


@dataclass(slots=True)
class Answer:
    """One thing the agent said, as the gateway has it."""

    item_id: str
    text: str
    heard: str | None = None
    """None: nobody cut it short."""
    heard_ms: float | None = None

    @property
    def words_heard(self) -> str:
        return self.text if self.heard is None else self.heard


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    arguments: str
    output: str
    ms: float


@dataclass(slots=True)
class Exchange:
    """The caller spoke, and perhaps the agent answered."""

    number: int
    turn: Turn
    understood: list[str] = field(default_factory=list)
    """What the recogniser made of it; more than one if the gateway heard more than one turn."""
    answers: list[Answer] = field(default_factory=list)
    tools: list[ToolUse] = field(default_factory=list)
    stages: Stages | None = None

    @property
    def total_ms(self) -> int | None:
        """Caller stops to caller hears; None if nothing was heard."""
        heard_ms = self.turn.agent_heard_ms
        return None if heard_ms is None else round(heard_ms - self.turn.caller_stopped_ms)

    @property
    def words_heard(self) -> str:
        return " ".join(one.words_heard for one in self.answers)


@dataclass(frozen=True, slots=True)
class Interruption:
    """The caller spoke while the agent did."""

    at_ms: float
    cleared_after_ms: float | None
    """From the caller's first sound to the `clear`; None if none came."""
    silent_after_ms: float
    """Until the agent was not heard any more; 0 if it was in a pause that became its end."""
    heard_ms: float
    """The truth, by the simulator."""
    answer: Answer | None
    """What was cut short, by the gateway."""
    error_ms: float | None
    """How far the gateway is off; None if it said nothing, or if the utterance held more than one item."""


@dataclass(frozen=True, slots=True)
class Review:
    exchanges: tuple[Exchange, ...]
    interruptions: tuple[Interruption, ...]
    greeting: tuple[Answer, ...]
    """What the agent said before the caller was understood for the first time."""

    @property
    def totals_ms(self) -> list[int]:
        return [total for one in self.exchanges if (total := one.total_ms) is not None]


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def p95(values: Sequence[float]) -> float | None:
    """The nearest rank: with fewer than twenty values, the largest."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else None


def review(result: CallResult, journal: Sequence[Entry]) -> Review:
    """Everything known of the call once it is over."""
    reading = _Reading(result)
    for entry in journal:
        reading.take(entry)
    for one in reading.exchanges:
        one.stages = stages_of(one.turn, reading.timed[one.number - 1])
    interruptions = tuple(
        _interruption(result, index, one, reading) for index, one in enumerate(result.interruptions)
    )
    return Review(tuple(reading.exchanges), interruptions, tuple(reading.greeting))


def stages_of(turn: Turn, timed: Sequence[Mapping[str, float]]) -> Stages | None:
    """The stages of the answer that was heard: the last whose first sound was made before it was heard.

    Each of `timed` has `decided_ms` on the sound clock and the stages' times. None if none of them fits.
    """
    if turn.agent_heard_ms is None:
        return None
    for times in reversed(timed):
        work_ms = sum(times.get(name, 0.0) for name in _WORK)
        if times["decided_ms"] + work_ms > turn.agent_heard_ms + ONSET_ERROR_MS:
            continue
        endpoint_ms = round(times["decided_ms"] - turn.caller_stopped_ms)
        stt_ms, llm_ms, tool_ms, tts_ms = (round(times.get(name, 0.0)) for name in _WORK)
        rest_ms = round(turn.agent_heard_ms - turn.caller_stopped_ms) - (
            endpoint_ms + stt_ms + llm_ms + tool_ms + tts_ms
        )
        return Stages(endpoint_ms, stt_ms, llm_ms, tool_ms if "tool_ms" in times else None, tts_ms, rest_ms)
    return None


def openings_ms(happenings: Sequence[Happening]) -> dict[str, float]:
    """Where each stream begins on the sound clock, by its id: at its `connected` message."""
    openings: dict[str, float] = {}
    stream_sid = ""
    for one in happenings:
        if one.name == "stream.opened":
            stream_sid = str(one.detail["stream_sid"])
        elif one.name == "connected":
            openings[stream_sid] = float(round(one.at_ms))
    return openings


class _Reading:
    """The journal being read: which turn of the caller's each event belongs to."""

    def __init__(self, result: CallResult) -> None:
        self.exchanges = [Exchange(index + 1, turn) for index, turn in enumerate(result.turns)]
        self.timed: list[list[Mapping[str, float]]] = [[] for _ in result.turns]
        self.greeting: list[Answer] = []
        self.cuts: list[tuple[float, Answer, bool]] = []
        """When the gateway told of it on the steady clock, what was cut, and whether that began its response."""
        self._openings_ms = openings_ms(result.happenings)
        self._opened_ms = 0.0
        self._ends_ms: dict[str, float] = {}
        self._current: Exchange | None = None
        self._by_item: dict[str, tuple[Answer, bool]] = {}

    def take(self, entry: Entry) -> None:
        fields = entry.fields
        match entry.name:
            case "stream.started":
                self._opened_ms = self._openings_ms.get(fields["stream_sid"], 0.0)
            case "speech.stopped":
                self._ends_ms[fields["item_id"]] = self._opened_ms + fields["audio_end_ms"]
            case "transcript.done" if fields["speaker"] == "caller":
                self._understand(fields["item_id"], fields["text"])
            case "transcript.failed":
                self._understand(fields["item_id"], "")
            case "transcript.done":
                self._answer(Answer(fields["item_id"], fields["text"]))
            case "transcript.truncated":
                self._cut(entry.at_s, fields)
            case "tool.done" if self._current is not None:
                tool = ToolUse(fields["name"], fields["arguments"], fields["output"], fields["ms"])
                self._current.tools.append(tool)
            case "turn.timed":
                self._time(fields)
            case _:
                pass

    def _exchange_at(self, ms: float) -> Exchange | None:
        """The one whose turn of the caller's had begun last by then."""
        begun = [one for one in self.exchanges if one.turn.caller_started_ms <= ms]
        return begun[-1] if begun else None

    def _understand(self, item_id: str, text: str) -> None:
        if (end_ms := self._ends_ms.get(item_id)) is not None:
            self._current = self._exchange_at(end_ms)
        if self._current is not None:
            self._current.understood.append(text)

    def _answer(self, answer: Answer) -> None:
        answers = self.greeting if self._current is None else self._current.answers
        self._by_item[answer.item_id] = (answer, not answers)
        answers.append(answer)

    def _cut(self, at_s: float, fields: Mapping[str, Any]) -> None:
        if (known := self._by_item.get(fields["item_id"])) is not None:
            answer, is_first = known
            answer.heard, answer.heard_ms = fields["heard"], fields["heard_ms"]
            self.cuts.append((at_s, answer, is_first))

    def _time(self, fields: Mapping[str, Any]) -> None:
        decided_ms = self._opened_ms + fields["audio_end_ms"]
        if (exchange := self._exchange_at(decided_ms)) is not None:
            times = {name: float(fields[name]) for name in _WORK if name in fields}
            self.timed[exchange.number - 1].append({"decided_ms": decided_ms, **times})


def _interruption(result: CallResult, index: int, one: CutIn, reading: _Reading) -> Interruption:
    started_ms = one.speech_started_ms
    later = result.interruptions[index + 1 :]
    until_ms = later[0].speech_started_ms if later else math.inf
    zero_s = sound_zero_s(result.happenings) or 0.0
    cuts = [cut for cut in reading.cuts if started_ms <= (cut[0] - zero_s) * 1000 < until_ms]
    answer, error_ms = None, None
    if cuts:
        _, answer, is_first = cuts[0]
        if is_first and answer.heard_ms is not None:
            error_ms = answer.heard_ms - one.agent_heard_ms_before
    ends_ms = [said.end_ms for said in result.agent_utterances if said.start_ms <= started_ms <= said.end_ms]
    return Interruption(
        at_ms=started_ms,
        cleared_after_ms=None if one.cleared_ms is None else one.cleared_ms - started_ms,
        silent_after_ms=ends_ms[0] - started_ms if ends_ms else 0.0,
        heard_ms=one.agent_heard_ms_before,
        answer=answer,
        error_ms=error_ms,
    )
