"""What the stand-in for a model says in the calls of the matrix."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.standins.openai_chat import Called, Said
from simulator.standins.realtime_answer import Call
from simulator.standins.realtime_session import RealtimeSession
from tests.chaos.dialogue import ANSWERS, BOOK, CANNOT, Dialogue, Moment

ASKED: list[dict[str, Any]] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "well?"}]


def test_each_turn_has_its_answer() -> None:
    for moment in (Moment.FIRST, Moment.SECOND, Moment.AFTER):
        assert Dialogue(moment=moment).of_chat(ASKED) == Said(ANSWERS[moment])


def test_the_turn_of_the_tool_asks_for_it_and_then_tells() -> None:
    dialogue = Dialogue(moment=Moment.TOOL)
    assert dialogue.of_chat(ASKED) == Said(calls=(Called("book", '{"day": "Monday"}'),))
    assert dialogue.of_chat([*ASKED, {"role": "tool", "content": "{}"}]) == Said(ANSWERS[Moment.TOOL])
    assert dialogue.of_chat([*ASKED, {"role": "tool", "content": '{"error": "no"}'}]) == Said(CANNOT)


@pytest.mark.parametrize(("begun", "rest"), [("We are open ", 12), ("Something else", 15)])
def test_whoever_continues_says_only_the_rest(begun: str, rest: int) -> None:
    messages = [*ASKED, {"role": "assistant", "content": begun}, {"role": "system", "content": "Continue."}]
    assert len(Dialogue(moment=Moment.FIRST).of_chat(messages).text.split()) == rest


def test_a_remote_service_says_the_same() -> None:
    session = RealtimeSession("s", model="m")
    dialogue = Dialogue(moment=Moment.FIRST)
    assert dialogue.of_session(session) == ANSWERS[Moment.FIRST]
    dialogue.moment = Moment.TOOL
    assert dialogue.of_session(session) == Call(BOOK.name, BOOK.arguments)
    session.add({"id": "o", "type": "function_call_output", "output": "{}"})
    assert dialogue.of_session(session) == ANSWERS[Moment.TOOL]
