"""Whether a call went as it should: checks on its review, each a sentence with a tick or a cross.

Pure. What counts is what the simulator's caller truly heard; the gateway's words are believed only beside that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cli.call_review import Exchange, Interruption, Review
from gateway.cli.page import Piece
from simulator.call_result import CallResult

STOP_LIMIT_MS: Final = 500
"""From the caller's first sound to the agent's last: longer, and people speak louder instead of going on."""

LEAST_ANSWER_MS: Final = 1_000
"""An answer of several words cannot be shorter; a click or a single word is none."""


@dataclass(frozen=True, slots=True)
class Check:
    is_met: bool
    text: str

    def line(self) -> list[Piece]:
        return [("✓ ", "good") if self.is_met else ("✗ ", "bad"), (self.text, "plain" if self.is_met else "bad")]


def call_checks(result: CallResult, review: Review, *, lines: int, network_ms: float = 0.0) -> list[Check]:
    """What is asked of any call: the caller had `lines` things to say, the agent had to answer and to stop.

    `network_ms` is what the simulated network may add on the way there and back.
    """
    return [
        *_lines_said(result, lines),
        _answered(review, result),
        *(_stopped(one, STOP_LIMIT_MS + network_ms) for one in review.interruptions),
        *_patience(result),
        _complaints(result),
    ]


def demo_checks(result: CallResult, review: Review) -> list[Check]:
    """What is asked of the demonstration: hours, cut short by "stop please", then an order, then goodbye."""
    hours, _, order = (*review.exchanges[:3], None, None, None)[:3]
    cut = review.interruptions[0] if review.interruptions else None
    return [
        _really_answered("the opening hours", hours, result, ("monday", "nine")),
        Check(False, "the agent was never interrupted") if cut is None else _stopped(cut, STOP_LIMIT_MS),
        _prefix(cut),
        _looked_up(order),
        _really_answered("the order", order, result, ("thursday",)),
        _complaints(result),
    ]


def _answered(review: Review, result: CallResult) -> Check:
    """A text the phone company speaks for the gateway after its stream is an answer to the caller's last words."""
    silent = [one.number for one in review.exchanges if one.total_ms is None]
    if silent and result.spoken_verbs and silent[-1] == len(review.exchanges):
        silent.pop()
    count = len(review.exchanges)
    if not count:
        is_met = bool(result.agent_utterances) or bool(result.spoken_verbs)
        return Check(is_met, "the agent was heard" if is_met else "the agent was never heard")
    if silent:
        turns = ", ".join(str(number) for number in silent)
        return Check(False, f"no answer was heard to turn {turns} of {count}")
    return Check(True, f"an answer was heard to {'the one turn' if count == 1 else f'each of {count} turns'}")


def _stopped(one: Interruption, limit_ms: float) -> Check:
    if one.silent_after_ms > limit_ms:
        after = f"after {one.silent_after_ms:,.0f} ms"
        clear = "no clear came" if one.cleared_after_ms is None else f"clear after {one.cleared_after_ms:,.0f} ms"
        return Check(
            False, f"the agent spoke on into the caller's words: silent {after} ({clear}; limit {limit_ms:,.0f})"
        )
    if one.cleared_after_ms is None:
        return Check(True, f"the agent was done by itself, {one.silent_after_ms:,.0f} ms after the caller began")
    return Check(
        True,
        f"the agent stopped when interrupted: clear after {one.cleared_after_ms:,.0f} ms, "
        f"silent after {one.silent_after_ms:,.0f} ms",
    )


def _lines_said(result: CallResult, lines: int) -> list[Check]:
    said = len(result.turns)
    if said >= lines:
        return []
    return [Check(False, f"the caller came to say {said} of {lines} things: {result.end_reason.value}")]


def _patience(result: CallResult) -> list[Check]:
    waits = sum(one.name == "caller.impatient" for one in result.happenings)
    if not waits:
        return []
    return [
        Check(False, f"the caller waited in vain {waits} time{'s' if waits > 1 else ''} for the agent to speak")
    ]


def _complaints(result: CallResult) -> Check:
    if not result.complaints:
        return Check(True, "Twilio had nothing to complain about")
    codes = ", ".join(str(one.code) for one in result.complaints)
    return Check(False, f"Twilio would have complained: {codes}")


def _really_answered(about: str, one: Exchange | None, result: CallResult, words: Collection[str]) -> Check:
    if one is None or one.turn.agent_heard_ms is None:
        return Check(False, f"no answer was heard to the question about {about}")
    heard_ms = sum(
        said.end_ms - said.start_ms for said in result.agent_utterances if said.start_ms == one.turn.agent_heard_ms
    )
    if heard_ms < LEAST_ANSWER_MS:
        return Check(False, f"what was heard about {about} lasted {heard_ms:,.0f} ms: too short for an answer")
    found = sorted(set(words) & set(_words(one.words_heard)))
    if not found:
        wanted = " or ".join(f'"{word}"' for word in words)
        return Check(False, f'the answer about {about} has no {wanted}: "{one.words_heard}"')
    return Check(True, f'the question about {about} was answered: {heard_ms / 1000:.1f} s heard, with "{found[0]}"')


def _prefix(one: Interruption | None) -> Check:
    if one is None or one.answer is None or one.answer.heard is None:
        return Check(False, "the gateway did not say how much of its answer was heard")
    heard, text = one.answer.heard, one.answer.text
    if not heard or heard == text or not text.startswith(heard):
        return Check(False, f'what the gateway believes was heard is no part of its answer: "{heard}"')
    count = len(heard.split())
    return Check(True, f"the conversation keeps the {count} words that were heard, of {len(text.split())}")


def _looked_up(one: Exchange | None) -> Check:
    tools = one.tools if one is not None else []
    for tool in tools:
        if "thursday" in tool.output.lower():
            return Check(True, f"the order was looked up: {tool.name}")
    return Check(False, "the order was not looked up")


def _words(text: str) -> Sequence[str]:
    return re.findall(r"\w+", text.lower())
