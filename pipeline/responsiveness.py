"""The settings of `providerData.responsiveness`, and how often a waiting client may be told to wait. Pure.

Realtime reference, section G.3. What is said, and the keeping of time, are `courtesy.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pipeline.session_parts.field import Field

FILLERS = ("One moment, please.", "Let me see.", "Just a second.")
"""Said in turn where no model makes them; English, and so only for sessions that speak it."""

TEMPLATE_CHARS = 4_096
PAUSE_CHARS = 256
_PATH = "session.providerData.responsiveness"

WHOLES: Mapping[str, tuple[int, int]] = {
    "initial_wait_timeout_ms": (0, 60_000),
    "hard_deadline_ms": (50, 30_000),
    "history_tail_items": (0, 64),
    "max_tokens": (1, 256),
    "min_filler_gap_ms": (0, 600_000),
    "max_initial_per_turn": (0, 100),
    "max_buffer_deltas": (0, 10_000),
}
"""Least and most of each."""


class Responsiveness(msgspec.Struct, frozen=True, kw_only=True):
    """With the reference's defaults, or its examples where it names none."""

    enabled: bool = False
    small_model: str | None = None
    """None: a phrase is said; else the session's own model makes one. The name is kept and shown."""
    initial_wait_timeout_ms: int = 1_200
    """From the moment an answer is owed until something is to be said."""
    hard_deadline_ms: int = 2_000
    """From then on until it must be ready; later it is dropped."""
    history_tail_items: int = 4
    temperature: float = 0.7
    max_tokens: int = 12
    min_filler_gap_ms: int = 8_000
    max_initial_per_turn: int = 1
    max_buffer_deltas: int | None = None
    """Kept and shown: nothing of the answer waits for a filler here."""
    enable_filler_on_first_assistant_reply: bool = False
    prompt_template: str | None = None
    """Instructions for the model."""
    pause_text: str | None = None
    """Kept and shown: the answer's first sound follows as it comes."""


def read_responsiveness(field: Field) -> Responsiveness:
    """The settings of a JSON object; keys nobody knows are passed over. Raises `BadEvent` with the key's path."""
    readers: dict[str, Callable[[Field], object]] = {
        "enabled": Field.flag,
        "enable_filler_on_first_assistant_reply": Field.flag,
        **{name: _whole(bounds) for name, bounds in WHOLES.items()},
        "temperature": lambda field: field.number(0, 2),
        "small_model": lambda field: field.text(),
        "prompt_template": lambda field: field.text(TEMPLATE_CHARS),
        "pause_text": lambda field: field.text(PAUSE_CHARS),
    }
    values: dict[str, Any] = {name: readers[name](value) for name, value in field.given(readers.keys()).items()}
    return Responsiveness(**values)


def responsiveness_in(provider_data: Mapping[str, Any] | None) -> Responsiveness:
    """The settings a session has now. They were checked when they came."""
    return read_responsiveness(Field((provider_data or {}).get("responsiveness") or {}, _PATH))


class Ration:
    """Who is told too often to wait is served worse than by silence. Times are seconds of any one clock."""

    def __init__(self, settings: Responsiveness) -> None:
        self._settings = settings
        self._said = 0
        """In this turn."""
        self._said_at_s: float | None = None

    def follow(self, settings: Responsiveness) -> None:
        """Other settings from now on."""
        self._settings = settings

    def renew(self) -> None:
        """The caller has said something new: a turn begins."""
        self._said = 0

    def take(self, now_s: float) -> None:
        """A filler was begun."""
        self._said += 1
        self._said_at_s = now_s

    def wait_s(self, since_s: float, now_s: float, *, is_first_reply: bool) -> float | None:
        """How long from now until one who waits since `since_s` may be told so; None: not in this turn."""
        settings = self._settings
        if self._said >= settings.max_initial_per_turn:
            return None
        if is_first_reply and not settings.enable_filler_on_first_assistant_reply:
            return None
        due_s = since_s + settings.initial_wait_timeout_ms / 1000
        if self._said_at_s is not None:
            due_s = max(due_s, self._said_at_s + settings.min_filler_gap_ms / 1000)
        return max(0.0, due_s - now_s)


def _whole(bounds: tuple[int, int]) -> Callable[[Field], object]:
    return lambda field: field.whole(*bounds)
