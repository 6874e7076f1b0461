from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call_records.journal_event import at_s
from gateway.call_records.record import (
    CallEnded,
    Failure,
    RecordingPart,
    Stream,
    ToolUse,
    Transfer,
    Turn,
    body_of,
    message_id,
    record_of,
)
from gateway.calls.call import EndReason
from gateway.calls.chronicle import Chronicle
from gateway.calls.journal import Journal, JournalEvent
from gateway.metrics import Metrics
from pipeline.costs import Used
from pipeline.observations import ToolTimed, TurnTimed
from tests.gateway.call_records.support import BEGAN_S, ended_call, happened, new_call, sid

STARTED = happened("call.started", to="+1", agent="reception")


def stream(number: int, after_s: float) -> JournalEvent:
    return happened("stream.started", after_s, call_sid=sid(1), stream_sid=f"MZ{number}")


def stream_end(reason: str, after_s: float) -> JournalEvent:
    return happened("stream.ended", after_s, reason=reason)


def test_the_facts_are_the_calls_own_with_numbers_in_full() -> None:
    call = new_call()
    call.finish(EndReason.TRANSFERRED, BEGAN_S + 9.5, transfer_to="+493012345678")
    call.end(EndReason.COMPLETED, BEGAN_S + 10.25)
    call.tally.add(Used(provider="openai", kind="llm", requests=2, input_tokens=40, cost_usd=0.002))
    record = record_of(call, [STARTED])
    assert (record.call_sid, record.from_, record.to, record.agent) == (
        sid(1),
        "+14155550134",
        "+18005550100",
        "reception",
    )
    assert (record.started_at, record.ended_at, record.duration_s) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:10.250Z",
        10.25,
    )
    assert (record.end_reason, record.transferred_to) == ("transferred", "+493012345678")
    assert record.costs["cost_usd"] == 0.002
    assert record.is_complete


def test_a_farewell_and_a_transfer_that_did_not_come_about_are_told_apart() -> None:
    call = ended_call(transfer_to="+493012345678", farewell="Sorry, something went wrong.")
    record = record_of(call, [STARTED])
    assert (record.transferred_to, record.farewell) == (None, "Sorry, something went wrong.")


def test_moves_and_resumes_are_counted_by_the_streams() -> None:
    events = [
        STARTED,
        stream(1, 1),
        stream_end("moved", 20),
        stream(2, 20.2),
        stream(3, 40),
        stream_end("stopped", 60),
    ]
    record = record_of(ended_call(), events)
    assert (record.moved, record.resumed) == (1, 1)
    assert record.streams == (
        Stream(stream_sid="MZ1", from_ms=1000, to_ms=20_000, ended="moved"),
        Stream(stream_sid="MZ2", from_ms=20_200),
        Stream(stream_sid="MZ3", from_ms=40_000, to_ms=60_000, ended="stopped"),
    )


def test_a_move_after_which_the_caller_was_gone_is_none() -> None:
    record = record_of(ended_call(), [STARTED, stream(1, 1), stream_end("moved", 20), stream_end("again", 21)])
    assert (record.moved, record.resumed, record.streams[0].ended) == (0, 0, "moved")
    assert record_of(ended_call(), [stream_end("moved", 20)]).streams == ()


def test_turns_and_tools_are_told_as_the_chronicle_writes_them() -> None:
    journal = Journal()
    chronicle = Chronicle(journal, Metrics("test"), lambda: BEGAN_S + 5.0, call_sid=sid(1))
    chronicle.note(TurnTimed("item_1", "resp_1", 0.5, 4_321, {"stt": 0.1, "llm": 0.25, "tts": 0.125}))
    chronicle.note(ToolTimed("find", '{"id": 1}', '{"status": "sent"}', 0.2))
    record = record_of(ended_call(), journal.recent())
    stages_ms = {"endpoint": 500.0, "stt": 100.0, "llm": 250.0, "tts": 125.0}
    assert record.turns == (
        Turn(at_ms=5000, item_id="item_1", response_id="resp_1", response_ms=975.0, stages_ms=stages_ms),
    )
    assert record.tools == (
        ToolUse(at_ms=5000, name="find", took_ms=200.0, arguments='{"id": 1}', output='{"status": "sent"}'),
    )


def test_transfers_failures_interruptions_and_recordings_are_told() -> None:
    record = record_of(
        ended_call(),
        [
            STARTED,
            happened("transfer.asked", 1, to="sales", reason="wants to buy"),
            happened("response.failed", 2, response_id="r", code="rate_limit", message="key sk-very-secret"),
            happened("transcript.failed", 3, item_id="i", message="key sk-very-secret"),
            happened("interrupted", 4, item_id="i", clear_after_ms=80.0),
            happened("recording.started", 5, part=2, name=f"{sid(1)}.2.wav"),
            happened("recording.started", 6, part="none"),
        ],
    )
    assert record.transfers == (Transfer(at_ms=1000, to="sales", reason="wants to buy"),)
    assert record.failures == (
        Failure(at_ms=2000, event="response.failed", code="rate_limit"),
        Failure(at_ms=3000, event="transcript.failed", code=None),
    )
    assert record.interruptions == 1
    path = f"/v1/calls/{sid(1)}/recordings/2"
    assert record.recordings == (RecordingPart(part=2, at_ms=5000, name=f"{sid(1)}.2.wav", path=path),)
    assert b"secret" not in body_of(record)


def test_an_event_that_was_written_twice_counts_once_and_order_is_that_of_time() -> None:
    cut = happened("interrupted", 4, item_id="i", clear_after_ms=80.0)
    later = happened("interrupted", 5, item_id="i", clear_after_ms=80.0)
    assert record_of(ended_call(), [later, cut, STARTED, cut, later]).interruptions == 2


def test_a_record_whose_beginning_or_middle_is_not_known_says_so() -> None:
    assert not record_of(ended_call(), []).is_complete
    assert not record_of(ended_call(), [STARTED, {"event": "journal.gap", "dropped": 3}]).is_complete


def test_the_id_is_the_calls_and_has_none_of_the_dots_that_a_signature_is_made_of() -> None:
    assert message_id(sid(1)) == message_id(sid(1)) != message_id(sid(2))
    assert "." not in message_id(sid(1))


_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(), max_size=2)
)
_names = st.sampled_from(
    "call.started stream.started stream.ended transcript.done transcript.truncated turn.timed tool.done "
    "interrupted transfer.asked error filler backchannel recording.started dtmf journal.gap call.cost other".split()
)
_sane = st.floats(BEGAN_S, BEGAN_S + 3600)
_fields = st.dictionaries(
    st.sampled_from("at_s item_id text heard speaker reason stream_sid part llm_ms audio_end_ms code name".split()),
    _values,
)
_events = st.lists(st.builds(lambda name, at_s, more: {"event": name, "at_s": at_s} | more, _names, _sane, _fields))


@settings(max_examples=50, deadline=None)
@given(events=_events, order=st.randoms())
def test_any_journal_makes_a_record_that_can_be_read_and_is_the_same_in_any_order(
    events: list[JournalEvent], order: Any
) -> None:
    record = record_of(ended_call(), [*events, *events])
    read = msgspec.json.decode(body_of(record), type=CallEnded)
    assert read.data == record
    assert (read.type, read.timestamp) == ("call.ended", record.ended_at)
    assert record.moved + record.resumed == max(0, len(record.streams) - 1)
    assert all(line.text.strip() for line in record.transcript)
    settled = list({at_s(event): event for event in events}.values())
    shuffled = list(settled)
    order.shuffle(shuffled)
    assert record_of(ended_call(), shuffled) == record_of(ended_call(), settled)


@given(digits=st.text("0123456789*#", min_size=4, max_size=12))
def test_keys_that_were_pressed_are_in_no_record(digits: str) -> None:
    # What a private tool and the keypad leave in the journal: that there was something.
    marked = f"keys:{digits}"
    events = [
        STARTED,
        happened("dtmf", 1, audio_ms=100, digits=marked),
        happened(
            "tool.done", 2, name="collect_digits", arguments="(private)", output="(private)", ms=1, raw=marked
        ),
    ]
    assert marked not in json.dumps(json.loads(body_of(record_of(ended_call(), events))))
