from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from twiml.errors import WebhookError
from twiml.overflow_forms import (
    KeyPressed,
    QueueLeft,
    QueueWait,
    RecordingStatus,
    RecordResult,
    read_key_pressed,
    read_queue_left,
    read_queue_wait,
    read_record_result,
    read_recording_status,
)

CALL, ACCOUNT, RECORDING = "CA" + "b" * 32, "AC" + "a" * 32, "RE" + "d" * 32
FORM = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+14155550134", "To": "+14155550100"}
WHO: dict[str, Any] = {
    "call_sid": CALL,
    "account_sid": ACCOUNT,
    "from_": "+14155550134",
    "to": "+14155550100",
}
URL = "https://api.twilio.com/2010-04-01/Accounts/AC/Recordings/RE"


def test_a_wait_tells_of_the_queue_and_a_key_in_it_may_tell_of_nothing_else() -> None:
    queue = {"QueuePosition": "2", "QueueTime": "31", "AvgQueueTime": "60", "CurrentQueueSize": "3"}
    assert read_queue_wait(FORM | queue) == QueueWait(
        **WHO, position=2, waited_s=31, average_wait_s=60, size=3, digits=""
    )
    assert read_queue_wait(FORM | {"Digits": "1"}) == QueueWait(
        **WHO, position=0, waited_s=0, average_wait_s=0, size=0, digits="1"
    )


def test_the_other_forms_are_read_whole() -> None:
    assert read_queue_left(FORM | {"QueueResult": "queue-full"}) == QueueLeft(
        **WHO, result="queue-full", waited_s=0
    )
    assert read_queue_left(FORM | {"QueueResult": "leave", "QueueTime": "9"}).waited_s == 9
    assert read_key_pressed(FORM | {"Digits": "*1"}) == KeyPressed(**WHO, digits="*1")
    assert read_key_pressed(FORM | {"Digits": ""}).digits == ""
    recorded = {"RecordingSid": RECORDING, "RecordingUrl": URL, "RecordingDuration": "7", "Digits": "hangup"}
    assert read_record_result(FORM | recorded) == RecordResult(
        **WHO, recording_sid=RECORDING, recording_url=URL, seconds=7, has_hung_up=True
    )
    status = {"CallSid": CALL, "AccountSid": ACCOUNT, "RecordingSid": RECORDING, "RecordingStatus": "absent"}
    assert read_recording_status(status) == RecordingStatus(
        call_sid=CALL, account_sid=ACCOUNT, recording_sid=RECORDING, status="absent"
    )


@pytest.mark.parametrize(
    ("read", "changes", "field"),
    [
        (read_queue_wait, {"QueuePosition": "first"}, "QueuePosition"),
        (read_queue_wait, {"Digits": "1\n"}, "Digits"),
        (read_queue_left, {}, "QueueResult"),
        (read_queue_left, {"QueueResult": "leave now"}, "QueueResult"),
        (read_key_pressed, {"From": "nobody at all"}, "From"),
        (read_record_result, {"RecordingSid": RECORDING, "RecordingUrl": "file:///etc/passwd"}, "RecordingUrl"),
        (read_record_result, {"RecordingSid": "RE1", "RecordingUrl": URL}, "RecordingSid"),
        (read_recording_status, {"RecordingSid": RECORDING}, "RecordingStatus"),
    ],
)
def test_a_field_that_is_missing_or_not_what_twilio_sends_is_named(
    read: Callable[[Mapping[str, str]], object], changes: dict[str, str], field: str
) -> None:
    with pytest.raises(WebhookError) as refused:
        read(FORM | changes)
    assert refused.value.field == field
