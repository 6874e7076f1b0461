"""The settings of a backchannel, from a client's JSON and from an agent's file."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.backchannel import (
    MOST_PHRASES,
    NUMBERS,
    PHRASE_CHARS,
    PHRASES,
    WHOLES,
    Backchannel,
    backchannel_in,
    backchannel_of,
    provider_data_of,
    read_backchannel,
)
from pipeline.checked_table import CheckedTable
from pipeline.events.refusal import BadEvent
from pipeline.session_parts.field import Field
from pipeline.session_parts.kept_values import read_provider_data

PATH = "session.providerData.backchannel"
EVERYTHING: dict[str, Any] = {
    "enabled": True,
    "small_model": "tiny",
    "eval_interval_ms": 500,
    "min_speech_ms": 1_000,
    "min_gap_ms": 2_000,
    "max_per_turn": 1,
    "hard_deadline_ms": 700,
    "history_tail_items": 2,
    "temperature": 0.1,
    "max_tokens": 4,
    "volume_gain": 0.3,
    "require_pause": True,
    "allowed_phrases": ["aha", "sure"],
    "prompt_template": "Say one of {allowed_phrases}.",
    "decider_kind": "rule",
    "rule_fire_probability": 0.25,
}
ALL_READ = Backchannel(**{**EVERYTHING, "allowed_phrases": ("aha", "sure")})


def read(**values: object) -> Backchannel:
    return read_backchannel(Field(values, PATH))


def in_file(**values: object) -> tuple[Backchannel, list[str]]:
    faults: list[str] = []
    return backchannel_of(CheckedTable(values, key="backchannel", faults=faults)), faults


@pytest.mark.proves("G3-backchannel-settings")
def test_without_a_word_it_is_off_and_has_the_references_defaults() -> None:
    usual = Backchannel()
    assert (usual.enabled, usual.decider_kind, usual.require_pause) == (False, "llm", False)
    assert (usual.eval_interval_ms, usual.min_speech_ms, usual.min_gap_ms) == (800, 800, 4_000)
    assert (usual.max_per_turn, usual.hard_deadline_ms, usual.history_tail_items) == (3, 1_500, 4)
    assert (usual.temperature, usual.max_tokens, usual.volume_gain) == (0.7, 6, 0.6)
    assert read() == in_file()[0] == backchannel_in(None) == backchannel_in({"backchannel": None}) == usual


@pytest.mark.proves("G3-backchannel-settings")
def test_every_setting_is_read_from_json_and_from_a_file() -> None:
    assert read(**EVERYTHING) == backchannel_in({"backchannel": EVERYTHING}) == ALL_READ
    assert in_file(**EVERYTHING) == (ALL_READ, [])


def test_what_a_client_adds_and_nulls_are_passed_over() -> None:
    assert read(enabled=True, colour="blue", min_gap_ms=None) == Backchannel(enabled=True)


@pytest.mark.proves("G3-backchannel-settings")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enabled", "yes"),
        ("require_pause", 1),
        ("decider_kind", "dice"),
        ("small_model", 3),
        ("prompt_template", ["x"]),
        ("allowed_phrases", "mm-hm"),
        *((name, least - 1) for name, (least, _) in WHOLES.items()),
        *((name, most + 1) for name, (_, most) in WHOLES.items()),
        *((name, "1") for name in WHOLES),
        *((name, value) for name, (least, most) in NUMBERS.items() for value in (least - 0.1, most + 0.1)),
    ],
)
def test_a_wrong_value_is_refused_by_its_name_on_the_wire_and_in_a_file(name: str, value: object) -> None:
    with pytest.raises(BadEvent) as refused:
        read_provider_data(Field({"backchannel": {name: value}}, "session.providerData"), None)
    assert (refused.value.code, refused.value.param) == ("invalid_value", f"{PATH}.{name}")
    if (name, value) != ("allowed_phrases", "mm-hm"):  # in a file one text is a list of one
        _, faults = in_file(**{name: value})
        assert len(faults) == 1 and faults[0].startswith(f"backchannel.{name}: expected")


def test_phrases_are_few_and_short() -> None:
    for phrases in (["x"] * (MOST_PHRASES + 1), ["x" * (PHRASE_CHARS + 1)]):
        with pytest.raises(BadEvent):
            read(allowed_phrases=phrases)
        assert len(in_file(allowed_phrases=phrases)[1]) == 1
    with pytest.raises(BadEvent) as refused:
        read(allowed_phrases=["fine", ""])
    assert refused.value.param == f"{PATH}.allowed_phrases[1]"


def test_no_phrases_stand_for_the_usual_ones() -> None:
    assert read(allowed_phrases=[]).allowed_phrases == PHRASES


def test_a_misspelt_key_of_a_file_is_a_fault() -> None:
    assert "did you mean 'enabled'" in in_file(enable=True)[1][0]


def test_an_agents_settings_are_its_sessions_provider_data() -> None:
    assert provider_data_of(Backchannel()) is None
    assert backchannel_in(provider_data_of(ALL_READ)) == ALL_READ


def test_settings_come_key_by_key_over_those_that_are_there() -> None:
    field = Field({"backchannel": {"min_gap_ms": 100}}, "session.providerData")
    after = read_provider_data(field, {"backchannel": {"enabled": True, "mine": 1}})
    assert after == {"backchannel": {"enabled": True, "mine": 1, "min_gap_ms": 100}}
    assert backchannel_in(after) == Backchannel(enabled=True, min_gap_ms=100)
