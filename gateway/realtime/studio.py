"""What all Realtime connections of a process share, made once when the application starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from gateway.credentials.door import Door
from gateway.metrics import Metrics
from gateway.realtime.allowance import Allowances
from gateway.realtime.directory import Directory
from gateway.realtime.kept_sessions import KeptSessions
from gateway.settings import Settings
from pipeline.agent import Agent
from pipeline.limits import Limits
from pipeline.mcp_errands import McpTools
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.toolbox import Toolbox
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity
from pipeline.worker import Remote


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
    backend: Cascade | Remote
    toolbox: Toolbox | None
    """The agent's own tools, for sessions that are the agent's; None: there are no such sessions."""
    phrasebook: Phrasebook
    """What the agent says to who waits, in the same."""
    limits: Limits
    make_id: Callable[[str], str]
    admits: Callable[[], bool]
    """False while no new session may begin, as when the gateway is about to stop."""
    kept: KeptSessions
    """Sessions that were cut off, for their clients to go on with."""
    now: Callable[[], float]
    """Seconds of a monotonic clock."""
    unix_now: Callable[[], float] = time.time
    end_of_turn: EndOfTurn | None = None
    mcp: Callable[[], AbstractAsyncContextManager[McpTools]] | None = None
    """For each session, what asks and calls the MCP servers that its client names; None: none are served."""
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Large events are decoded one at a time: each slows everybody a little."""

    @property
    def serves_mcp(self) -> bool:
        return self.mcp is not None

    def open_mcp(self) -> AbstractAsyncContextManager[McpTools | None]:
        """For one session, which closes it at its end."""
        return nullcontext() if self.mcp is None else self.mcp()
