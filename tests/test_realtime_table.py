"""The table of events in docs/realtime.md is whole, true and up to date."""

from __future__ import annotations

import ast

from tests import realtime_table as subject


def test_the_page_holds_the_table_as_the_code_and_the_tests_are_now() -> None:
    page = subject.PAGE.read_text()
    assert subject.page_with(subject.table(), page) == page, "run: python -m tests.realtime_table"


def test_every_event_that_openai_or_inworld_names_works_or_has_a_reason_why_not() -> None:
    everything = subject.client_events() | subject.server_events()
    assert everything == subject.works() | subject.NOT_HERE.keys()
    assert not subject.works() & subject.NOT_HERE.keys()


def test_every_test_the_table_names_is_there() -> None:
    named = {test for event in subject.works() for test in subject.tests_of(event)}
    for test in named:
        path, name = test.split("::")
        functions = {
            node.name
            for node in ast.parse((subject.ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, test


def test_every_rule_about_an_event_names_one_there_is() -> None:
    known = subject.client_events() | subject.server_events()
    assert {event for rule in subject.rules() for event in rule.get("events", ())} <= known


def test_markers_are_found_on_plain_and_parametrized_tests() -> None:
    text = """
@pytest.mark.proves("A", "B")
def test_plain(): ...
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.proves("C"))])
async def test_of_many(): ...
def test_of_nothing(): ...
def no_test(): ...
"""
    found = list(subject.marked(ast.parse(text)))
    assert found == [("test_plain", ["A", "B"]), ("test_of_many", ["C"]), ("test_of_nothing", [])]
