"""The written dialogue of the scripted model: topics, their patterns and replies, and what to say to results.

    [dialogue]
    opening = "How can I help you?"                 # if asked to speak before anything was said
    fallback = ["Sorry, I did not catch that."]     # in turn, when no topic fits

    [[dialogue.topics]]
    name = "order"
    hear = ["order {order_id:digits}", "/^where (is|are) my (?P<what>\\w+)$/"]
    say = "One moment."                             # may be left out if a tool is called
    tool = "look_up_order"
    arguments = { order_id = "{order_id}" }

    [[dialogue.results]]
    tool = "look_up_order"
    when = { status = "shipped" }                   # may be left out: fits every result
    say = "Order {arguments.order_id:spelled} is on its way and arrives {result.arrives}."

A pattern is words that occur somewhere in what was said, `{slot}` standing for one word, `{slot:digits}` for a
number, spoken or written; between slashes it is a regular expression. Both see lower case without punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.checked_table import CheckedTable
from pipeline.providers.spoken_numbers import normalise, spell

_SLOT: Final = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([a-z]+))?\}")
_PLACE: Final = re.compile(r"\{((?:[a-z_][a-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}")
_SLOT_KINDS: Final = {None: r"\w+", "digits": r"\d+"}
_PLACE_KINDS: Final = (None, "spelled")


@dataclass(frozen=True, slots=True)
class Topic:
    """What a caller may want, how it is heard and what is done about it."""

    name: str
    hear: tuple[re.Pattern[str], ...]
    say: str
    tool: str = ""
    """Empty if none is called."""
    arguments: Mapping[str, str] = field(default_factory=dict)

    def match(self, said: str) -> dict[str, str] | None:
        """The slots found in `said` (normalised), or None if the topic does not fit."""
        for pattern in self.hear:
            if found := pattern.search(said):
                return {name: text or "" for name, text in found.groupdict().items()}
        return None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What is said to the result of a tool."""

    tool: str
    say: str
    when: Mapping[str, Any] = field(default_factory=dict)
    """Fields the result must have, with these values."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    topics: tuple[Topic, ...]
    fallback: tuple[str, ...]
    """At least one."""
    opening: str
    results: tuple[FollowUp, ...] = ()


def fill(text: str, slots: Mapping[str, str]) -> str:
    """`text` with its places filled; a place nobody knows is left empty."""

    def put(place: re.Match[str]) -> str:
        value = slots.get(place[1], "")
        return spell(value) if place[2] == "spelled" else value

    return " ".join(_PLACE.sub(put, text).split())


def read_dialogue(table: CheckedTable, tools: frozenset[str]) -> Dialogue:
    """The dialogue of `table`; what is wrong with it is in `table.faults`."""
    dialogue = Dialogue(
        topics=tuple(_read_topic(topic, tools) for topic in table.tables("topics")),
        fallback=table.texts("fallback", required=True),
        opening=table.text("opening"),
        results=tuple(_read_follow_up(result, tools) for result in table.tables("results")),
    )
    if not dialogue.topics:
        table.fault("topics", "expected at least one [[dialogue.topics]]")
    table.no_more()
    return dialogue


def _read_topic(table: CheckedTable, tools: frozenset[str]) -> Topic:
    name = table.text("name")
    patterns: list[re.Pattern[str]] = []
    for text in table.texts("hear", required=True):
        try:
            patterns.append(_pattern(text))
        except ValueError as error:
            table.fault("hear", f"pattern {text!r}: {error}")
    tool = _read_tool(table, tools) if "tool" in table else ""
    say = table.text("say", "" if tool else None)
    arguments = {argument: str(value) for argument, value in table.mapping("arguments").items()}
    for key, text in [("say", say), *(("arguments", value) for value in arguments.values())]:
        for place, kind in _PLACE.findall(text):
            if any(place not in pattern.groupindex for pattern in patterns):
                table.fault(key, f"{{{place}}} is not a slot of every pattern in hear")
            if (kind or None) not in _PLACE_KINDS:
                table.fault(key, f"{{{place}:{kind}}}: the only kind is spelled")
    table.no_more()
    return Topic(name, tuple(patterns), say, tool, arguments)


def _read_follow_up(table: CheckedTable, tools: frozenset[str]) -> FollowUp:
    follow_up = FollowUp(_read_tool(table, tools), table.text("say"), table.mapping("when"))
    for place, kind in _PLACE.findall(follow_up.say):
        if not place.startswith(("result.", "arguments.")):
            table.fault("say", f"{{{place}}}: expected {{result.NAME}} or {{arguments.NAME}}")
        if (kind or None) not in _PLACE_KINDS:
            table.fault("say", f"{{{place}:{kind}}}: the only kind is spelled")
    table.no_more()
    return follow_up


def _read_tool(table: CheckedTable, tools: frozenset[str]) -> str:
    tool = table.text("tool")
    if tool and tool not in tools:
        known = ", ".join(sorted(tools)) or "it has none"
        table.fault("tool", f"expected one of the agent's tools ({known})")
    return tool


def _pattern(text: str) -> re.Pattern[str]:
    """Raises `ValueError` with what is wrong."""
    if text.startswith("/"):
        if len(text) < 3 or not text.endswith("/"):
            raise ValueError("a regular expression ends with a slash")
        try:
            return re.compile(text[1:-1])
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
    parts: list[str] = []
    at = 0
    for slot in _SLOT.finditer(text):
        if slot[2] not in _SLOT_KINDS:
            raise ValueError(f"unknown kind of slot {slot[2]!r}; the only kind is digits")
        parts += normalise(text[at : slot.start()]).split()
        parts.append(f"(?P<{slot[1]}>{_SLOT_KINDS[slot[2]]})")
        at = slot.end()
    parts += normalise(text[at:]).split()
    if not parts:
        raise ValueError("has no word")
    return re.compile(rf"(?<!\S){' '.join(parts)}(?!\S)")
