"""What a call was: everything that happened in order, and what can be read from it.

Pure data and pure functions over it. All `…_ms` of turns, interruptions, utterances and sounds are on the call's
sound clock: milliseconds since its first media stream began.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from simulator.playback import Underrun
from simulator.sound import Samples

Json: TypeAlias = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


class EndReason(enum.Enum):
    """Why a call ended; the value is a sentence for a person."""

    CALLER_HUNG_UP = "the caller hung up"
    HANGUP_VERB = "the gateway hung up"
    DOCUMENT_ENDED = "the last verb was done"
    REJECTED = "the gateway rejected the call"
    APPLICATION_ERROR = "no usable document came back"
    TOO_MANY_DOCUMENTS = "the documents went in a circle"
    TOO_LONG = "the time limit was reached"
    UNPLAYABLE_VERB = "a verb was reached which the simulator does not play"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, in or out."""

    at_s: float
    """On the steady clock the call ran on."""
    at_ms: float
    """Since the first media stream began; before that, since the call began."""
    name: str
    detail: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Complaint:
    """What Twilio would have written into its debugger."""

    code: int
    message: str
    at_ms: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """The agent was audible, without a pause longer than 400 ms."""

    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Turn:
    """The caller said something, and perhaps the agent answered."""

    text: str
    caller_started_ms: float
    caller_stopped_ms: float
    agent_heard_ms: float | None
    """When the answer became audible; None if none did before the caller spoke again or the call ended."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """The caller began to speak while the agent was speaking."""

    speech_started_ms: float
    cleared_ms: float | None
    """When the gateway's `clear` reached the phone; None if the agent was not stopped by one."""
    agent_heard_ms_before: float
    """How much of that agent utterance was truly heard: up to the clear, or all of it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One `clear`, with what is needed to judge a truncation to the byte (one byte is 1/8 ms)."""

    stream_sid: str
    at_ms: float
    since_caller_spoke_ms: float | None
    """Since the caller last began to speak; None if that never happened on this stream."""
    heard_bytes: int
    """Heard since the stream began."""
    utterance_heard_bytes: int
    """Heard since the first byte of the utterance that was cut."""
    discarded_bytes: int


@dataclass(frozen=True, slots=True)
class CallResult:
    call_sid: str
    stream_sids: tuple[str, ...]
    happenings: tuple[Happening, ...]
    turns: tuple[Turn, ...]
    interruptions: tuple[Interruption, ...]
    cuts: tuple[Cut, ...]
    agent_utterances: tuple[Utterance, ...]
    complaints: tuple[Complaint, ...]
    underruns: tuple[Underrun, ...]
    spoken_verbs: tuple[str, ...]
    """Texts of the `<Say>` verbs the caller heard, in order."""
    end_reason: EndReason
    duration_s: float
    received_bytes: int
    """Media the gateway sent."""
    heard_bytes: int
    """Of these, how much was truly heard."""
    caller_sound: Samples
    agent_sound: Samples
    """What was truly heard; as long as `caller_sound`, on the same clock."""


def utterances_of(happenings: Iterable[Happening]) -> tuple[Utterance, ...]:
    """The agent's utterances, as heard."""
    return tuple(
        Utterance(_number(one, "start_ms"), _number(one, "media_ms"))
        for one in happenings
        if one.name == "agent.silent"
    )


def turns_of(happenings: Sequence[Happening]) -> tuple[Turn, ...]:
    """One turn for each time the caller spoke.

    The answer is the first utterance that began after the caller did and outlasted the caller: an agent who
    jumps in before the caller's last word has answered all the same, with a negative latency.
    """
    utterances = utterances_of(happenings)
    starts = [one for one in happenings if one.name == "caller.speaks"]
    stops = [one for one in happenings if one.name == "caller.stops"]
    turns = []
    for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        started_ms, stopped_ms = _number(start, "media_ms"), _number(stop, "media_ms")
        next_ms = _number(starts[index + 1], "media_ms") if index + 1 < len(starts) else float("inf")
        answers = (
            one.start_ms for one in utterances if started_ms < one.start_ms < next_ms and one.end_ms > stopped_ms
        )
        turns.append(Turn(str(start.detail["text"]), started_ms, stopped_ms, next(answers, None)))
    return tuple(turns)


def cuts_of(happenings: Iterable[Happening]) -> tuple[Cut, ...]:
    """Every `clear` that arrived, in order."""
    return tuple(
        Cut(
            stream_sid=str(one.detail["stream_sid"]),
            at_ms=_number(one, "media_ms"),
            since_caller_spoke_ms=_optional_number(one, "since_caller_spoke_ms"),
            heard_bytes=int(_number(one, "heard_bytes")),
            utterance_heard_bytes=int(_number(one, "utterance_heard_bytes")),
            discarded_bytes=int(_number(one, "discarded_bytes")),
        )
        for one in happenings
        if one.name == "clear"
    )


def interruptions_of(happenings: Sequence[Happening]) -> tuple[Interruption, ...]:
    """One for each `barge_in`, with the first `clear` before that utterance's end was noticed, if there was one."""
    interruptions = []
    for index, one in enumerate(happenings):
        if one.name != "barge_in":
            continue
        started_ms = _number(one, "media_ms")
        cleared_ms, heard_ms = None, _number(one, "agent_heard_ms")
        for later in happenings[index + 1 :]:
            if later.name == "clear":
                cleared_ms = _number(later, "media_ms")
                heard_ms = _number(later, "utterance_heard_bytes") / 8
                break
            if later.name == "agent.silent":
                heard_ms = _number(later, "media_ms") - _number(later, "start_ms")
                break
        interruptions.append(Interruption(started_ms, cleared_ms, heard_ms))
    return tuple(interruptions)


def _number(one: Happening, key: str) -> float:
    value = one.detail[key]
    assert isinstance(value, int | float)
    return value


def _optional_number(one: Happening, key: str) -> float | None:
    return None if one.detail[key] is None else _number(one, key)
