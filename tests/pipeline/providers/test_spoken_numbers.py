"""Numbers as people say them on the telephone."""

from __future__ import annotations

import pytest

from pipeline.providers.spoken_numbers import normalise, spell


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Where is my order four eight one five?", "where is my order 4815"),
        ("Order 48 15, please!", "order 4815 please"),
        ("forty-eight fifteen", "4815"),
        ("forty twenty ten", "402010"),
        ("twenty zero", "200"),
        ("oh seven double oh triple nine", "0700999"),
        ("double oh seven", "007"),
        ("four oh", "40"),
        ("Oh, I see. Oh", "oh i see oh"),
        ("oh oh one", "001"),
        ("a double room", "a double room"),
        ("nineteen eighty four thousand", "1984 thousand"),
        ("That’s all, thanks", "that's all thanks"),
        ("", ""),
    ],
)
def test_digits_come_together_and_everything_else_stays(said: str, expected: str) -> None:
    assert normalise(said) == expected


def test_spelled_digits_are_one_by_one() -> None:
    assert spell("4815") == "4 8 1 5"
