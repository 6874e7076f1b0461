"""The page a command writes on: lines wrapped to the terminal's width, coloured where colours are wanted.

Knows widths and styles and nothing of calls. A line may stay open, so that a person sees its first words before the
last are known.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Final, TextIO, TypeAlias

STYLES: Final[Mapping[str, str]] = {
    "plain": "",
    "bold": "1",
    "dim": "2",
    "struck": "2;9",
    "agent": "1;32",
    "caller": "1;34",
    "tool": "1;35",
    "call": "1;33",
    "good": "32",
    "bad": "1;31",
    "figure": "36",
    "link": "4;34",
    "endpoint": "90",
    "stt": "34",
    "model": "33",
    "tooling": "35",
    "speech": "32",
    "wire": "36",
}
"""ANSI's Select Graphic Rendition (ECMA-48 §8.3.117) by what a text is."""

NARROWEST, WIDEST, UNKNOWN_WIDTH = 60, 120, 100
"""Columns. Wider lines are hard to read; where there is no terminal, 100 fit most logs."""

Piece: TypeAlias = tuple[str, str]
"""A text and the name of its style."""


class Page:
    """Write with `line`, or with `begin`, `add` and `end` for a line that grows."""

    def __init__(
        self, write: Callable[[str], None], width: int = UNKNOWN_WIDTH, *, is_coloured: bool = False
    ) -> None:
        self.width = width
        self.is_coloured = is_coloured
        self._write = write
        self._column = 0
        self._indent = 0
        self._blank, self._blank_style = "", "plain"
        self._is_open = False

    @property
    def is_open(self) -> bool:
        return self._is_open

    def line(self, *pieces: Piece, indent: int = 0) -> None:
        """A whole line; what does not fit goes on below, `indent` columns in."""
        self.begin(*pieces, indent=indent)
        self.end()

    def begin(self, *pieces: Piece, indent: int = 0) -> None:
        """A line that more is added to. One that is still open is ended first."""
        self.end()
        self._is_open, self._indent, self._column, self._blank = True, indent, 0, ""
        self.add(*pieces)

    def add(self, *pieces: Piece) -> None:
        """More of the open line. Blanks in a text are kept, except where the line is broken."""
        for text, style in pieces:
            for token in re.findall(r"\s+|\S+", text):
                self._place(token, style)

    def end(self) -> None:
        """The open line is over, if there is one."""
        if self._is_open:
            self._is_open = False
            self._write("\n")

    def gap(self) -> None:
        """An empty line."""
        self.end()
        self._write("\n")

    def _place(self, token: str, style: str) -> None:
        """A blank waits for the word after it, so that no line ends in one."""
        if token.isspace():
            # Others' words may hold line ends; where lines end is the page's business.
            blank = token if token.strip(" ") == "" else " "
            self._blank, self._blank_style = self._blank + blank, style
            return
        if self._column + len(self._blank) + len(token) > self.width and self._column > self._indent:
            self._write("\n" + " " * self._indent)
            self._column = self._indent
        elif self._blank_style == style:
            token = self._blank + token  # one stroke, where a text is struck out
        else:
            self._emit(self._blank, "plain")
        self._blank = ""
        self._emit(token, style)

    def _emit(self, text: str, style: str) -> None:
        self._column += len(text)
        self._write(self.paint(text, style))

    def paint(self, text: str, style: str) -> str:
        code = STYLES[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_coloured and code else text


def page_on(stream: TextIO, *, wants_colour: bool = True) -> Page:
    """A page on a stream: in colour on a terminal, unless NO_COLOR is set (https://no-color.org)."""

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    columns = shutil.get_terminal_size((UNKNOWN_WIDTH, 24)).columns
    is_coloured = wants_colour and stream.isatty() and not os.environ.get("NO_COLOR")
    return Page(write, max(NARROWEST, min(WIDEST, columns)), is_coloured=is_coloured)
