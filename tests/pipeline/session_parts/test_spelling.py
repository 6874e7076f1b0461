"""Every spelling of a field is led back to its one place."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dialects import Dialect
from pipeline.events.refusal import BadEvent
from pipeline.session_parts.field import Field, Terms
from pipeline.session_parts.spelling import (
    CAMEL,
    FLAT,
    REALTIME,
    RESPONSE,
    TRANSCRIPTION,
    Scope,
    collapsed,
    placed,
)


def spelled(
    value: Any, dialect: Dialect, scope: Scope = REALTIME, *, is_strict: bool = True
) -> list[tuple[str, str, Any]]:
    """GA path, path as spelled, value."""
    fields = placed(Field(value, "s"), scope, Terms(dialect), is_strict=is_strict)
    return [(path, field.path, field.value) for path, field in fields]


def unknown(value: Any, dialect: Dialect, scope: Scope = REALTIME) -> str | None:
    with pytest.raises(BadEvent) as caught:
        spelled(value, dialect, scope)
    assert caught.value.code == "unknown_parameter"
    return caught.value.param


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(("name", "path"), FLAT.items())
def test_flat_spellings_are_read_everywhere(dialect: Dialect, name: str, path: str) -> None:
    assert spelled({name: 1}, dialect) == [(path, f"s.{name}", 1)]


@pytest.mark.parametrize(("name", "path"), CAMEL.items())
def test_camel_case_is_read_on_inworld_and_seed_connections_only(name: str, path: str) -> None:
    for dialect in (Dialect.IW, Dialect.SEED):
        assert spelled({name: 1}, dialect) == [(path, f"s.{name}", 1)]
    if name not in FLAT:
        assert unknown({name: 1}, Dialect.GA) == f"s.{name}"
        assert spelled({name: 1}, Dialect.BETA, is_strict=False) == []


@pytest.mark.parametrize("dialect", list(Dialect))
def test_nested_sound_is_read_everywhere(dialect: Dialect) -> None:
    audio = {"audio": {"input": {"format": 1, "turn_detection": None}, "output": {"voice": 2}}}
    assert spelled(audio, dialect) == [
        ("audio.input.format", "s.audio.input.format", 1),
        ("audio.input.turn_detection", "s.audio.input.turn_detection", None),
        ("audio.output.voice", "s.audio.output.voice", 2),
    ]


@pytest.mark.parametrize("dialect", [Dialect.GA, Dialect.BETA])
def test_what_inworld_added_is_unknown_to_the_others(dialect: Dialect) -> None:
    assert unknown({"providerData": {}}, dialect) == "s.providerData"
    assert unknown({"audio": {"output": {"model": "m"}}}, dialect) == "s.audio.output.model"


def test_what_inworld_added_is_read_there() -> None:
    session = {"providerData": {}, "audio": {"output": {"model": "m"}}}
    for dialect in (Dialect.IW, Dialect.SEED):
        assert [path for path, _, _ in spelled(session, dialect)] == ["providerData", "audio.output.model"]


@pytest.mark.parametrize(
    ("dialect", "last"),
    [
        (Dialect.GA, "s.audio.output.voice"),
        (Dialect.IW, "s.audio.output.voice"),
        (Dialect.BETA, "s.voice"),
        (Dialect.SEED, "s.sessionConfig.voice"),
    ],
)
def test_the_connections_own_spelling_comes_last(dialect: Dialect, last: str) -> None:
    session = {"sessionConfig": {"voice": 1}, "voice": 2, "audio": {"output": {"voice": 3}}}
    paths = [path for _, path, _ in spelled(session, dialect, is_strict=False)]
    assert paths[-1] == last
    assert len(paths) == (3 if dialect in (Dialect.IW, Dialect.SEED) else 2)


def test_a_session_config_may_hold_what_is_spelled_alike_and_nothing_else() -> None:
    inner = {"instructions": 1, "toolChoice": 2, "colour": 3, "audio.input.format": 4}
    assert spelled({"sessionConfig": inner}, Dialect.SEED) == [
        ("instructions", "s.sessionConfig.instructions", 1),
        ("tool_choice", "s.sessionConfig.toolChoice", 2),
    ]
    assert spelled({"sessionConfig": None}, Dialect.SEED) == []
    assert unknown({"sessionConfig": {}}, Dialect.GA) == "s.sessionConfig"


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"colour": 1}, "s.colour"),
        ({"audio.input.format": 1}, "s.audio.input.format"),
        ({"audio": {"side": 1}}, "s.audio.side"),
        ({"audio": {"": {"x": 1}}}, "s.audio."),
        ({"audio": {"input": {"x": 1}}}, "s.audio.input.x"),
    ],
)
def test_what_nobody_knows_is_refused_if_it_says_something(session: dict[str, Any], param: str) -> None:
    assert unknown(session, Dialect.GA) == param
    assert spelled(session, Dialect.GA, is_strict=False) == []


def test_unknown_nulls_are_passed_over() -> None:
    assert spelled({"colour": None, "audio": {"side": None, "input": {"x": None}}}, Dialect.GA) == []
    assert spelled({"audio": None}, Dialect.GA) == []


def test_each_scope_has_its_own_fields() -> None:
    assert spelled({"id": 1, "object": 2, "expires_at": 3, "client_secret": 4}, Dialect.GA) == []
    assert spelled({"conversation": 1, "metadata": 2, "input": 3}, Dialect.GA, RESPONSE) == []
    assert unknown({"conversation": 1}, Dialect.GA) == "s.conversation"
    assert unknown({"speed": 1}, Dialect.GA, RESPONSE) == "s.speed"
    assert unknown({"voice": 1}, Dialect.GA, TRANSCRIPTION) == "s.voice"
    assert unknown({"audio": {"output": {}}}, Dialect.GA, TRANSCRIPTION) == "s.audio.output"


def test_null_counts_only_where_it_turns_something_off() -> None:
    fields = placed(
        Field({"turn_detection": None, "voice": None, "tracing": None, "tools": None}, "s"),
        REALTIME,
        Terms(Dialect.BETA),
        is_strict=True,
    )
    assert set(collapsed(fields)) == {"audio.input.turn_detection", "tracing"}


def test_a_null_in_the_winning_spelling_does_not_hide_a_value_in_another() -> None:
    fields = [("audio.output.voice", Field("v", "a")), ("audio.output.voice", Field(None, "b"))]
    assert collapsed(fields) == {"audio.output.voice": Field("v", "a")}
