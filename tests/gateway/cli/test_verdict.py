from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.cli.call_events import Entry
from gateway.cli.call_review import review
from gateway.cli.verdict import Check, call_checks, demo_checks
from simulator.call_result import Complaint
from tests.gateway.cli.recorded import (
    Event,
    answered,
    happened,
    journal_of,
    opening,
    recorded_call,
    result_of,
    spoken,
)

Change = Callable[[Event], Event | None]


def checks_of_call(events: list[Event], lines: int = 1, **changes: object) -> list[Check]:
    result = result_of(events, **changes)
    return call_checks(result, review(result, journal_of(events)), lines=lines)


def unmet(checks: list[Check]) -> list[str]:
    return [one.text for one in checks if not one.is_met]


def demo(change: Change = lambda one: one, **changes: object) -> list[str]:
    """What is wrong with the recorded demonstration, changed."""
    events = [kept for one in recorded_call() if (kept := change(one)) is not None]
    result = result_of(events, **changes)
    return unmet(demo_checks(result, review(result, journal_of(events))))


def test_the_recorded_demonstration_meets_every_check() -> None:
    events = recorded_call()
    result = result_of(events)
    checks = demo_checks(result, review(result, journal_of(events)))
    assert [one.is_met for one in checks] == [True] * 6
    assert "after 143 ms" in checks[1].text
    assert checks[0].line()[0] == ("✓ ", "good")


def without(name: str) -> Change:
    return lambda one: None if one.name == name else one


def retold(name: str, **fields: object) -> Change:
    """The gateway tells it otherwise."""

    def change(one: Event) -> Event:
        if one.name != name or not isinstance(one, Entry):
            return one
        return replace(one, fields={**one.fields, **fields})

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without("transcript.done"), "the answer about the opening hours has no"),
        (without("transcript.truncated"), "did not say how much"),
        (retold("transcript.truncated", heard="We are closed"), "is no part of its answer"),
        (retold("transcript.truncated", heard=""), "is no part of its answer"),
        (without("tool.done"), "the order was not looked up"),
        (retold("tool.done", output='{"status": "unknown"}'), "the order was not looked up"),
        (retold("transcript.done", text="We are"), 'the answer about the order has no "thursday"'),
        (without("agent.silent"), "no answer was heard to the question about the opening hours"),
        (without("barge_in"), "the agent was never interrupted"),
    ],
)
def test_a_demonstration_that_lacks_one_thing_fails_for_it(change: Change, complaint: str) -> None:
    assert any(complaint in text for text in demo(change))


def test_a_demonstration_that_twilio_complains_of_fails() -> None:
    assert demo(complaints=(Complaint(31951, "unknown key", 5.0),)) == ["Twilio would have complained: 31951"]


def test_an_answer_of_a_click_is_none() -> None:
    events = [*opening(), *spoken("hours", 1000, 2000), *answered(2500, 2800)]
    result = result_of(events)
    assert any("too short for an answer" in text for text in unmet(demo_checks(result, review(result, ()))))


def test_a_call_that_was_never_taken_fails_the_demonstration_without_an_exception() -> None:
    result = result_of([])
    checks = demo_checks(result, review(result, ()))
    assert len(unmet(checks)) == 5


def test_every_turn_wants_an_answer() -> None:
    events = [*opening(), *spoken("one", 1000, 2000), *answered(2500, 3500), *spoken("two", 4000, 5000)]
    assert unmet(checks_of_call(events, 2)) == ["no answer was heard to turn 2 of 2"]
    assert unmet(checks_of_call(events[:-2], 1)) == []


def test_words_the_phone_company_speaks_after_the_stream_answer_the_last_turn_only() -> None:
    events = [*opening(), *spoken("one", 1000, 2000)]
    assert unmet(checks_of_call(events, spoken_verbs=("Goodbye.",))) == []
    events += [*spoken("two", 4000, 5000)]
    assert unmet(checks_of_call(events, 2, spoken_verbs=("Goodbye.",))) == ["no answer was heard to turn 1 of 2"]


def test_a_caller_who_said_less_than_the_script_holds_is_a_failure() -> None:
    assert unmet(checks_of_call([*opening(), *answered(10, 900)], 2)) == [
        "the caller came to say 0 of 2 things: the gateway hung up"
    ]


def test_a_caller_with_keys_alone_wants_to_hear_somebody() -> None:
    assert unmet(checks_of_call([*opening()], 0)) == ["the agent was never heard"]
    assert unmet(checks_of_call([*opening(), *answered(10, 900)], 0)) == []


def test_a_caller_who_waits_in_vain_is_a_failure() -> None:
    events = [*opening(), *answered(10, 900), happened("caller.impatient", 16_000, waited_ms=15_000)]
    assert unmet(checks_of_call(events, 0)) == ["the caller waited in vain 1 time for the agent to speak"]
    assert "2 times" in unmet(checks_of_call([*events, events[-1]], 0))[0]


def interrupted(silent_ms: float, clear_ms: float | None) -> list[Event]:
    clear = (
        []
        if clear_ms is None
        else [
            happened(
                "clear",
                clear_ms,
                utterance_heard_bytes=8000,
                heard_bytes=8000,
                discarded_bytes=0,
                since_caller_spoke_ms=clear_ms - 3000,
                stream_sid="MZ1",
            )
        ]
    )
    return [
        *opening(),
        happened("agent.heard", 1000),
        happened("caller.speaks", 3000, text="stop"),
        happened("barge_in", 3000, agent_heard_ms=2000),
        *clear,
        happened("agent.silent", silent_ms, start_ms=1000),
        happened("caller.stops", 3800, text="stop"),
        *answered(4400, 5000),
    ]


@pytest.mark.parametrize(
    ("silent_ms", "clear_ms", "is_met", "words"),
    [
        (3160, 3140, True, "clear after 140 ms, silent after 160 ms"),
        (3160, None, True, "the agent was done by itself, 160 ms after the caller began"),
        (3700, None, False, "silent after 700 ms (no clear came; limit 500)"),
        (3700, 3650, False, "silent after 700 ms (clear after 650 ms; limit 500)"),
    ],
)
def test_an_agent_stops_when_interrupted_or_fails(
    silent_ms: float, clear_ms: float | None, is_met: bool, words: str
) -> None:
    check = checks_of_call(interrupted(silent_ms, clear_ms))[1]
    assert check.is_met is is_met
    assert words in check.text


def test_a_slow_network_is_given_its_time() -> None:
    events = interrupted(3700, 3650)
    result = result_of(events)
    assert unmet(call_checks(result, review(result, ()), lines=1, network_ms=300)) == []
