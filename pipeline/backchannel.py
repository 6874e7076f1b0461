"""The settings of a backchannel: `providerData.backchannel` of a session, or `[backchannel]` of an agent's file.

Realtime reference, section G.3. Both spell the same keys within the same bounds. When an acknowledgement is due,
`cue.py` knows; who says it, `attention.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

import msgspec

from pipeline.checked_table import CheckedTable
from pipeline.session_parts.field import Field

DeciderKind: TypeAlias = Literal["llm", "rule"]

PHRASES = ("mm-hm", "I see", "right", "okay")
"""Said where nobody says what may be."""

MOST_PHRASES = 64
PHRASE_CHARS = 64
"""An acknowledgement is a word or two; a sentence would be a turn."""
TEMPLATE_CHARS = 4_096
_PATH = "session.providerData.backchannel"

WHOLES: Mapping[str, tuple[int, int]] = {
    "eval_interval_ms": (100, 60_000),
    "min_speech_ms": (0, 60_000),
    "min_gap_ms": (0, 600_000),
    "max_per_turn": (0, 100),
    "hard_deadline_ms": (50, 10_000),
    "history_tail_items": (0, 64),
    "max_tokens": (1, 64),
}
"""Least and most of each."""

NUMBERS: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "volume_gain": (0, 2),
    "rule_fire_probability": (0, 1),
}
_FLAGS = ("enabled", "require_pause")


class Backchannel(msgspec.Struct, frozen=True, kw_only=True):
    """With the reference's defaults. Whatever is not a time or a count is a factor or a share."""

    enabled: bool = False
    small_model: str | None = None
    """Kept and shown; it is the session's own model that is asked."""
    eval_interval_ms: int = 800
    min_speech_ms: int = 800
    min_gap_ms: int = 4_000
    max_per_turn: int = 3
    hard_deadline_ms: int = 1_500
    """From the moment it is considered until it must be heard."""
    history_tail_items: int = 4
    """Of the conversation, that the model is told."""
    temperature: float = 0.7
    max_tokens: int = 6
    volume_gain: float = 0.6
    require_pause: bool = False
    """Only where the caller draws breath."""
    allowed_phrases: tuple[str, ...] = PHRASES
    prompt_template: str | None = None
    """Instructions for the model; `{allowed_phrases}` in it becomes the list."""
    decider_kind: DeciderKind = "llm"
    rule_fire_probability: float = 0.5
    """The reference names no default."""


def read_backchannel(field: Field) -> Backchannel:
    """The settings of a JSON object; keys nobody knows are passed over. Raises `BadEvent` with the key's path."""
    readers: dict[str, Callable[[Field], object]] = {
        **dict.fromkeys(_FLAGS, Field.flag),
        **{name: _whole(bounds) for name, bounds in WHOLES.items()},
        **{name: _number(bounds) for name, bounds in NUMBERS.items()},
        "small_model": lambda field: field.text(),
        "prompt_template": lambda field: field.text(TEMPLATE_CHARS),
        "decider_kind": lambda field: field.one_of(get_args(DeciderKind)),
        "allowed_phrases": _phrases,
    }
    values: dict[str, Any] = {name: readers[name](value) for name, value in field.given(readers.keys()).items()}
    return Backchannel(**values)


def backchannel_in(provider_data: Mapping[str, Any] | None) -> Backchannel:
    """The settings a session has now. They were checked when they came."""
    return read_backchannel(Field((provider_data or {}).get("backchannel") or {}, _PATH))


def backchannel_of(table: CheckedTable) -> Backchannel:
    """The same from `[backchannel]` of an agent's file. Faults are noted in the table."""
    usual = Backchannel()
    values: dict[str, Any] = {name: table.flag(name, getattr(usual, name)) for name in _FLAGS}
    for name, (least, most) in WHOLES.items():
        values[name] = int(table.number(name, getattr(usual, name), least=least, most=most))
    for name, (low, high) in NUMBERS.items():
        values[name] = table.number(name, getattr(usual, name), least=low, most=high)
    kind = table.text("decider_kind", usual.decider_kind)
    if kind not in get_args(DeciderKind):
        table.fault("decider_kind", f"expected one of {', '.join(get_args(DeciderKind))}")
        kind = usual.decider_kind
    phrases = table.texts("allowed_phrases")
    if len(phrases) > MOST_PHRASES or any(len(phrase) > PHRASE_CHARS for phrase in phrases):
        table.fault("allowed_phrases", f"expected at most {MOST_PHRASES} of at most {PHRASE_CHARS} characters")
    settings = Backchannel(
        **values,
        decider_kind=cast(DeciderKind, kind),
        small_model=table.text("small_model", "") or None,
        prompt_template=table.text("prompt_template", "") or None,
        allowed_phrases=phrases or PHRASES,
    )
    table.no_more()
    return settings


def provider_data_of(backchannel: Backchannel) -> dict[str, Any] | None:
    """What a session's `providerData` holds that is to behave like this; None if it is off."""
    if not backchannel.enabled:
        return None
    return {"backchannel": msgspec.json.decode(msgspec.json.encode(backchannel))}


def _whole(bounds: tuple[int, int]) -> Callable[[Field], object]:
    return lambda field: field.whole(*bounds)


def _number(bounds: tuple[float, float]) -> Callable[[Field], object]:
    return lambda field: field.number(*bounds)


def _phrases(field: Field) -> tuple[str, ...]:
    """None at all stands for the usual ones."""
    elements = field.elements()
    if len(elements) > MOST_PHRASES:
        raise field.wrong(f"at most {MOST_PHRASES} phrases")
    return tuple(element.text(PHRASE_CHARS, least_chars=1) for element in elements) or PHRASES
