"""The forms Twilio posts while a caller for whom there is no room waits, presses a key or leaves a message.

Read as strictly as those of `webhooks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from twiml.form_fields import account_sid, call_sid, optional, optional_count, party, required


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWait:
    """A caller waits in a queue, and Twilio asks what is heard next."""

    call_sid: str
    account_sid: str
    from_: str
    to: str
    position: int
    """1 is the next."""
    waited_s: int
    average_wait_s: int
    """Of those in the queue now."""
    size: int
    digits: str = ""
    """The key, when a `<Gather>` among what is heard tells of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft:
    """A caller is no longer in the queue."""

    call_sid: str
    account_sid: str
    from_: str
    to: str
    result: str
    """leave, queue-full, error, hangup and others."""
    waited_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed:
    """What `<Gather>` heard."""

    call_sid: str
    account_sid: str
    from_: str
    to: str
    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """A caller has left a message."""

    call_sid: str
    account_sid: str
    from_: str
    to: str
    recording_sid: str
    recording_url: str
    seconds: int
    has_hung_up: bool
    """The caller ended the recording by hanging up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """A recording's file is ready, or will never be."""

    call_sid: str
    account_sid: str
    recording_sid: str
    status: str
    """completed, absent or failed."""


def read_queue_wait(form: Mapping[str, str]) -> QueueWait:
    """The request of an `<Enqueue>`'s waitUrl, or of a `<Gather>` heard in the queue. Raises `WebhookError`.

    https://www.twilio.com/docs/voice/twiml/enqueue. What tells of the queue is missing from some requests of a
    `<Gather>`; then nothing is known of it.
    """
    return QueueWait(
        **_of_caller(form),
        position=optional_count(form, "QueuePosition") or 0,
        waited_s=optional_count(form, "QueueTime") or 0,
        average_wait_s=optional_count(form, "AvgQueueTime") or 0,
        size=optional_count(form, "CurrentQueueSize") or 0,
        digits=optional(form, "Digits", _DIGITS, "keys of a telephone") or "",
    )


def read_queue_left(form: Mapping[str, str]) -> QueueLeft:
    """The request of an `<Enqueue>`'s action. Raises `WebhookError`."""
    return QueueLeft(
        **_of_caller(form),
        result=required(form, "QueueResult", _WORD, "a result such as leave or queue-full"),
        waited_s=optional_count(form, "QueueTime") or 0,
    )


def read_key_pressed(form: Mapping[str, str]) -> KeyPressed:
    """The request of a `<Gather>`'s action. Raises `WebhookError`. https://www.twilio.com/docs/voice/twiml/gather"""
    return KeyPressed(**_of_caller(form), digits=optional(form, "Digits", _DIGITS, "keys of a telephone") or "")


def read_record_result(form: Mapping[str, str]) -> RecordResult:
    """The request of a `<Record>`'s action. Raises `WebhookError`. https://www.twilio.com/docs/voice/twiml/record"""
    return RecordResult(
        **_of_caller(form),
        recording_sid=required(form, "RecordingSid", _RECORDING_SID, "RE and 32 lower-case hex digits"),
        recording_url=required(form, "RecordingUrl", _HTTP_URL, "an http or https URL"),
        seconds=optional_count(form, "RecordingDuration") or 0,
        has_hung_up=form.get("Digits") == "hangup",
    )


def read_recording_status(form: Mapping[str, str]) -> RecordingStatus:
    """A recording's status callback. Raises `WebhookError`."""
    return RecordingStatus(
        call_sid=call_sid(form),
        account_sid=account_sid(form),
        recording_sid=required(form, "RecordingSid", _RECORDING_SID, "RE and 32 lower-case hex digits"),
        status=required(form, "RecordingStatus", _WORD, "a status such as completed or absent"),
    )


class _Caller(TypedDict):
    call_sid: str
    account_sid: str
    from_: str
    to: str


def _of_caller(form: Mapping[str, str]) -> _Caller:
    return {
        "call_sid": call_sid(form),
        "account_sid": account_sid(form),
        "from_": party(form, "From"),
        "to": party(form, "To"),
    }


_RECORDING_SID = re.compile(r"RE[0-9a-f]{32}")
_HTTP_URL = re.compile(r"https?://[\x21-\x7e]{1,1000}")
_DIGITS = re.compile(r"[0-9*#A-Da-dw]{1,64}")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
