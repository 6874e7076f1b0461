"""A written dialogue: its patterns, its places, its faults."""

from __future__ import annotations

import tomllib

import pytest

from pipeline.checked_table import CheckedTable
from pipeline.providers.dialogue import Dialogue, fill, read_dialogue
from pipeline.providers.spoken_numbers import normalise

TOOLS = frozenset({"look_up", "hang_up"})
FRAME = 'opening = "Hello."\nfallback = "Sorry?"\n'


def read(text: str) -> tuple[Dialogue, list[str]]:
    faults: list[str] = []
    dialogue = read_dialogue(CheckedTable(tomllib.loads(text), key="dialogue", faults=faults), TOOLS)
    return dialogue, faults


def slots(pattern: str, said: str) -> dict[str, str] | None:
    dialogue, faults = read(f"{FRAME}[[topics]]\nname = 'x'\nsay = 'x'\nhear = ['''{pattern}''']")
    assert faults == []
    return dialogue.topics[0].match(normalise(said))


@pytest.mark.parametrize(
    ("pattern", "said", "expected"),
    [
        ("opening hours", "What are your Opening Hours?", {}),
        ("open", "the opening", None),
        ("opening hours", "hours", None),
        ("order {id:digits}", "my order is 12", None),
        ("order {id:digits}", "my order four eight one five", {"id": "4815"}),
        ("room {number:digits} with {what}", "room twelve with breakfast", {"number": "12", "what": "breakfast"}),
        ("/^(yes|no)( please)?$/", "Yes, please.", {}),
        ("/^(yes|no)$/", "yes but", None),
        (r"/order (?P<id>\d+)?/", "order now", {"id": ""}),
    ],
)
def test_a_pattern_is_words_slots_or_a_regular_expression(
    pattern: str, said: str, expected: dict[str, str] | None
) -> None:
    assert slots(pattern, said) == expected


def test_places_are_filled_spelled_or_left_empty() -> None:
    assert fill("Order {id:spelled} of {name}, {gone} ok.", {"id": "42", "name": "Ann"}) == "Order 4 2 of Ann, ok."


def test_a_whole_dialogue_is_read() -> None:
    dialogue, faults = read(
        FRAME
        + """
        [[topics]]
        name = "order"
        hear = ["order {id:digits}"]
        tool = "look_up"
        arguments = { id = "{id}", many = 1 }
        [[results]]
        tool = "look_up"
        when = { status = "sent" }
        say = "Sent {result.when}."
        """
    )
    assert faults == []
    assert (dialogue.opening, dialogue.fallback) == ("Hello.", ("Sorry?",))
    topic = dialogue.topics[0]
    assert (topic.name, topic.say, topic.tool) == ("order", "", "look_up")
    assert topic.arguments == {"id": "{id}", "many": "1"}
    assert (dialogue.results[0].when, dialogue.results[0].say) == ({"status": "sent"}, "Sent {result.when}.")


def test_every_fault_is_told_with_its_key() -> None:
    _, faults = read(
        """
        opening = "Hello."
        fallback = "Sorry?"
        colour = "red"
        [[topics]]
        name = "one"
        hear = ["/(/", "/x", "{a:roman}", "?!", "fine {a}", "fine"]
        say = "{a} {a:loud}"
        [[topics]]
        name = "two"
        hear = "two"
        tool = "look_out"
        arguments = { id = "{id}" }
        [[results]]
        tool = "hang_up"
        say = "{x} {result.y:loud}"
        """
    )
    assert [fault.split(", got ")[0] for fault in faults] == [
        "dialogue.topics[0].hear: pattern '/(/': not a regular expression: "
        "missing ), unterminated subpattern at position 0",
        "dialogue.topics[0].hear: pattern '/x': a regular expression ends with a slash",
        "dialogue.topics[0].hear: pattern '{a:roman}': unknown kind of slot 'roman'; the only kind is digits",
        "dialogue.topics[0].hear: pattern '?!': has no word",
        "dialogue.topics[0].say: {a} is not a slot of every pattern in hear",
        "dialogue.topics[0].say: {a} is not a slot of every pattern in hear",
        "dialogue.topics[0].say: {a:loud}: the only kind is spelled",
        "dialogue.topics[1].tool: expected one of the agent's tools (hang_up, look_up)",
        "dialogue.topics[1].arguments: {id} is not a slot of every pattern in hear",
        "dialogue.results[0].say: {x}: expected {result.NAME} or {arguments.NAME}",
        "dialogue.results[0].say: {result.y:loud}: the only kind is spelled",
        "dialogue.colour: unknown key; known are fallback, opening, results, topics",
    ]


def test_a_dialogue_without_topics_or_opening_is_none() -> None:
    _, faults = read("fallback = 'Sorry?'")
    assert faults == [
        "dialogue.opening: expected a text that is not empty, it is missing",
        "dialogue.topics: expected at least one [[dialogue.topics]], it is missing",
    ]
