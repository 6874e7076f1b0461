"""A phone call as the gateway knows it: where it stands, and what it may do next.

Pure: time is a parameter, in seconds of a monotonic clock. Knows nothing of sockets, tokens or TwiML.
One call may have several media streams, one after another, because a stream that breaks is replaced. Each
offer of a stream has a number, the call's generation; a socket of an older generation has nothing to say.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from gateway.calls.talk import Talk
from gateway.errors import IllegalStep
from pipeline.costs import Tally
from pipeline.snapshot import Snapshot
from twiml.webhooks import CallStatus

RESUMES_PER_MINUTE = 3
"""A stream that breaks more often than this will not hold; the caller gets an apology instead of a loop."""

RESUME_WINDOW_S = 60.0

BROKE_LATELY_S = 20.0
"""Twilio takes up to 15 s for the webhook that follows, and a moment to open the stream."""


class CallState(enum.Enum):
    """Where a call stands."""

    RINGING = "ringing"
    """A stream is offered and none has begun."""
    STREAMING = "streaming"
    INTERRUPTED = "interrupted"
    """The stream broke and nobody meant it to; Twilio will ask again."""
    MOVED = "moved"
    """We have closed the stream, so that another worker opens one; Twilio will ask."""
    ENDING = "ending"
    """We mean the call to end: when Twilio asks again, it is told to hang up."""
    ENDED = "ended"


class CallStep(enum.Enum):
    """What can happen to a call."""

    OFFER = "be offered a stream"
    STREAM = "begin a stream"
    LOSE = "lose its stream"
    LEAVE = "leave its stream"
    FINISH = "be finished"
    END = "end"


_STEPS: dict[tuple[CallState, CallStep], CallState] = {
    (CallState.RINGING, CallStep.OFFER): CallState.RINGING,
    (CallState.RINGING, CallStep.STREAM): CallState.STREAMING,
    (CallState.RINGING, CallStep.FINISH): CallState.ENDING,
    (CallState.RINGING, CallStep.END): CallState.ENDED,
    (CallState.STREAMING, CallStep.OFFER): CallState.INTERRUPTED,
    (CallState.STREAMING, CallStep.LOSE): CallState.INTERRUPTED,
    (CallState.STREAMING, CallStep.LEAVE): CallState.MOVED,
    (CallState.STREAMING, CallStep.FINISH): CallState.ENDING,
    (CallState.STREAMING, CallStep.END): CallState.ENDED,
    (CallState.INTERRUPTED, CallStep.OFFER): CallState.INTERRUPTED,
    (CallState.INTERRUPTED, CallStep.STREAM): CallState.STREAMING,
    (CallState.INTERRUPTED, CallStep.FINISH): CallState.ENDING,
    (CallState.INTERRUPTED, CallStep.END): CallState.ENDED,
    (CallState.MOVED, CallStep.OFFER): CallState.INTERRUPTED,
    (CallState.MOVED, CallStep.FINISH): CallState.ENDING,
    (CallState.MOVED, CallStep.END): CallState.ENDED,
    (CallState.ENDING, CallStep.FINISH): CallState.ENDING,
    (CallState.ENDING, CallStep.END): CallState.ENDED,
    (CallState.ENDED, CallStep.FINISH): CallState.ENDED,
    (CallState.ENDED, CallStep.END): CallState.ENDED,
}
"""The one table of legal steps. What is not in it raises `IllegalStep`."""


class EndReason(enum.StrEnum):
    """Why a call ended; few enough to be a metric's label."""

    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"
    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    TRANSFERRED = "transferred"
    PROVIDER_FAILED = "provider_failed"
    RESUMES_EXHAUSTED = "resumes_exhausted"
    ABANDONED = "abandoned"
    """Twilio stopped asking, and never said why."""
    OVERLOAD = "overload"
    """Turned away with an apology, because we were full or about to stop."""
    ERROR = "error"


END_REASONS: dict[CallStatus, EndReason] = {
    CallStatus.COMPLETED: EndReason.COMPLETED,
    CallStatus.BUSY: EndReason.BUSY,
    CallStatus.FAILED: EndReason.FAILED,
    CallStatus.NO_ANSWER: EndReason.NO_ANSWER,
    CallStatus.CANCELED: EndReason.CANCELED,
}
"""What each of Twilio's final statuses means for us."""


class WayBack(enum.Enum):
    """What to do when Twilio says that a stream has ended."""

    AGAIN = "again"
    """Offer a new stream."""
    STALE = "stale"
    """The word of an earlier stream, late or replayed; a newer one is running."""
    EXHAUSTED = "exhausted"
    """It broke too often: apologise and hang up."""
    FINISHED = "finished"
    """It was meant to end: hang up."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One call. The worker that answers it holds the only true copy."""

    call_sid: str
    from_: str
    to: str
    agent: str
    started_at_s: float
    state: CallState = CallState.RINGING
    generation: int = 0
    """The number of the stream offered last; 0 before the first."""
    token: str | None = field(default=None, repr=False)
    """The media token issued last, until it is claimed or void."""
    waiting_since_s: float = field(default=0.0, init=False)
    """When Twilio was last expected to act: the offer of a stream, or the loss of one."""
    ended_at_s: float | None = None
    end_reason: EndReason | None = None
    last_sequence: int = -1
    """The highest number among the status callbacks heard."""
    snapshot: Snapshot | None = None
    """The conversation when its last stream here ended, to go on from."""
    talk: Talk | None = field(default=None, repr=False)
    """The same, of a stream on another worker."""
    tally: Tally = field(default_factory=Tally, repr=False)
    """What the providers were used for, on all its streams."""
    farewell: str | None = None
    """What the way back says before it hangs up, if the agent could not say it itself."""
    transfer_to: str | None = None
    """The number the way back connects the caller to, instead of hanging up."""
    resumed_at_s: deque[float] = field(
        default_factory=lambda: deque(maxlen=RESUMES_PER_MINUTE), init=False, repr=False
    )
    revision: int = 0
    """Of the spare copy it was read from; 0: of none."""
    holder: str = ""
    """The worker that streams it, as far as the spare copy knows."""
    is_forgotten: bool = False
    """Nobody knows what was said before."""
    is_recording_paused: bool = False
    """Somebody outside wants nothing recorded, on whichever stream, until they say so."""
    is_keying: bool = False
    """The caller keys in what nobody may keep, or did when the stream before was gone."""

    def __post_init__(self) -> None:
        self.waiting_since_s = self.started_at_s

    @classmethod
    def forgotten(
        cls, call_sid: str, generation: int, now_s: float, *, from_: str = "", to: str = "", agent: str = ""
    ) -> Call:
        """A call that nobody remembers, whose stream of this number has been offered."""
        return cls(
            call_sid=call_sid,
            from_=from_,
            to=to,
            agent=agent,
            started_at_s=now_s,
            generation=generation,
            is_forgotten=True,
        )

    @property
    def is_live(self) -> bool:
        return self.state is not CallState.ENDED

    def seconds(self, now_s: float) -> float:
        """How long the call has lasted, until now or until it ended."""
        return (now_s if self.ended_at_s is None else self.ended_at_s) - self.started_at_s

    def offer_stream(self, token: str, now_s: float) -> int:
        """A new stream may begin with this token; gives its generation, and fences every earlier one."""
        self._take(CallStep.OFFER)
        self.generation += 1
        self.token = token
        self.waiting_since_s = now_s
        return self.generation

    def begin_stream(self, generation: int) -> None:
        """The stream of this generation has begun. Raises `IllegalStep` if a newer one was offered since."""
        if generation != self.generation:
            raise IllegalStep(f"{self.call_sid}: stream {generation} is superseded by {self.generation}")
        self._take(CallStep.STREAM)
        self.token = None

    def lose_stream(self, generation: int, now_s: float) -> None:
        """A stream is gone and nobody meant it. The word of a superseded stream is ignored."""
        if generation == self.generation and self.state is CallState.STREAMING:
            self._take(CallStep.LOSE)
            self.waiting_since_s = now_s

    def leave_stream(self, generation: int, now_s: float) -> None:
        """Its stream was closed for another worker to go on. The word of a superseded stream is ignored."""
        if generation == self.generation and self.state is CallState.STREAMING:
            self._take(CallStep.LEAVE)
            self.waiting_since_s = now_s

    def broke_lately(self, now_s: float) -> bool:
        """Whether the stream before was lost, so that words may have been, too."""
        return bool(self.resumed_at_s) and now_s - self.resumed_at_s[-1] < BROKE_LATELY_S

    def supersede(self) -> None:
        """A newer stream was offered by another worker: the one here has nothing more to say."""
        self.generation += 1
        self.token = None

    @property
    def facts(self) -> dict[str, str]:
        """What tools outside are told of the call."""
        return {"call_sid": self.call_sid, "from": self.from_, "to": self.to, "agent": self.agent}

    def finish(
        self, reason: EndReason, now_s: float, farewell: str | None = None, transfer_to: str | None = None
    ) -> None:
        """We mean the call to end; the first reason, the first farewell and the first transfer stand."""
        self._take(CallStep.FINISH)
        if self.end_reason is None:
            self.transfer_to = transfer_to
        self.end_reason = self.end_reason or reason
        self.farewell = self.farewell or farewell
        self.waiting_since_s = now_s

    def end(self, reason: EndReason, now_s: float) -> bool:
        """The call is over. True the first time only; a reason given by `finish` stands."""
        is_first = self.is_live
        self._take(CallStep.END)
        if is_first:
            self.token = None
            self.ended_at_s = now_s
            self.end_reason = self.end_reason or reason
        return is_first

    def is_news(self, sequence_number: int | None) -> bool:
        """Whether a status callback tells something later than those heard; remembers that it was heard.

        Callbacks come twice and out of order, and a call never goes backwards. One without a number is news.
        """
        if sequence_number is None:
            return True
        is_later = sequence_number > self.last_sequence
        self.last_sequence = max(sequence_number, self.last_sequence)
        return is_later

    def way_back(self, generation: int, now_s: float) -> WayBack:
        """What to do now that Twilio says stream `generation` has ended.

        The same question may come twice. It counts as a resume only the first time, while the stream it
        tells of is still the last one offered. A number above that one shows that we were read from a copy that
        is behind.
        """
        self.generation = max(self.generation, generation)
        if self.state in (CallState.ENDING, CallState.ENDED):
            return WayBack.FINISHED
        if generation < self.generation:
            return WayBack.STALE if self.state is CallState.STREAMING else WayBack.AGAIN
        if self.state is CallState.MOVED:
            return WayBack.AGAIN
        oldest_s = self.resumed_at_s[0] if len(self.resumed_at_s) == RESUMES_PER_MINUTE else None
        if oldest_s is not None and now_s - oldest_s < RESUME_WINDOW_S:
            return WayBack.EXHAUSTED
        self.resumed_at_s.append(now_s)
        return WayBack.AGAIN

    def _take(self, step: CallStep) -> None:
        after = _STEPS.get((self.state, step))
        if after is None:
            raise IllegalStep(f"{self.call_sid}: a call that is {self.state.value} cannot {step.value}")
        self.state = after
