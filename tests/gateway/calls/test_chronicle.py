"""What is told of a call: each observation its event in the journal, its number in the metrics, or nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.calls.chronicle import Chronicle
from gateway.calls.journal import Journal
from gateway.metrics import Metrics
from pipeline.costs import Tally, Used
from pipeline.events import conversation as conv
from pipeline.events import input_audio as heard
from pipeline.events import response as resp
from pipeline.events.backchannel import BackchannelSkipped
from pipeline.events.error import ErrorDetail, ErrorEvent
from pipeline.events.items import FunctionCall, InputAudio, Message, OutputAudio
from pipeline.legs.means import FAILED_LATELY, LATE
from pipeline.observations import (
    Anticipated,
    Backchannelled,
    CutShort,
    FellBack,
    Hedged,
    Interrupted,
    Observation,
    ProviderTimed,
    ToolTimed,
    TurnTimed,
    TurnUsed,
    Wasted,
)

CALL = "CA" + "b" * 32
NOW_S = 12.34567


def message(*words: str) -> Message:
    return Message(id="item_2", role="assistant", content=tuple(OutputAudio(transcript=w) for w in words))


def done(status: resp.ResponseStatus, details: resp.StatusDetails | None = None) -> resp.ResponseDone:
    snapshot = resp.ResponseSnapshot(id="resp_1", status=status, conversation_id=None, status_details=details)
    return resp.ResponseDone(event_id="e", response=snapshot)


def item_done(item: Message | FunctionCall) -> resp.OutputItemDone:
    return resp.OutputItemDone(event_id="e", response_id="resp_1", output_index=0, item=item)


WRITTEN: list[tuple[Observation, dict[str, Any]]] = [
    (
        heard.SpeechStarted(event_id="e", audio_start_ms=300, item_id="item_1"),
        {"event": "speech.started", "audio_start_ms": 300, "item_id": "item_1"},
    ),
    (
        heard.SpeechStopped(event_id="e", audio_end_ms=900, item_id="item_1"),
        {"event": "speech.stopped", "audio_end_ms": 900, "item_id": "item_1"},
    ),
    (heard.DtmfEventReceived(event_id="e", event="5", received_at=70), {"event": "dtmf", "audio_ms": 70}),
    (
        conv.TranscriptionCompleted(event_id="e", item_id="item_1", transcript="hello", seconds=1.0),
        {"event": "transcript.done", "speaker": "caller", "item_id": "item_1", "text": "hello"},
    ),
    (
        conv.TranscriptionFailedEvent(event_id="e", item_id="item_1", message="out of order"),
        {"event": "transcript.failed", "item_id": "item_1", "message": "out of order"},
    ),
    (
        item_done(message("good", "morning")),
        {
            "event": "transcript.done",
            "speaker": "agent",
            "item_id": "item_2",
            "response_id": "resp_1",
            "text": "good morning",
        },
    ),
    (
        CutShort("item_2", 450, "good"),
        {"event": "transcript.truncated", "item_id": "item_2", "heard_ms": 450, "heard": "good"},
    ),
    (
        done("failed", resp.StatusDetails(type="failed", code="provider_error", message="out of order")),
        {
            "event": "response.failed",
            "response_id": "resp_1",
            "code": "provider_error",
            "message": "out of order",
        },
    ),
    (
        ErrorEvent(event_id="e", error=ErrorDetail(type="invalid_request_error", code="no_item", message="which?")),
        {"event": "error", "code": "no_item", "message": "which?"},
    ),
    (
        TurnTimed("item_1", "resp_1", 0.5, 900, {"stt": 0.3, "llm": 0.1, "tool": 0.2, "tts": 0.05}),
        {
            "event": "turn.timed",
            "turn_id": "item_1",
            "response_id": "resp_1",
            "audio_end_ms": 900,
            "endpoint_ms": 500.0,
            "stt_ms": 300.0,
            "llm_ms": 100.0,
            "tool_ms": 200.0,
            "tts_ms": 50.0,
        },
    ),
    (
        Interrupted("item_1", 0.0904),
        {"event": "interrupted", "item_id": "item_1", "clear_after_ms": 90.4},
    ),
    (
        ToolTimed("book", '{"day": 1}', "booked", 0.25),
        {"event": "tool.done", "name": "book", "arguments": '{"day": 1}', "output": "booked", "ms": 250.0},
    ),
    (Backchannelled("okay", 0.25), {"event": "backchannel", "text": "okay", "after_ms": 250.0}),
]

SILENT: list[Observation] = [
    BackchannelSkipped(event_id="e", reason="no_phrase"),
    resp.OutputAudioDelta(event_id="e", response_id="r", item_id="i", output_index=0, delta=b"\xff"),
    resp.TranscriptDelta(event_id="e", response_id="r", item_id="i", output_index=0, delta="good"),
    heard.InputAudioBufferCleared(event_id="e"),
    item_done(FunctionCall(id="i", call_id="c", name="book", arguments="{}")),
    conv.ConversationItemAdded(
        event_id="e",
        previous_item_id=None,
        item=Message(id="i", role="user", content=(InputAudio(transcript=None),)),
    ),
    done("completed"),
    done("cancelled", resp.StatusDetails(type="cancelled", reason="turn_detected")),
    ProviderTimed("deepgram", "stt", None, 0.4),
]

COUNTED: list[tuple[Observation, dict[tuple[str, tuple[str, ...]], float]]] = [
    (Backchannelled("okay", 0.25), {("backchannels_total", ()): 1.0, ("backchannel_seconds_sum", ()): 0.25}),
    (
        WRITTEN[9][0],
        {
            ("turn_response_seconds_sum", ()): 1.15,
            ("turn_stage_seconds_sum", ("endpoint",)): 0.5,
            ("turn_stage_seconds_sum", ("stt",)): 0.3,
            ("turn_stage_seconds_sum", ("llm",)): 0.1,
            ("turn_stage_seconds_sum", ("tts",)): 0.05,
            # The function itself tells how long it took.
            ("turn_stage_seconds_sum", ("tool",)): 0.0,
        },
    ),
    (WRITTEN[10][0], {("barge_in_total", ()): 1.0, ("barge_in_clear_seconds_sum", ()): 0.0904}),
    (WRITTEN[11][0], {("turn_stage_seconds_sum", ("tool",)): 0.25}),
    (
        ProviderTimed("deepgram", "stt", None, 0.4),
        {("provider_request_seconds_sum", ("deepgram", "stt")): 0.4},
    ),
    (
        ProviderTimed("deepgram", "stt", "timeout", 2.5),
        {
            ("provider_request_seconds_sum", ("deepgram", "stt")): 2.5,
            ("provider_errors_total", ("deepgram", "stt", "timeout")): 1.0,
        },
    ),
]


def chronicle() -> tuple[Chronicle, Journal, Metrics]:
    journal, metrics = Journal(), Metrics("test")
    return Chronicle(journal, metrics, lambda: NOW_S, call_sid=CALL), journal, metrics


def sample(metrics: Metrics, name: str, values: tuple[str, ...]) -> float | None:
    names = {1: ("stage",), 2: ("provider", "kind"), 3: ("provider", "kind", "error")}.get(len(values), ())
    labels = dict(zip(names, values, strict=True))
    return metrics.registry.get_sample_value(f"switchboard_{name}", labels)


@pytest.mark.parametrize(("observation", "event"), WRITTEN, ids=lambda case: type(case).__name__)
def test_what_matters_is_written_with_its_time(observation: Observation, event: dict[str, Any]) -> None:
    told, journal, _ = chronicle()
    told.note(observation)
    assert journal.recent() == [event | {"at_s": 12.3457}]


@pytest.mark.parametrize("observation", SILENT, ids=lambda case: type(case).__name__)
def test_what_concerns_nobody_is_not_written(observation: Observation) -> None:
    told, journal, _ = chronicle()
    told.note(observation)
    assert journal.recent() == []


@pytest.mark.parametrize(("observation", "samples"), COUNTED, ids=lambda case: type(case).__name__)
def test_what_is_measured_is_counted(
    observation: Observation, samples: dict[tuple[str, tuple[str, ...]], float]
) -> None:
    told, _, metrics = chronicle()
    told.note(observation)
    found = {(name, values): sample(metrics, name, values) for name, values in samples}
    assert found == {key: pytest.approx(value) for key, value in samples.items()}


def test_a_provider_that_did_not_fail_has_no_failure() -> None:
    told, _, metrics = chronicle()
    told.note(ProviderTimed("deepgram", "stt", None, 0.4))
    assert b"switchboard_provider_errors_total{" not in metrics.render()[0]


def test_a_stream_has_its_beginning_and_its_end() -> None:
    told, journal, _ = chronicle()
    told.begin("MZ1")
    told.end("stopped")
    assert journal.recent() == [
        {"event": "stream.started", "at_s": 12.3457, "call_sid": CALL, "stream_sid": "MZ1"},
        {"event": "stream.ended", "at_s": 12.3457, "reason": "stopped"},
    ]


def test_which_key_was_pressed_is_written_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    told, journal, _ = chronicle()
    with caplog.at_level(logging.DEBUG):
        told.note(heard.DtmfEventReceived(event_id="e", event="#", received_at=70))
    assert "#" not in repr(journal.recent()) + caplog.text


def test_a_call_without_a_journal_is_counted_all_the_same() -> None:
    metrics = Metrics("test")
    told = Chronicle(None, metrics, lambda: NOW_S, call_sid=CALL)
    for observation, _ in WRITTEN:
        told.note(observation)
    assert sample(metrics, "barge_in_total", ()) == 1


def test_an_acknowledgement_that_was_not_said_is_counted_by_its_reason() -> None:
    told, _, metrics = chronicle()
    told.note(BackchannelSkipped(event_id="e", reason="no_phrase"))
    name, labels = "switchboard_backchannels_skipped_total", {"reason": "no_phrase"}
    assert metrics.registry.get_sample_value(name, labels) == 1.0


HEARD = Used(provider="a/ear", kind="stt", requests=1, audio_s=2.5)
THOUGHT = Used(
    provider="b/mind",
    kind="llm",
    requests=2,
    input_tokens=30,
    cached_tokens=8,
    output_tokens=4,
    wasted_tokens=17,
    cost_usd=0.25,
)
SPOKEN = Used(provider="c/voice", kind="tts", requests=1, characters=40, audio_s=3.0, cost_usd=0.5)

RESORTS: list[tuple[Observation, dict[str, Any], str, dict[str, str]]] = [
    (
        Hedged("llm", "b/mind", True, 0.4),
        {"event": "provider.hedged", "provider": "b/mind", "kind": "llm", "won": True, "saved_at_most_ms": 400.0},
        "hedges_total",
        {"provider": "b/mind", "kind": "llm", "won": "yes"},
    ),
    (
        Hedged("tts", "c/voice", False),
        {"event": "provider.hedged", "provider": "c/voice", "kind": "tts", "won": False},
        "hedges_total",
        {"provider": "c/voice", "kind": "tts", "won": "no"},
    ),
    *(
        (
            FellBack("stt", "a/ear", "d/ear", words),
            {"event": "provider.fell_back", "provider": "a/ear", "kind": "stt", "to": "d/ear", "reason": words},
            "fallbacks_total",
            {"provider": "a/ear", "kind": "stt", "reason": label},
        )
        for words, label in [(LATE, "late"), (FAILED_LATELY, "failed_lately"), ("a/ear: 1006 at 12:07", "failed")]
    ),
    (
        Anticipated(0.3, 0),
        {"event": "turn.anticipated", "wanted": True, "head_start_ms": 300.0},
        "anticipations_total",
        {"wanted": "yes"},
    ),
    (
        Anticipated(0.0, 5),
        {"event": "turn.anticipated", "wanted": False, "wasted_words": 5},
        "anticipations_total",
        {"wanted": "no"},
    ),
]


@pytest.mark.parametrize(("observation", "event", "name", "labels"), RESORTS)
def test_a_second_request_is_written_and_counted(
    observation: Observation, event: dict[str, Any], name: str, labels: dict[str, str]
) -> None:
    told, journal, metrics = chronicle()
    told.note(observation)
    assert journal.recent() == [{"event": event["event"], "at_s": 12.3457, **event}]
    assert metrics.registry.get_sample_value(f"switchboard_{name}", labels) == 1.0


def test_tokens_of_a_lost_race_are_written_here_and_counted_with_their_turn() -> None:
    told, journal, metrics = chronicle()
    told.note(Wasted("b/mind", 12, 5, is_estimated=True))
    (event,) = journal.recent()
    assert (event["event"], event["input_tokens"], event["is_estimated"]) == ("provider.wasted", 12, True)
    assert metrics.registry.get_sample_value("switchboard_wasted_tokens_total", {"provider": "b/mind"}) is None


def test_what_a_turn_took_is_written_counted_and_added_to_the_call() -> None:
    tally, metrics, journal = Tally([THOUGHT]), Metrics("test"), Journal()
    told = Chronicle(journal, metrics, lambda: NOW_S, call_sid=CALL, tally=tally)
    told.note(TurnUsed("resp_1", (HEARD, THOUGHT, SPOKEN)))
    told.note(TurnUsed("", (HEARD,)))
    told.end("stopped")
    first, second, whole, ended = journal.recent()
    assert (first["event"], first["response_id"], first["cost_usd"]) == ("turn.cost", "resp_1", None)
    assert [each["provider"] for each in first["providers"]] == ["a/ear", "b/mind", "c/voice"]
    assert "response_id" not in second
    assert (whole["event"], ended["event"]) == ("call.cost", "stream.ended")
    assert {each["provider"]: each["cost_usd"] for each in whole["providers"]} == {
        "b/mind": 0.5,
        "a/ear": None,
        "c/voice": 0.5,
    }
    sample = metrics.registry.get_sample_value
    counted = {
        ("provider_tokens", "b/mind", "llm", "input"): 30,
        ("provider_tokens", "b/mind", "llm", "cached"): 8,
        ("provider_tokens", "b/mind", "llm", "output"): 4,
        ("provider_tokens", "b/mind", "llm", "input_audio"): None,
        ("provider_audio_seconds", "a/ear", "stt"): 5.0,
        ("provider_audio_seconds", "c/voice", "tts"): 3.0,
        ("provider_characters", "c/voice"): 40,
        ("wasted_tokens", "b/mind"): 17,
        ("cost_usd", "b/mind", "llm"): 0.25,
        ("cost_usd", "a/ear", "stt"): None,
    }
    for (name, *values), number in counted.items():
        labels = dict(zip(("provider", "kind", "direction"), values, strict=False))
        assert sample(f"switchboard_{name}_total", labels) == number, (name, values)


def test_a_stream_on_which_nothing_was_used_has_no_cost() -> None:
    told, journal, _ = chronicle()
    told.end("stopped")
    assert [event["event"] for event in journal.recent()] == ["stream.ended"]
