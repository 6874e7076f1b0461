"""Turn detection, transcription and noise reduction, both ways (Realtime reference, section C.2)."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.config import SemanticVad, ServerVad, Transcription, TurnDetection
from pipeline.events.refusal import BadEvent
from pipeline.limits import Limits
from pipeline.session_parts import audio_input
from pipeline.session_parts.field import Field, Terms

SERVER = ServerVad(threshold=0.3, prefix_padding_ms=100, idle_timeout_ms=6_000, interrupt_response=False)
SEMANTIC = SemanticVad(eagerness="low", create_response=False)


def rule(value: Any, present: TurnDetection | None = SERVER, dialect: Dialect = Dialect.GA) -> TurnDetection | None:
    return audio_input.read_turn_detection(Field(value, "t"), present, Terms(dialect))


def refused_rule(
    value: Any, present: TurnDetection | None = SERVER, dialect: Dialect = Dialect.GA
) -> tuple[str, str | None]:
    with pytest.raises(BadEvent) as caught:
        rule(value, present, dialect)
    return caught.value.code, caught.value.param


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("value", [None, {"type": "none"}, {"type": "none", "threshold": 0.5}])
def test_null_and_none_are_manual(dialect: Dialect, value: Any) -> None:
    assert rule(value, SERVER, dialect) is None


@pytest.mark.parametrize(
    ("value", "present", "expected"),
    [
        # of the same type, or without one: field by field
        ({"type": "server_vad"}, SERVER, SERVER),
        ({}, SERVER, SERVER),
        ({}, SEMANTIC, SEMANTIC),
        ({"type": None, "create_response": None}, SERVER, SERVER),
        (
            {"silence_duration_ms": 700},
            ServerVad(prefix_padding_ms=100),
            ServerVad(prefix_padding_ms=100, silence_duration_ms=700),
        ),
        ({"eagerness": "high"}, SEMANTIC, SemanticVad(eagerness="high", create_response=False)),
        ({"idle_timeout_ms": None}, ServerVad(idle_timeout_ms=6_000), ServerVad()),
        # of another type: its own defaults
        ({"type": "server_vad"}, SEMANTIC, ServerVad()),
        ({"type": "semantic_vad"}, SERVER, SemanticVad()),
        ({"type": "semantic_vad", "idle_timeout_ms": None}, None, SemanticVad()),
        ({"type": "server_vad", "create_response": False}, None, ServerVad(create_response=False)),
    ],
)
def test_a_rule_is_merged_unless_its_type_changes(
    value: dict[str, Any], present: TurnDetection | None, expected: TurnDetection
) -> None:
    assert rule(value, present) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("threshold", [0, 0.0, 0.5, 1, 1.0]),
        ("prefix_padding_ms", [0, 10_000]),
        ("silence_duration_ms", [0, 10_000, 200.0]),
        ("idle_timeout_ms", [5_000, 30_000]),
        ("create_response", [False, True]),
        ("interrupt_response", [False, True]),
    ],
)
def test_the_bounds_themselves_are_within_and_shown_as_sent(name: str, values: list[Any]) -> None:
    for value in values:
        after = rule({"type": "server_vad", name: value})
        echo = audio_input.shown_turn_detection(after, Dialect.GA)
        assert echo is not None
        assert echo[name] == value


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"threshold": 1.01}, "t.threshold"),
        ({"threshold": -0.01}, "t.threshold"),
        ({"threshold": True}, "t.threshold"),
        ({"prefix_padding_ms": -1}, "t.prefix_padding_ms"),
        ({"silence_duration_ms": 10_001}, "t.silence_duration_ms"),
        ({"silence_duration_ms": 0.5}, "t.silence_duration_ms"),
        ({"idle_timeout_ms": 4_999}, "t.idle_timeout_ms"),
        ({"idle_timeout_ms": 30_001}, "t.idle_timeout_ms"),
        ({"create_response": "yes"}, "t.create_response"),
        ({"interrupt_response": 0}, "t.interrupt_response"),
        ({"type": "vad"}, "t.type"),
        ({"type": "semantic_vad", "eagerness": "keen"}, "t.eagerness"),
        ({"type": "semantic_vad", "idle_timeout_ms": 6_000}, "t.idle_timeout_ms"),
        ("server_vad", "t"),
        ([], "t"),
    ],
)
def test_what_is_out_of_bounds_is_refused_at_its_path(value: Any, param: str) -> None:
    for dialect in Dialect:
        assert refused_rule(value, SERVER, dialect) == ("invalid_value", param)


def test_a_rule_without_a_type_where_there_was_none_is_server_vad_except_on_ga() -> None:
    assert refused_rule({"threshold": 0.2}, None) == ("missing_required_parameter", "t.type")
    for dialect in (Dialect.BETA, Dialect.IW, Dialect.SEED):
        assert rule({"threshold": 0.2}, None, dialect) == ServerVad(threshold=0.2)


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"type": "server_vad", "eagerness": "low"}, "t.eagerness"),
        ({"type": "semantic_vad", "threshold": 0.5}, "t.threshold"),
        ({"type": "server_vad", "silenceDurationMs": 5}, "t.silenceDurationMs"),
        ({"type": "semantic_vad", "x": 5}, "t.x"),
    ],
)
def test_fields_of_the_other_type_are_unknown_on_ga_and_dropped_elsewhere(
    value: dict[str, Any], param: str
) -> None:
    assert refused_rule(value, None) == ("unknown_parameter", param)
    expected: TurnDetection = ServerVad() if value["type"] == "server_vad" else SemanticVad()
    assert rule(value, None, Dialect.BETA) == expected


@pytest.mark.parametrize("dialect", [Dialect.IW, Dialect.SEED])
def test_camel_case_is_read_on_inworld_and_seed_connections(dialect: Dialect) -> None:
    value = {"silenceDurationMs": 5, "prefixPaddingMs": 6, "createResponse": False, "idleTimeoutMs": 7_000}
    assert rule(value, None, dialect) == ServerVad(
        silence_duration_ms=5, prefix_padding_ms=6, create_response=False, idle_timeout_ms=7_000
    )
    assert refused_rule({"silenceDurationMs": -1}, None, dialect)[1] == "t.silenceDurationMs"


FULL = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}


@pytest.mark.parametrize(
    ("present", "echo", "camel"),
    [
        (ServerVad(), FULL, {"type": "server_vad", "threshold": 0.5, "silenceDurationMs": 500}),
        (
            SemanticVad(),
            {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True},
            {"type": "semantic_vad"},
        ),
        (None, None, {"type": "none"}),
    ],
)
def test_a_rule_is_shown_with_all_its_defaults(
    present: TurnDetection | None, echo: dict[str, Any] | None, camel: dict[str, Any]
) -> None:
    for dialect in (Dialect.GA, Dialect.IW, Dialect.SEED):
        assert audio_input.shown_turn_detection(present, dialect) == echo
    beta = {name: value for name, value in echo.items() if name != "idle_timeout_ms"} if echo else None
    assert audio_input.shown_turn_detection(present, Dialect.BETA) == beta
    assert audio_input.camel_shown_turn_detection(present) == camel


def test_beta_sees_an_idle_timeout_that_it_set() -> None:
    echo = audio_input.shown_turn_detection(ServerVad(idle_timeout_ms=5_000), Dialect.BETA)
    assert echo is not None
    assert echo["idle_timeout_ms"] == 5_000


def transcription(
    value: Any, present: Transcription | None = None, dialect: Dialect = Dialect.GA
) -> Transcription | None:
    terms = Terms(dialect, Limits(instructions_chars=10))
    return audio_input.read_transcription(Field(value, "t"), present, terms)


@pytest.mark.parametrize(
    ("value", "present", "expected"),
    [
        (None, Transcription(), None),
        ({}, None, Transcription()),
        ({"model": "m"}, None, Transcription(model="m")),
        ({"language": "de"}, Transcription(model="m"), Transcription(model="m", language="de")),
        ({"language": None, "prompt": None}, Transcription(language="de"), Transcription(language="de")),
        ({"language": "", "prompt": ""}, Transcription(language="de", prompt="p"), Transcription()),
        ({"prompt": "x" * 10}, None, Transcription(prompt="x" * 10)),
        ({"delay": None, "keywords": [], "languages": []}, None, Transcription()),
    ],
)
def test_a_transcription_is_merged_field_by_field(
    value: Any, present: Transcription | None, expected: Transcription | None
) -> None:
    assert transcription(value, present) == expected


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (True, "t"),
        ({"model": ""}, "t.model"),
        ({"model": 3}, "t.model"),
        ({"language": {}}, "t.language"),
        ({"prompt": "x" * 11}, "t.prompt"),
        ({"delay": "low"}, "t.delay"),
        ({"keywords": ["Switchboard"]}, "t.keywords"),
        ({"languages": ["de"]}, "t.languages"),
    ],
)
def test_a_transcription_is_refused_at_its_path(value: Any, param: str) -> None:
    for dialect in Dialect:
        with pytest.raises(BadEvent) as caught:
            transcription(value, None, dialect)
        assert (caught.value.code, caught.value.param) == ("invalid_value", param)


def test_what_nobody_knows_of_a_transcription_is_refused_on_ga_only() -> None:
    with pytest.raises(BadEvent, match=r"^Unknown parameter: 't\.x'\.$"):
        transcription({"x": 1})
    assert transcription({"x": 1}, None, Dialect.IW) == Transcription()


def test_a_transcription_is_shown_without_nulls_and_extra_keys() -> None:
    assert audio_input.shown_transcription(None) is None
    assert audio_input.shown_transcription(Transcription()) == {"model": "default"}
    full = Transcription(model="m", language="de", prompt="p")
    assert audio_input.shown_transcription(full) == {"model": "m", "language": "de", "prompt": "p"}


def test_noise_reduction_is_refused_by_name_unless_it_is_off() -> None:
    audio_input.refuse_noise_reduction(Field(None, "n"))
    with pytest.raises(BadEvent, match="noise reduction is not offered by this server") as caught:
        audio_input.refuse_noise_reduction(Field({"type": "near_field"}, "n"))
    assert (caught.value.code, caught.value.param) == ("invalid_value", "n")
