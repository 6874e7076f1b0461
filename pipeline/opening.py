"""How a session begins on our side: with words, with an answer, or in silence. Pure data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

SECOND_CHANCE_S: Final = 1.2
"""Who was in the middle of a sentence goes on within that time; who had finished it waits no longer than for many
an answer."""

QUIET_LIMIT_S: Final = 4.0
"""Few think longer about what to say; who waits for an answer by then begins to doubt that there will be one."""


class Act(enum.Enum):
    """What comes first."""

    NOTHING = "nothing"
    """Whoever is at the other end begins."""
    WAIT = "wait"
    """It is the caller's turn, and the wait for it begins now; with a remark, after `QUIET_LIMIT_S` the model's."""
    LISTEN = "listen"
    """The caller was speaking, and goes on; or else, after `SECOND_CHANCE_S`, is answered with the remark."""
    SAY = "say"
    """These very words."""
    ANSWER = "answer"
    """What the model says to the conversation as it stands."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The call ends once the last word of its farewell was heard."""

    transfer_to: str = ""
    """The number (E.164) the caller is then connected to."""


@dataclass(frozen=True, slots=True)
class Opening:
    """See the module's docstring."""

    act: Act = Act.NOTHING
    words: str = ""
    """To be said, or, before an answer, a remark for the model."""
    answers_then: bool = False
    """Once the words are spoken an answer follows, which the caller waits for."""
    ending: Ending | None = None
    """What was said here was the farewell."""


NOTHING: Final = Opening()


def saying(words: str) -> Opening:
    """A greeting, or nothing if it is empty."""
    return Opening(Act.SAY, words) if words else NOTHING
