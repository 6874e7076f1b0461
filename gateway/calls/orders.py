"""What may be asked of a call from outside it, and what then becomes of that. Pure data, checked where it is read.

An order is one step that somebody with the scope `control` wants taken; it is carried out on the worker that
streams the call. An errand lasts: somebody listens in, or holds a side-band. How either reaches that worker,
`relay.py` knows; what it does to the conversation, `gateway/media_stream/steering.py`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from pipeline.dialects import Dialect

MOST_WORDS: Final = 2_000
"""Characters of one order: two minutes of speech."""

RETRY_AFTER_S: Final = 1
"""A call that lost its worker is picked up within this."""

Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MOST_WORDS, pattern=r"\S")]
Farewell: TypeAlias = Annotated[str, Meta(max_length=MOST_WORDS)]
Destination: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]


class Say(Struct, frozen=True, kw_only=True, tag_field="order", tag="say", forbid_unknown_fields=True):
    """Speak these very words to the caller, as the agent."""

    text: Words
    interrupts: bool = False
    """Now, whatever is being said; else when nobody speaks and no answer is owed."""


class Whisper(Struct, frozen=True, kw_only=True, tag_field="order", tag="whisper", forbid_unknown_fields=True):
    """Tell the model something that the caller does not hear."""

    text: Words
    answer: bool = False
    """Have the agent act on it now, and not only when the caller has said something."""


class Transfer(Struct, frozen=True, kw_only=True, tag_field="order", tag="transfer", forbid_unknown_fields=True):
    """Connect the caller to somebody the agent's file names."""

    to: Destination
    """A number (E.164) of the agent's `transfer` tool, or its name there."""
    farewell: Farewell = ""
    """Said before, if not empty."""


class HangUp(Struct, frozen=True, kw_only=True, tag_field="order", tag="hangup", forbid_unknown_fields=True):
    """End the call."""

    farewell: Farewell = ""
    """Said before, if not empty."""


class PauseRecording(Struct, frozen=True, kw_only=True, tag_field="order", tag="recording.pause"):
    """Record silence from now on, on this stream and on those that follow it."""


class ResumeRecording(Struct, frozen=True, kw_only=True, tag_field="order", tag="recording.resume"):
    """Record again what is said."""


Order: TypeAlias = Say | Whisper | Transfer | HangUp
"""Of the conversation."""

RecordingOrder: TypeAlias = PauseRecording | ResumeRecording
"""Of the recording, which the conversation knows nothing of."""

AnyOrder: TypeAlias = Order | RecordingOrder


class Listen(Struct, frozen=True, tag_field="order", tag="listen"):
    """Hear both sides, live."""


class Join(Struct, frozen=True, tag_field="order", tag="join"):
    """Hold a side-band in this dialect."""

    dialect: Dialect


Errand: TypeAlias = Listen | Join


class Done(Struct, frozen=True, tag_field="outcome", tag="done"):
    """It is carried out, or will be."""

    status: Literal[
        "speaking", "waiting", "told", "answering", "transferring", "hanging_up", "paused", "recording", "open"
    ]
    is_kept: bool = True
    """Whoever goes on with the call knows of it; False: it holds here, and Redis has not been told yet."""

    @property
    def is_waiting(self) -> bool:
        """For its turn."""
        return self.status == "waiting"


class Refused(Struct, frozen=True, kw_only=True, tag_field="outcome", tag="refused"):
    """It is not, and will not be, unless `no_answer` says that nobody knows."""

    status_code: int
    code: str
    message: str
    param: str | None = None
    retry_after_s: int | None = None
    """When it may be tried again; None: that would not help."""


Outcome: TypeAlias = Done | Refused


def unknown(call_sid: str) -> Refused:
    message = f"There is no call {call_sid[:64]}. GET /v1/calls lists those there are."
    return Refused(status_code=404, code="call_not_found", message=message, param="call_sid")


OVER: Final = Refused(status_code=409, code="call_ended", message="The call is over.")

ENDING: Final = Refused(status_code=409, code="call_ending", message="The call is about to end.")

NOT_STREAMING: Final = Refused(
    status_code=409,
    code="call_not_streaming",
    message="The call has no stream just now: it rings, or is being picked up again. Try again.",
    retry_after_s=RETRY_AFTER_S,
)

NOT_RECORDED: Final = Refused(
    status_code=404,
    code="not_recorded",
    message="This call is not being recorded. GET its recordings to see what there is.",
    param="call_sid",
)

WORKER_GONE: Final = Refused(
    status_code=409,
    code="worker_gone",
    message="The call's worker is gone and the call is being picked up by another. Try again.",
    retry_after_s=RETRY_AFTER_S,
)

NO_ANSWER: Final = Refused(
    status_code=503,
    code="no_answer",
    message="The call's worker did not answer in time. It may have done what was asked: look at the call's events.",
    retry_after_s=RETRY_AFTER_S,
)

OUT_OF_REACH: Final = Refused(
    status_code=503,
    code="redis_unavailable",
    message="Redis does not answer just now, so calls on other workers are out of reach; they go on. Try again.",
    retry_after_s=RETRY_AFTER_S,
)
