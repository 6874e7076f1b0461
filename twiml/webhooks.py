"""The forms Twilio posts to us, read strictly.

Strict, because a signature proves less than it seems: Twilio signs names and values strung together without
separators, so a captured signature also fits the same text cut elsewhere. A form that was re-cut has a field
missing or a field that runs on into the next name, and is refused here.
Fields: https://www.twilio.com/docs/voice/twiml#twilios-request-to-your-application and
https://www.twilio.com/docs/voice/api/call-resource#statuscallback.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from twiml.form_fields import (
    CALL_SID,
    CALL_SID_SHAPE,
    account_sid,
    call_sid,
    optional,
    optional_count,
    optional_text,
    party,
    required,
)


class CallStatus(enum.Enum):
    """Where a call stands, as Twilio tells it."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {
        CallStatus.COMPLETED,
        CallStatus.BUSY,
        CallStatus.FAILED,
        CallStatus.NO_ANSWER,
        CallStatus.CANCELED,
    }
)


class StreamEvent(enum.Enum):
    """What became of a media stream."""

    STARTED = "stream-started"
    STOPPED = "stream-stopped"
    ERROR = "stream-error"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRequest:
    """Twilio asks what to do with a call."""

    call_sid: str
    account_sid: str
    from_: str
    """`+E.164`, `client:name`, `sip:user@host`, or a word of `numbers.WITHHELD` in lower case."""
    to: str
    call_status: CallStatus
    direction: str = "inbound"
    caller_name: str | None = None
    forwarded_from: str | None = None
    parent_call_sid: str | None = None
    stir_verstat: str | None = None
    """The carrier's verdict on the caller's number, as in `TN-Validation-Passed-A`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCallback:
    """Twilio tells how a call fares; may come twice and out of order."""

    call_sid: str
    account_sid: str
    call_status: CallStatus
    sequence_number: int | None = None
    """Counts the callbacks of one call from 0, in the order things happened."""
    duration_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """Twilio tells how a media stream fares; the only sign of a socket that could not be opened."""

    call_sid: str
    account_sid: str
    stream_sid: str
    event: StreamEvent
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """Twilio could not use what the voice URL answered, and asks the fallback URL."""

    call_sid: str
    account_sid: str
    error_code: int | None = None
    error_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialResult:
    """How dialling somebody else went, as `<Dial>`'s action is told."""

    call_sid: str
    account_sid: str
    was_answered: bool


def read_voice(form: Mapping[str, str]) -> VoiceRequest:
    """A call's webhook, first or on the way back. Raises `WebhookError`."""
    return VoiceRequest(
        call_sid=call_sid(form),
        account_sid=account_sid(form),
        from_=party(form, "From"),
        to=party(form, "To"),
        call_status=_call_status(form),
        direction=optional(form, "Direction", _DIRECTION, "a direction such as inbound") or "inbound",
        caller_name=optional_text(form, "CallerName"),
        forwarded_from=optional_text(form, "ForwardedFrom"),
        parent_call_sid=optional(form, "ParentCallSid", CALL_SID, CALL_SID_SHAPE),
        stir_verstat=optional_text(form, "StirVerstat"),
    )


def read_status(form: Mapping[str, str]) -> StatusCallback:
    """A call's status callback. Raises `WebhookError`."""
    return StatusCallback(
        call_sid=call_sid(form),
        account_sid=account_sid(form),
        call_status=_call_status(form),
        sequence_number=optional_count(form, "SequenceNumber"),
        duration_s=optional_count(form, "CallDuration"),
    )


def read_stream_status(form: Mapping[str, str]) -> StreamStatus:
    """A stream's status callback. Raises `WebhookError`."""
    event = required(form, "StreamEvent", _STREAM_EVENT, "stream-started, stream-stopped or stream-error")
    return StreamStatus(
        call_sid=call_sid(form),
        account_sid=account_sid(form),
        stream_sid=required(form, "StreamSid", _STREAM_SID, "MZ and 32 lower-case hex digits"),
        event=StreamEvent(event),
        error=optional_text(form, "StreamError"),
    )


def read_error_report(form: Mapping[str, str]) -> ErrorReport:
    """The fallback's request. Raises `WebhookError`."""
    return ErrorReport(
        call_sid=call_sid(form),
        account_sid=account_sid(form),
        error_code=optional_count(form, "ErrorCode"),
        error_url=optional_text(form, "ErrorUrl"),
    )


def read_dial_result(form: Mapping[str, str]) -> DialResult:
    """The request of a `<Dial>`'s action (https://www.twilio.com/docs/voice/twiml/dial). Raises `WebhookError`."""
    return DialResult(
        call_sid=call_sid(form),
        account_sid=account_sid(form),
        was_answered=required(form, "DialCallStatus", _DIAL_STATUS, "a status such as completed or no-answer")
        in ("completed", "answered"),
    )


_DIAL_STATUS = re.compile(r"completed|answered|busy|no-answer|failed|canceled")
_STREAM_SID = re.compile(r"MZ[0-9a-f]{32}")
_STREAM_EVENT = re.compile("|".join(event.value for event in StreamEvent))
_CALL_STATUS = re.compile("|".join(status.value for status in CallStatus))
_DIRECTION = re.compile(r"inbound|outbound(?:-api|-dial)?|trunking-(?:originating|terminating)")


def _call_status(form: Mapping[str, str]) -> CallStatus:
    return CallStatus(required(form, "CallStatus", _CALL_STATUS, "one of Twilio's call statuses"))
