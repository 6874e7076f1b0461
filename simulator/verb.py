"""TwiML's verbs as data, and a document of them. What they say in XML, `twiml_reader.py` knows.

Sources: https://www.twilio.com/docs/voice/twiml and the page of each verb below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from simulator.messages import Complaint


@dataclass(frozen=True, slots=True)
class Stream:
    url: str
    """Absolute, without the query: Twilio strips it."""
    name: str
    track: str
    status_callback: str | None
    status_callback_method: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connect:
    action: str | None
    method: str
    stream: Stream


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    length_s: float


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Play:
    url: str | None
    digits: str | None


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str


@dataclass(frozen=True, slots=True)
class Enqueue:
    name: str
    action: str | None
    method: str
    wait_url: str | None
    """None: Twilio's own music."""
    wait_method: str
    max_size: int


@dataclass(frozen=True, slots=True)
class Leave:
    pass


@dataclass(frozen=True, slots=True)
class Gather:
    """Of its inputs, only keys are played."""

    prompts: tuple[Say | Play | Pause, ...]
    action: str
    method: str
    timeout_s: float
    num_digits: int | None
    finish_on_key: str
    action_on_empty: bool


@dataclass(frozen=True, slots=True)
class Record:
    action: str
    method: str
    timeout_s: float
    max_length_s: float
    finish_on_key: str
    has_beep: bool
    status_callback: str | None
    status_callback_method: str
    status_events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dial:
    """Of what can be dialled, only one number is played."""

    number: str
    action: str | None
    method: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Other:
    """A verb Twilio knows and the simulator does not play."""

    name: str
    attributes: Mapping[str, str]


Prompt: TypeAlias = Say | Play | Pause
"""What is heard, and no more."""

Verb: TypeAlias = (
    Connect | Redirect | Say | Pause | Hangup | Play | Reject | Enqueue | Gather | Record | Dial | Leave | Other
)


@dataclass(frozen=True, slots=True)
class Document:
    verbs: tuple[Verb, ...]
    warnings: tuple[Complaint, ...]
