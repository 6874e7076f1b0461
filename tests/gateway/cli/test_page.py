from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.page import NARROWEST, STYLES, Page, page_on


def written(width: int = 20, *, is_coloured: bool = False) -> tuple[Page, list[str]]:
    pieces: list[str] = []
    return Page(pieces.append, width, is_coloured=is_coloured), pieces


def test_a_long_line_goes_on_below_at_its_indent() -> None:
    page, pieces = written()
    page.line(("who  ", "plain"), ("one two three four five six", "plain"), indent=5)
    assert "".join(pieces) == "who  one two three\n     four five six\n"


def test_a_line_can_grow_and_the_next_one_ends_it() -> None:
    page, pieces = written()
    page.begin(("agent ", "plain"))
    assert page.is_open
    page.add(("hello", "plain"))
    page.line(("next", "plain"))
    page.gap()
    page.end()
    assert "".join(pieces) == "agent hello\nnext\n\n"
    assert not page.is_open


def test_line_ends_within_a_text_are_blanks() -> None:
    page, pieces = written()
    page.line(("one\ntwo \r\n three\tfour", "plain"))
    assert "".join(pieces) == "one two three four\n"


def test_a_word_wider_than_the_page_stands_whole() -> None:
    page, pieces = written(8)
    page.line(("abcdefghijkl mn", "plain"))
    assert "".join(pieces) == "abcdefghijkl\nmn\n"


def test_colours_are_written_only_where_they_are_wanted() -> None:
    plain, told = written()
    plain.line(("a b", "bad"))
    coloured, painted = written(is_coloured=True)
    coloured.line(("a b", "bad"), (" c", "plain"))
    assert "".join(told) == "a b\n"
    assert "".join(painted) == "\x1b[1;31ma\x1b[0m\x1b[1;31m b\x1b[0m c\n"


@given(st.lists(st.tuples(st.text("ab  ", max_size=30), st.sampled_from(list(STYLES)))), st.integers(0, 9))
def test_no_line_is_wider_than_the_page_and_no_word_is_lost(pieces: list[tuple[str, str]], indent: int) -> None:
    page, out = written(40)
    page.line(*pieces, indent=indent)
    text = "".join(out)
    assert all(len(line) <= 40 for line in text.splitlines())
    assert "".join(text.split()) == "".join("".join(piece for piece, _ in pieces).split())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_a_terminal_without_no_color_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "10")
    assert page_on(Terminal()).is_coloured
    assert page_on(Terminal()).width == NARROWEST
    assert not page_on(Terminal(), wants_colour=False).is_coloured
    assert not page_on(io.StringIO()).is_coloured
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    page = page_on(stream)
    page.line(("hello", "bad"))
    assert stream.getvalue() == "hello\n"
