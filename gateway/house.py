"""What both kinds of socket are made of: the agent and its providers, the desk, the doors, and what is shared."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gateway.calls.call import EndReason
from gateway.calls.workers import WorkerLoad
from gateway.credentials.door import Door
from gateway.front_desk import FrontDesk
from gateway.media_stream.exchange import Exchange
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.socket import MediaSocket
from gateway.operations import Doors
from gateway.realtime.allowance import Allowances
from gateway.realtime.directory import Directory
from gateway.realtime.kept_sessions import KeptSessions
from gateway.realtime.studio import Studio
from gateway.recordings.recorder import Recorder
from gateway.settings import Settings
from gateway.tools import AgentTools
from pipeline.agent import Agent
from pipeline.limits import Limits
from pipeline.mcp_errands import McpTools
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity
from pipeline.worker import Remote


def build_version() -> str:
    try:
        return version("switchboard-voice")
    except PackageNotFoundError:
        return "0+unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """See the module's docstring."""

    settings: Settings
    agent: Agent
    backend: Cascade | Remote
    tools: AgentTools
    phrasebook: Phrasebook
    desk: FrontDesk
    doors: Doors
    door: Door
    directory: Directory
    limits: Limits
    mcp: Callable[[], AbstractAsyncContextManager[McpTools]] | None
    make_id: Callable[[str], str]
    worker_id: str
    recorder: Recorder | None = None

    def load(self) -> WorkerLoad:
        """What this worker carries, for the others to know."""
        return WorkerLoad(
            id=self.worker_id,
            calls=self.desk.store.here,
            sessions=self.directory.seated,
            is_draining=not self.doors.are_open,
            lag_ms=round(self.desk.gate.admission.lateness_s * 1000, 1),
            seen_at_s=self.desk.now(),
            version=build_version(),
            standing=self.desk.gate.standing(),
        )

    def media_socket(self, activity: SpeechActivity, end_of_turn: EndOfTurn) -> MediaSocket:
        desk = self.desk

        async def end_call(call_sid: str, reason: EndReason, generation: int) -> None:
            await desk.end_call(call_sid, reason, generation=generation)

        return MediaSocket(
            Exchange(
                store=desk.store,
                signature=desk.signatures,
                metrics=desk.metrics,
                activity=activity,
                end_of_turn=end_of_turn,
                pacer=Pacer(),
                agent=self.agent,
                backend=self.backend,
                toolbox=self.tools.toolbox,
                phrasebook=self.phrasebook,
                anticipates=self.settings.preemptive,
                make_id=self.make_id,
                lead_ms=self.settings.playback_lead_ms,
                end_call=end_call,
                now=desk.now,
                gate=desk.gate,
                directory=self.directory,
                recorder=self.recorder,
            )
        )

    def studio(self, activity: SpeechActivity, end_of_turn: EndOfTurn) -> Studio:
        doors = self.doors
        return Studio(
            settings=self.settings,
            door=self.door,
            directory=self.directory,
            allowances=Allowances(self.settings.realtime_responses_per_min),
            metrics=self.desk.metrics,
            activity=activity,
            end_of_turn=end_of_turn,
            agent=self.agent,
            backend=self.backend,
            toolbox=self.tools.toolbox if self.settings.demo_page else None,
            phrasebook=self.phrasebook,
            limits=self.limits,
            mcp=self.mcp,
            make_id=self.make_id,
            admits=lambda: doors.are_open,
            kept=KeptSessions(Path(self.settings.kept_sessions) if self.settings.kept_sessions else None),
            now=time.monotonic,
        )
