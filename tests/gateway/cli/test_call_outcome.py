from __future__ import annotations

import json

import pytest

from gateway.cli.call_events import Entry
from gateway.cli.call_outcome import REFUSED, UNREACHABLE, no_call, result_line
from gateway.cli.call_review import review
from gateway.cli.placed_call import PlacedCall
from gateway.cli.target import ANY_ACCOUNT, target_at
from gateway.cli.verdict import call_checks
from tests.gateway.cli.recorded import Event, happened, journal_of, opening, recorded_call, result_of

TARGET = target_at("http://127.0.0.1:8080", ANY_ACCOUNT, "secret", "")


def complaint(code: int, message: str) -> Event:
    return happened("complaint", 1, code=code, message=message)


@pytest.mark.parametrize("code", [11205, 11200])
def test_a_gateway_that_is_not_there_is_unreachable_and_it_is_said_how_to_start_it(code: int) -> None:
    outcome = no_call(result_of([complaint(code, f"{code}: no")]), TARGET)
    assert outcome is not None and outcome.exit_code == UNREACHABLE
    assert "http://127.0.0.1:8080/twilio/voice" in outcome.message
    assert "switchboard serve" in outcome.message


def test_a_webhook_that_answers_403_has_refused_and_it_is_said_what_to_sign_with() -> None:
    outcome = no_call(result_of([complaint(11217, "11217: http://x answered 403: no")]), TARGET)
    assert outcome is not None and outcome.exit_code == REFUSED
    assert "--auth-token" in outcome.message


def test_a_media_stream_that_answers_403_has_refused() -> None:
    events = [happened("twiml", 0, text=""), happened("stream.refused", 1, http_status=403, code=31920)]
    outcome = no_call(result_of(events), TARGET)
    assert outcome is not None and outcome.exit_code == REFUSED
    assert "wss URL" in outcome.message


@pytest.mark.parametrize(
    "events",
    [
        recorded_call(),
        [complaint(11217, "11217: http://x answered 500: no")],
        [happened("twiml", 0, text=""), happened("stream.refused", 1, http_status=502, code=31920)],
        [happened("twiml", 0, text=""), *opening(), happened("stream.refused", 1, http_status=403, code=31920)],
        [happened("twiml", 0, text=""), complaint(11205, "11205: status callback")],
        [],
    ],
)
def test_other_failures_are_a_matter_for_the_checks(events: list[Event]) -> None:
    assert no_call(result_of(events), TARGET) is None


def placed(events: list[Event], journal: tuple[Entry, ...] = ()) -> PlacedCall:
    return PlacedCall(result_of(events), journal, None)


def test_the_result_of_a_recorded_call_is_one_json_object_with_turns_interruption_and_verdict() -> None:
    events = recorded_call()
    call = placed(events, journal_of(events))
    reviewed = review(call.result, call.journal)
    line = result_line(call, reviewed, call_checks(call.result, reviewed, lines=4), 0, ["out/call.wav"])
    assert json.loads(json.dumps(line)) == line
    assert (line["event"], line["ok"], line["median_ms"], line["p95_ms"]) == ("result", True, 555, 1160)
    first = line["turns"][0]
    assert first["understood"] == ["what are your opening hours"]
    assert sum(value or 0 for value in first["stages"].values()) == first["total_ms"] == 550
    (cut,) = line["interruptions"]
    assert cut["heard"] == "We are open from Monday to Friday, from nine in the"
    assert all(check["ok"] for check in line["checks"])
    assert line["saved"] == ["out/call.wav"]


def test_a_result_without_a_journal_has_no_stages_and_no_words() -> None:
    call = placed(recorded_call())
    line = result_line(call, review(call.result, ()), [], 1, [])
    assert {turn["stages"] for turn in line["turns"]} == {None}
    assert (line["ok"], line["interruptions"][0]["heard"], line["interruptions"][0]["believed_heard_ms"]) == (
        False,
        None,
        None,
    )


def test_a_call_without_turns_has_no_median() -> None:
    call = placed([])
    assert result_line(call, review(call.result, ()), [], 1, [])["median_ms"] is None
