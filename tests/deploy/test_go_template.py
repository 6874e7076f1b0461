"""Go's template language, as far as our chart uses it. What is expected here was compared with Go's own package."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.go_template import TemplateError, Templates


def rendered(text: str, dot: Any = None, **others: str) -> str:
    return Templates({"main": text, **others}).render("main", {} if dot is None else dot)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a {{ 1 }} b", "a 1 b"),
        ("a {{- 1 }} b", "a1 b"),
        ("a {{ 1 -}} b", "a 1b"),
        ("a\n  {{- 1 -}}\n  b", "a1b"),
        ("a {{/* a comment }} with braces */}} b", "a  b"),
        ("{name: {{ .name }}}", "{name: x}"),
        ('{{ "}}" }}', "}}"),
        ("{{ .name | quote }}", '"x"'),
        ("{{ true }}", "true"),
        ('{{ printf "%s-%s" .name "y" | trunc 2 | trimSuffix "-" }}', "x"),
        ('{{ default "y" .missing }}{{ default "y" .name }}', "yx"),
        ('{{ print .name "/y" }}', "x/y"),
        ("{{ toYaml .table | nindent 2 }}", "\n  a: 1\n  b: 2"),
        ("{{ add 1 2 }}", "3"),
    ],
)
def test_an_action_prints_its_value(text: str, result: str) -> None:
    assert rendered(text, {"name": "x", "table": {"b": 2, "a": 1}}) == result


@pytest.mark.parametrize(("value", "result"), [(1, "one"), (2, "two"), (3, "more")])
def test_the_first_branch_that_holds_is_taken(value: int, result: str) -> None:
    text = "{{ if eq .n 1 }}one{{ else if eq .n 2 }}two{{ else }}more{{ end }}"
    assert rendered(text, {"n": value}) == result


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("and .yes .no", False),
        ("or .no .yes", True),
        ("not .empty", True),
        ("and .yes (not .no)", True),
        ("gt (int .three) 2", True),
        ("le 3 2", False),
        ('contains "b" "abc"', True),
        (".missing", False),
    ],
)
def test_a_condition_holds_as_in_go(condition: str, holds: bool) -> None:
    dot = {"yes": True, "no": False, "empty": {}, "three": "3"}
    assert rendered(f"{{{{ if {condition} }}}}1{{{{ end }}}}", dot) == ("1" if holds else "")


def test_with_moves_the_dot_and_the_dollar_stays() -> None:
    assert rendered("{{ with .a }}{{ .b }}{{ $.c }}{{ end }}", {"a": {"b": 1}, "c": 2}) == "12"
    assert rendered("{{ with .a }}x{{ else }}y{{ end }}", {"a": {}}) == "y"


def test_range_goes_by_the_order_of_keys() -> None:
    text = "{{ range $name, $value := .table }}{{ $name }}={{ $value }};{{ end }}"
    assert rendered(text, {"table": {"b": 2, "a": 1}}) == "a=1;b=2;"


def test_a_variable_set_inside_a_block_is_set_outside() -> None:
    assert rendered("{{ $n := 1 }}{{ if true }}{{ $n = add $n 1 }}{{ end }}{{ $n }}") == "2"


def test_a_definition_prints_nothing_where_it_stands() -> None:
    assert rendered('a{{ define "x" }}b{{ end }}c{{ include "x" . }}') == "acb"


def test_include_renders_a_defined_template_and_a_whole_file() -> None:
    names = '{{ define "greeting" }}hello {{ .name }}{{ end }}'
    assert rendered('{{ include "greeting" . | quote }}', {"name": "x"}, names=names) == '"hello x"'
    assert rendered('{{ include "other" . }}', {"name": "x"}, other="<{{ .name }}>") == "<x>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ .missing }}", "has no value"),
        ("{{ .missing.deeper }}", "nothing that could have 'deeper'"),
        ("{{ lookup 1 }}", "no function 'lookup'"),
        ("{{ if true }}", "has no end"),
        ("{{ end }}", "without a beginning"),
        ("{{ $x = 1 }}", "undefined variable"),
        ("{{ 1 2 }}", "is no function"),
        ('{{ include "nothing" . }}', "no template 'nothing'"),
        ('{{ fail "because" }}', "because"),
        ("{{ range .list }}x{{ end }}", "not in the subset"),
        ("{{ 1 ? 2 }}", "cannot read"),
        ("{{ range $k, $v := .table }}x{{ else }}y{{ end }}", "not in the subset"),
    ],
)
def test_what_is_wrong_or_unknown_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        rendered(text)
