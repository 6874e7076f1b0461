"""The settings of fillers for Realtime clients, and how often one may come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.refusal import BadEvent
from pipeline.responsiveness import WHOLES, Ration, Responsiveness, read_responsiveness, responsiveness_in
from pipeline.session_parts.field import Field
from pipeline.session_parts.kept_values import read_provider_data

PATH = "session.providerData.responsiveness"
EVERYTHING: dict[str, Any] = {
    "enabled": True,
    "small_model": "tiny",
    "initial_wait_timeout_ms": 500,
    "hard_deadline_ms": 900,
    "history_tail_items": 1,
    "temperature": 0.2,
    "max_tokens": 8,
    "min_filler_gap_ms": 100,
    "max_initial_per_turn": 2,
    "max_buffer_deltas": 3,
    "enable_filler_on_first_assistant_reply": True,
    "prompt_template": "Be brief.",
    "pause_text": "…",
}


@pytest.mark.proves("G3-responsiveness-settings")
def test_it_is_off_and_has_the_references_defaults() -> None:
    usual = Responsiveness()
    assert (usual.enabled, usual.enable_filler_on_first_assistant_reply) == (False, False)
    assert (usual.initial_wait_timeout_ms, usual.hard_deadline_ms, usual.min_filler_gap_ms) == (1_200, 2_000, 8_000)
    assert (usual.history_tail_items, usual.temperature, usual.max_tokens, usual.max_initial_per_turn) == (
        4,
        0.7,
        12,
        1,
    )
    assert responsiveness_in(None) == responsiveness_in({"responsiveness": {"mine": 1}}) == usual


@pytest.mark.proves("G3-responsiveness-settings")
def test_every_setting_is_read() -> None:
    assert responsiveness_in({"responsiveness": EVERYTHING}) == Responsiveness(**EVERYTHING)


@pytest.mark.proves("G3-responsiveness-settings")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enabled", 1),
        ("enable_filler_on_first_assistant_reply", "no"),
        ("small_model", 3),
        ("prompt_template", 3),
        ("pause_text", 3),
        ("temperature", 2.1),
        *((name, least - 1) for name, (least, _) in WHOLES.items()),
        *((name, most + 1) for name, (_, most) in WHOLES.items()),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(BadEvent) as refused:
        read_provider_data(Field({"responsiveness": {name: value}}, "session.providerData"), None)
    assert (refused.value.code, refused.value.param) == ("invalid_value", f"{PATH}.{name}")


@pytest.mark.proves("G3-responsiveness-timing")
def test_the_first_comes_after_the_wait_that_was_asked_for() -> None:
    ration = Ration(Responsiveness())
    assert ration.wait_s(10.0, 10.0, is_first_reply=False) == pytest.approx(1.2)
    assert ration.wait_s(10.0, 10.5, is_first_reply=False) == pytest.approx(0.7)
    assert ration.wait_s(10.0, 99.0, is_first_reply=False) == 0.0


@pytest.mark.proves("G3-responsiveness-timing")
def test_a_turn_has_no_more_than_its_number_and_the_gap_reaches_across_turns() -> None:
    ration = Ration(Responsiveness())
    ration.take(1.0)
    assert ration.wait_s(2.0, 2.0, is_first_reply=False) is None
    ration.renew()
    assert ration.wait_s(2.0, 2.0, is_first_reply=False) == pytest.approx(7.0)


@pytest.mark.proves("G3-responsiveness-timing")
def test_before_the_first_reply_of_all_it_is_silent_unless_asked_for() -> None:
    ration = Ration(Responsiveness())
    assert ration.wait_s(0, 0, is_first_reply=True) is None
    ration.follow(Responsiveness(enable_filler_on_first_assistant_reply=True))
    assert ration.wait_s(0, 0, is_first_reply=True) is not None


@pytest.mark.proves("G3-responsiveness-timing")
@given(
    settings=st.builds(
        Responsiveness,
        initial_wait_timeout_ms=st.integers(0, 5_000),
        min_filler_gap_ms=st.integers(0, 9_000),
        max_initial_per_turn=st.integers(0, 3),
    ),
    turns=st.lists(st.lists(st.floats(0, 20), max_size=6), max_size=5),
)
def test_whoever_waits_whenever_no_rule_is_broken(settings: Responsiveness, turns: list[list[float]]) -> None:
    ration, now_s, taken_s = Ration(settings), 0.0, None
    for waits in turns:
        ration.renew()
        taken = 0
        for pause_s in waits:
            now_s += pause_s
            wait_s = ration.wait_s(now_s, now_s, is_first_reply=False)
            assert (wait_s is None) == (taken >= settings.max_initial_per_turn)
            if wait_s is None:
                continue
            assert wait_s >= settings.initial_wait_timeout_ms / 1000 - 1e-6
            now_s += wait_s
            assert taken_s is None or now_s - taken_s >= settings.min_filler_gap_ms / 1000 - 1e-6
            ration.take(now_s)
            taken, taken_s = taken + 1, now_s


def test_settings_must_be_an_object() -> None:
    with pytest.raises(BadEvent):
        read_responsiveness(Field(3, PATH))
