from __future__ import annotations

from simulator.call_result import (
    Cut,
    Happening,
    Interruption,
    Json,
    Turn,
    Utterance,
    cuts_of,
    interruptions_of,
    turns_of,
    utterances_of,
)


def at(ms: float, name: str, **detail: Json) -> Happening:
    return Happening(ms / 1000, ms, name, {"media_ms": ms, **detail})


def says(start_ms: float, stop_ms: float, text: str = "x") -> list[Happening]:
    return [at(start_ms, "caller.speaks", text=text), at(stop_ms, "caller.stops", text=text)]


def agent(start_ms: float, end_ms: float) -> Happening:
    return at(end_ms, "agent.silent", start_ms=start_ms)


def clear(ms: float, heard_bytes: int, since_ms: float | None = 90) -> Happening:
    return at(
        ms,
        "clear",
        stream_sid="MZ1",
        since_caller_spoke_ms=since_ms,
        heard_bytes=heard_bytes + 800,
        utterance_heard_bytes=heard_bytes,
        discarded_bytes=7,
    )


def test_a_turn_is_answered_by_the_first_utterance_that_outlasts_the_caller() -> None:
    happenings = [agent(0, 900), *says(1000, 2000, "a"), agent(1100, 1300), agent(2500, 3000), agent(3500, 4000)]
    assert turns_of(happenings) == (Turn("a", 1000, 2000, 2500),)


def test_an_agent_who_jumps_in_has_answered_early() -> None:
    assert turns_of([*says(1000, 2000), agent(1900, 2500)])[0].agent_heard_ms == 1900


def test_a_turn_without_an_answer_before_the_next_has_none() -> None:
    happenings = [*says(1000, 2000), *says(3000, 4000), agent(4500, 5000)]
    assert [turn.agent_heard_ms for turn in turns_of(happenings)] == [None, 4500]


def test_an_interruption_is_measured_up_to_its_clear() -> None:
    happenings = [at(1000, "barge_in", agent_heard_ms=400), clear(1090, 3920), agent(600, 1100)]
    assert interruptions_of(happenings) == (Interruption(1000, 1090, 490.0),)


def test_an_agent_who_was_not_stopped_was_heard_to_the_end() -> None:
    happenings = [at(1000, "barge_in", agent_heard_ms=400), agent(600, 2600), clear(3000, 0)]
    assert interruptions_of(happenings) == (Interruption(1000, None, 2000),)
    assert interruptions_of(happenings[:1]) == (Interruption(1000, None, 400),)


def test_cuts_and_utterances_are_told_in_order() -> None:
    happenings = [clear(50, 400, None), agent(100, 200), clear(1090, 3920)]
    assert cuts_of(happenings) == (
        Cut("MZ1", 50, None, 1200, 400, 7),
        Cut("MZ1", 1090, 90, 4720, 3920, 7),
    )
    assert utterances_of(happenings) == (Utterance(100, 200),)
