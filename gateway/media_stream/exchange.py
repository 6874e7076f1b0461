"""What all media streams of a process share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.auth import SignatureCheck
from gateway.calls.call import EndReason
from gateway.calls.store import CallStore
from gateway.gate import Gate
from gateway.media_stream.pacer import Pacer
from gateway.metrics import Metrics
from gateway.realtime.directory import Directory
from gateway.recordings.recorder import Recorder
from pipeline.agent import Agent
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.toolbox import Toolbox
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity
from pipeline.worker import Remote


@dataclass(frozen=True, slots=True)
class Exchange:
    """See the module's docstring."""

    store: CallStore
    signature: SignatureCheck
    metrics: Metrics
    activity: SpeechActivity
    pacer: Pacer
    agent: Agent
    backend: Cascade | Remote
    toolbox: Toolbox
    make_id: Callable[[str], str]
    lead_ms: int
    end_call: Callable[[str, EndReason, int], Awaitable[None]]
    """A call is over though no webhook has said so yet: its stream of this generation has."""
    now: Callable[[], float]
    """Unix seconds: times of calls, which outlive a process. The pacer has a clock of its own."""
    gate: Gate
    """Where a call that streams has its seat."""
    directory: Directory = field(default_factory=Directory)
    """Where calls that are streaming can be joined by side-bands, under their CallSid."""
    end_of_turn: EndOfTurn | None = None
    anticipates: bool = False
    """Whether answers are begun before it is certain that the caller has finished."""
    recorder: Recorder | None = None
    """What records the calls; None where none is."""
    phrasebook: Phrasebook | None = None
    """What is said while an answer is slow."""
