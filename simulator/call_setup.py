"""Everything about a call that is known before it is placed. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.caller import Step
from simulator.network import Network
from simulator.sound import Codec


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
    max_call_s: float = 300.0
    """After this the call is ended, whatever happens in it."""
    webhook_timeout_s: float = 15.0
    keeps_media: bool = True
    """Keep each media message among the happenings; switch off for many calls in one process."""
