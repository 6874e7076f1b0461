from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.env_file import EnvLine, read_env_text


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A = b", "b"),
        ("A=", ""),
        ("A=b # comment", "b"),
        ("A=# comment", ""),
        ("A=b#c", "b#c"),
        ('A="b # c" # d', "b # c"),
        ("A='b\"c'", 'b"c'),
        ("A=\"b'", "\"b'"),
    ],
)
def test_a_line_assigns_what_a_shell_would(line: str, value: str) -> None:
    assert read_env_text(line) == ([EnvLine("A", value, 1)], [])


def test_comments_and_blanks_are_passed_over_and_other_lines_are_told() -> None:
    assert read_env_text("# c\n\n  \nA=1\nnonsense\n1A=2\n") == ([EnvLine("A", "1", 4)], [5, 6])


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    lines, unreadable = read_env_text(text)
    numbers = [line.line_number for line in lines] + unreadable
    assert len(numbers) == len(set(numbers)) <= len(text.splitlines())
