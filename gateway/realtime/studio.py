"""What all Realtime connections of a process share, made once when the application starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.credentials.door import Door
from gateway.metrics import Metrics
from gateway.realtime.allowance import Allowances
from gateway.realtime.directory import Directory
from gateway.settings import Settings
from pipeline.agent import Agent
from pipeline.limits import Limits
from pipeline.responder import Cascade
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """See the module's docstring."""

    settings: Settings
    door: Door
    directory: Directory
    allowances: Allowances
    metrics: Metrics
    activity: SpeechActivity
    agent: Agent
    cascade: Cascade
    limits: Limits
    make_id: Callable[[str], str]
    admits: Callable[[], bool]
    """False while no new session may begin, as when the gateway is about to stop."""
    now: Callable[[], float]
    """Seconds of a monotonic clock."""
    unix_now: Callable[[], float] = time.time
    end_of_turn: EndOfTurn | None = None
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Large events are decoded one at a time: each slows everybody a little."""
