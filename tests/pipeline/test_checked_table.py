"""Reading a table: good values, and every fault with its place, its expectation and what came."""

from __future__ import annotations

from typing import Any

from pipeline.checked_table import CheckedTable, nearest


def table(**values: Any) -> CheckedTable:
    return CheckedTable(values, key="agent", faults=[])


def test_good_values_are_read_as_they_stand() -> None:
    good = table(
        a=" text ", b=False, c=3, d=["x", " y "], e="one", f={"k": 1}, g={"h": "deep"}, i=[{"j": "listed"}]
    )
    assert good.text("a") == "text"
    assert good.flag("b", True) is False
    assert good.number("c", 1, least=0, most=5) == 3
    assert good.texts("d") == ("x", "y")
    assert good.texts("e") == ("one",)
    assert good.mapping("f") == {"k": 1}
    assert good.table("g").text("h") == "deep"
    assert [entry.text("j") for entry in good.tables("i")] == ["listed"]
    good.no_more()
    assert good.faults == []
    assert "a" in good
    assert "z" not in good


def test_what_is_missing_has_its_default() -> None:
    empty = table()
    assert empty.text("a", "usual") == "usual"
    assert empty.flag("b", True) is True
    assert empty.number("c", 1.5, least=0, most=5) == 1.5
    assert empty.texts("d") == ()
    assert empty.mapping("f") == {}
    assert empty.tables("i") == []
    assert empty.table("g").text("h", "") == ""
    assert empty.faults == []


def test_every_fault_is_noted_with_its_place() -> None:
    bad = table(a=7, b="yes", c=True, d=["x", ""], f=1, i=[1], blank="  ", g={"k": 1}, big=11, none=[])
    bad.text("a")
    bad.flag("b", True)
    bad.number("c", 1, least=0, most=5)
    bad.texts("d")
    bad.mapping("f")
    bad.tables("i")
    bad.text("blank", "usual")
    bad.text("gone")
    bad.texts("also_gone", required=True)
    bad.table("g").no_more()
    bad.number("big", 1, least=0, most=10)
    bad.texts("none")
    bad.no_more()
    assert bad.faults == [
        "agent.a: expected a text that is not empty, got 7",
        "agent.b: expected true or false, got 'yes'",
        "agent.c: expected a number from 0 to 5, got True",
        "agent.d: expected a list of texts, none of them empty, got ['x', '']",
        "agent.f: expected a table, got 1",
        "agent.i: expected a list of tables, [[agent.i]], got [1]",
        "agent.blank: expected a text that is not empty, got '  '",
        "agent.gone: expected a text that is not empty, it is missing",
        "agent.also_gone: expected a list of texts, none of them empty, it is missing",
        "agent.g.k: unknown key; none is known here",
        "agent.big: expected a number from 0 to 10, got 11",
        "agent.none: expected a list of texts, none of them empty, got []",
    ]


def test_a_misspelt_key_is_told_with_the_nearest_one() -> None:
    misspelt = CheckedTable({"greating": "Hello"}, key="", faults=[])
    misspelt.text("greeting", "")
    misspelt.no_more()
    assert misspelt.faults == ["greating: unknown key; did you mean 'greeting'?"]
    assert nearest("zebra", ["stub", "espeak"]) == "; known are espeak, stub"
