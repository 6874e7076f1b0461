"""Everything about a call that is known before it is placed. Pure data."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from simulator.caller import Step
from simulator.network import Network
from simulator.queues import Queues
from simulator.sound import Codec


class DialStatus(enum.Enum):
    """How calling somebody else went, as Twilio tells it (https://www.twilio.com/docs/voice/twiml/dial)."""

    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DialOutcome:
    status: DialStatus
    talk_s: float = 5.0
    """How long they speak, if there was an answer."""


@dataclass(frozen=True, slots=True)
class CallSetup:
    """Everything about a call that is known before it is placed."""

    voice_url: str
    to_number: str
    from_number: str
    account_sid: str
    auth_token: str
    steps: tuple[Step, ...]
    """The caller's script; see `caller.py`."""
    voice_method: str = "POST"
    fallback_url: str | None = None
    """Asked with ErrorCode and ErrorUrl when a document cannot be had."""
    status_url: str | None = None
    """Told when the call is over."""
    codec: Codec = Codec.PCMU
    network: Network = field(default_factory=Network)
    noise_dbfs: float | None = -60.0
    """Comfort noise under the caller; None for a digitally silent line."""
    seed: int = 0
    """Of noise, loss and jitter."""
    word_ms: int = 350
    """How long `<Say>` takes per word."""
    verb_speed: float = 1.0
    """`<Say>`, `<Pause>` and `<Play digits>` take this many times less: for tests."""
    dials: tuple[DialOutcome, ...] = ()
    """What becomes of each `<Dial>` in turn, the last of them again and again; none: an answer, and a short
    talk."""
    queues: Queues = field(default_factory=Queues)
    """Share one among the calls that are to wait in line behind each other."""
    max_call_s: float = 300.0
    """After this the call is ended, whatever happens in it."""
    webhook_timeout_s: float = 15.0
    dropped_after_s: tuple[float, ...] = ()
    """The network drops the first stream so many seconds after it began, the second so many after its own
    beginning, and so on: no `stop`, no close, a reset."""
    copies: int = 1
    """How often each webhook of the call is asked, one after the other; the last answer counts, as when Twilio asks
    again because it had none."""
    has_same_token: bool = True
    """Of these copies: the idempotency token."""
    keeps_media: bool = True
    """Keep each media message among the happenings; switch off for many calls in one process."""
