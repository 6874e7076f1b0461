"""A call that was really held, as `switchboard demo --call` recorded it, for tests of what is made of a call.

`recorded_call.jsonl` is such a call.jsonl, without its media and mark messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gateway.cli.call_events import Entry
from simulator.call_result import (
    CallResult,
    Complaint,
    EndReason,
    Happening,
    cuts_of,
    interruptions_of,
    turns_of,
    utterances_of,
)

Event = Happening | Entry

ZERO_S = 1000.0
"""On the steady clock of made-up calls, where their sound begins."""


def recorded_call() -> list[Event]:
    """Both records by time."""
    lines = Path(__file__).with_name("recorded_call.jsonl").read_text("utf-8").splitlines()
    return [_event(json.loads(line)) for line in lines]


def _event(line: dict[str, Any]) -> Event:
    name, source = line.pop("event"), line.pop("source")
    at_ms, at_s = line.pop("at_ms"), line.pop("at_s")
    return Happening(at_s, at_ms, name, line) if source == "simulator" else Entry(at_s, name, line)


def happened(name: str, at_ms: float, /, **detail: Any) -> Happening:
    """On Twilio's side; what concerns sound has its `media_ms`."""
    return Happening(ZERO_S + at_ms / 1000, at_ms, name, {"media_ms": at_ms, **detail})


def told(name: str, at_ms: float, /, **fields: Any) -> Entry:
    """By the gateway."""
    return Entry(ZERO_S + at_ms / 1000, name, fields)


def opening() -> list[Event]:
    """How every stream begins."""
    return [
        happened("stream.opened", 0, stream_sid="MZ1234567890", url="ws://127.0.0.1/twilio/media/abcdefghijklmnop"),
        happened("connected", 0),
        happened("start", 0, encoding="audio/x-mulaw", parameters={"agent": "reception"}),
        told("stream.started", 1, stream_sid="MZ1234567890"),
    ]


def spoken(text: str, start_ms: float, end_ms: float) -> list[Event]:
    """The caller says something."""
    return [happened("caller.speaks", start_ms, text=text), happened("caller.stops", end_ms, text=text)]


def answered(start_ms: float, end_ms: float) -> list[Event]:
    """The agent is heard."""
    return [happened("agent.heard", start_ms), happened("agent.silent", end_ms, start_ms=start_ms)]


def happenings_of(events: Iterable[Event]) -> tuple[Happening, ...]:
    return tuple(one for one in events if isinstance(one, Happening))


def journal_of(events: Iterable[Event]) -> tuple[Entry, ...]:
    return tuple(one for one in events if isinstance(one, Entry))


def result_of(events: Iterable[Event], **changes: Any) -> CallResult:
    """What the simulator makes of its happenings."""
    happenings = happenings_of(events)
    fields: dict[str, Any] = {
        "call_sid": "CA" + "1" * 32,
        "stream_sids": (),
        "happenings": happenings,
        "turns": turns_of(happenings),
        "interruptions": interruptions_of(happenings),
        "cuts": cuts_of(happenings),
        "agent_utterances": utterances_of(happenings),
        "complaints": tuple(
            Complaint(int(str(one.detail["code"])), str(one.detail["message"]), one.at_ms)
            for one in happenings
            if one.name == "complaint"
        ),
        "underruns": (),
        "spoken_verbs": (),
        "end_reason": EndReason.HANGUP_VERB,
        "duration_s": 28.0,
        "received_bytes": 1000,
        "heard_bytes": 980,
        "caller_sound": np.zeros(8, np.int16),
        "agent_sound": np.zeros(8, np.int16),
    }
    return CallResult(**fields | changes)
