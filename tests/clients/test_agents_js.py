"""@openai/agents-realtime in Node, unmodified: what it does not understand escapes to the process."""

from __future__ import annotations

import pytest

from tests.clients import verdicts
from tests.clients.programs import Report
from tests.clients.verdicts import plays

CLIENT = "agents-js"


@pytest.mark.proves("F3-agents-js")
@plays("text", CLIENT)
def test_a_text_turn_arrives_whole(report: Report) -> None:
    verdicts.answers_text(report)


@pytest.mark.proves("F3-agents-js")
@plays("tool", CLIENT)
def test_a_tools_result_becomes_words(report: Report) -> None:
    verdicts.uses_the_tool(report)


@pytest.mark.proves("F3-agents-js")
@plays("voice", CLIENT)
def test_speech_is_understood_and_answered_aloud(report: Report) -> None:
    verdicts.understands_speech(report)


@pytest.mark.proves("F3-agents-js")
@plays("barge_in", CLIENT)
def test_speaking_into_an_answer_cancels_and_truncates_it_and_is_answered(report: Report) -> None:
    verdicts.takes_up_after_the_interruption(report)
    assert report["cancelled"] == "turn_detected"
    assert report["truncated_ms"] > 0


@pytest.mark.proves("F3-agents-js")
@plays("bad_key", CLIENT)
def test_a_wrong_key_is_refused_with_its_code(report: Report) -> None:
    verdicts.is_told_of_the_refusal(report)
