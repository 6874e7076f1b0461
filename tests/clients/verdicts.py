"""What every client must show of a scenario, whatever the client is; its own test adds what is its own."""

from __future__ import annotations

from typing import Final

import pytest

from tests.clients.answering import HEARD
from tests.clients.programs import Report
from tests.clients.scenario import HELLO, SUNNY

ANSWER_TO_HELLO: Final = f"You said: {HELLO}."
ANSWER_TO_CLIP: Final = f"You said: {HEARD.rstrip('?')}."
ANSWER_OF_TOOL: Final = f"The tool says {SUNNY}."

REFUSALS: Final = ("invalid_api_key", "HTTP 401")
"""Realtime reference, section A.5: an `error` event and close 3000 on the OpenAI path, 401 on Inworld's."""


def plays(scenario: str, *clients: str) -> pytest.MarkDecorator:
    """A test of the report that each of these clients makes of the scenario."""
    cases = [pytest.param((client, scenario), id=client) for client in clients]
    return pytest.mark.parametrize("report", cases, indirect=True)


def is_clean(report: Report) -> None:
    """No error was shown, and nothing escaped."""
    assert report["ok"] and report["errors"] == [], report


def answers_text(report: Report) -> None:
    is_clean(report)
    assert report["said"] == ANSWER_TO_HELLO, report


def uses_the_tool(report: Report) -> None:
    is_clean(report)
    assert report["tool_calls"] == [["get_weather", {"city": "Paris"}]], report
    assert report["said"] == ANSWER_OF_TOOL, report


def understands_speech(report: Report) -> None:
    is_clean(report)
    assert report["heard"] == HEARD, report
    answers_aloud(report)


def answers_aloud(report: Report) -> None:
    assert report["said"] == ANSWER_TO_CLIP, report
    assert report["audio_bytes"] > 0 and report["is_audible"], report


def takes_up_after_the_interruption(report: Report) -> None:
    """What was being said stopped, and what was said into it is answered."""
    is_clean(report)
    assert report["interrupted"], report
    answers_aloud(report)


def is_told_of_the_refusal(report: Report) -> None:
    """It says to its user that the key was refused, once or more; nothing hangs, nothing escapes."""
    is_clean(report)
    assert any(sign in told for told in report["shown"] for sign in REFUSALS), report
    assert report["said"] == "", report
