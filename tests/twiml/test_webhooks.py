from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twiml.errors import WebhookError
from twiml.webhooks import (
    CallStatus,
    DialResult,
    ErrorReport,
    StatusCallback,
    StreamEvent,
    StreamStatus,
    VoiceRequest,
    read_dial_result,
    read_error_report,
    read_status,
    read_stream_status,
    read_voice,
)

CALL = "CA" + "0123456789abcdef" * 2
ACCOUNT = "AC" + "0123456789abcdef" * 2
STREAM = "MZ" + "0123456789abcdef" * 2

VOICE = {
    "CallSid": CALL,
    "AccountSid": ACCOUNT,
    "From": "+14155550134",
    "To": "+14155550100",
    "CallStatus": "ringing",
}


def test_the_least_voice_request_is_read() -> None:
    assert read_voice(VOICE) == VoiceRequest(
        call_sid=CALL,
        account_sid=ACCOUNT,
        from_="+14155550134",
        to="+14155550100",
        call_status=CallStatus.RINGING,
    )


def test_everything_a_voice_request_may_carry_is_read_and_the_rest_ignored() -> None:
    form = VOICE | {
        "Direction": "outbound-api",
        "CallerName": "ADA",
        "ForwardedFrom": "+14155550111",
        "ParentCallSid": CALL,
        "StirVerstat": "TN-Validation-Passed-A",
        "NewsFromTwilio": "x",
    }
    request = read_voice(form)
    assert request.direction == "outbound-api"
    assert (request.caller_name, request.forwarded_from) == ("ADA", "+14155550111")
    assert (request.parent_call_sid, request.stir_verstat) == (CALL, "TN-Validation-Passed-A")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", "anonymous"),
        ("anonymous", "anonymous"),
        ("Restricted", "restricted"),
        ("12345", "12345"),
        ("client:alice", "client:alice"),
        ("sip:bob@example.com", "sip:bob@example.com"),
    ],
)
def test_a_caller_need_not_have_a_number(value: str, read: str) -> None:
    assert read_voice(VOICE | {"From": value}).from_ == read


@pytest.mark.parametrize("field", list(VOICE))
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    form = {name: value for name, value in VOICE.items() if name != field}
    with pytest.raises(WebhookError, match=f"^{field}: expected .*, got nothing$") as refusal:
        read_voice(form)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("CallSid", CALL + "\n"),
        ("CallSid", CALL.upper()),
        ("CallSid", CALL + "x"),
        ("CallSid", ""),
        ("AccountSid", "AC١" + "0" * 31),
        ("CallStatus", "ringingCalledCity"),
        ("CallStatus", "COMPLETED"),
        ("From", "+14155550134FromCityX"),
        ("From", "tel:+1415"),
        ("From", "sip:a b"),
        ("To", "+١٢٣٤٥٦"),
        ("Direction", "inboundFrom"),
        ("CallerName", "x" * 1_001),
        ("ParentCallSid", "CA1"),
    ],
)
def test_a_field_that_is_not_what_twilio_sends_is_refused(field: str, value: str) -> None:
    with pytest.raises(WebhookError, match=f"^{field}: expected "):
        read_voice(VOICE | {field: value})


def test_a_status_callback_is_read() -> None:
    form = {"CallSid": CALL, "AccountSid": ACCOUNT, "CallStatus": "completed"}
    assert read_status(form) == StatusCallback(call_sid=CALL, account_sid=ACCOUNT, call_status=CallStatus.COMPLETED)
    numbered = read_status(form | {"SequenceNumber": "3", "CallDuration": "42"})
    assert (numbered.sequence_number, numbered.duration_s) == (3, 42)


@pytest.mark.parametrize("number", ["-1", "1.0", "x", "1" * 10, "²"])
def test_a_sequence_number_is_a_whole_number(number: str) -> None:
    form = {"CallSid": CALL, "AccountSid": ACCOUNT, "CallStatus": "completed", "SequenceNumber": number}
    with pytest.raises(WebhookError, match="SequenceNumber"):
        read_status(form)


def test_five_statuses_are_final() -> None:
    final = {status.value for status in CallStatus if status.is_final}
    assert final == {"completed", "busy", "failed", "no-answer", "canceled"}


def test_a_stream_status_is_read() -> None:
    form = {
        "CallSid": CALL,
        "AccountSid": ACCOUNT,
        "StreamSid": STREAM,
        "StreamEvent": "stream-error",
        "StreamError": "handshake",
    }
    assert read_stream_status(form) == StreamStatus(
        call_sid=CALL, account_sid=ACCOUNT, stream_sid=STREAM, event=StreamEvent.ERROR, error="handshake"
    )
    with pytest.raises(WebhookError, match="StreamEvent"):
        read_stream_status(form | {"StreamEvent": "stream-paused"})


def test_an_error_report_is_read() -> None:
    form = {"CallSid": CALL, "AccountSid": ACCOUNT}
    assert read_error_report(form) == ErrorReport(call_sid=CALL, account_sid=ACCOUNT)
    full = read_error_report(form | {"ErrorCode": "11200", "ErrorUrl": "https://voice.example/twilio/voice"})
    assert (full.error_code, full.error_url) == (11200, "https://voice.example/twilio/voice")


FIELDS = st.sampled_from(
    ["CallSid", "AccountSid", "From", "To", "CallStatus", "SequenceNumber", "StreamSid", "StreamEvent"]
)
VALUES = st.text() | st.sampled_from([CALL, ACCOUNT, STREAM, "ringing", "+14155550134", "stream-started", ""])


@pytest.mark.parametrize("read", [read_voice, read_status, read_stream_status, read_error_report])
@given(form=st.dictionaries(FIELDS, VALUES))
def test_any_form_is_read_or_refused_and_nothing_else(
    read: Callable[[Mapping[str, str]], object], form: dict[str, str]
) -> None:
    try:
        read(form)
    except WebhookError as refusal:
        assert str(refusal)


@pytest.mark.parametrize(
    ("status", "was_answered"),
    [
        ("completed", True),
        ("answered", True),
        ("busy", False),
        ("no-answer", False),
        ("failed", False),
        ("canceled", False),
    ],
)
def test_what_became_of_a_dialled_number_is_read(status: str, was_answered: bool) -> None:
    form = VOICE | {"DialCallStatus": status}
    assert read_dial_result(form) == DialResult(call_sid=CALL, account_sid=ACCOUNT, was_answered=was_answered)


@pytest.mark.parametrize("status", ["", "busy\n", "gone"])
def test_a_strange_dial_status_is_refused(status: str) -> None:
    with pytest.raises(WebhookError, match="^DialCallStatus: expected"):
        read_dial_result(VOICE | {"DialCallStatus": status})
