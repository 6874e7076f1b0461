"""openai-agents (Python), unmodified: strict about every event, and truncates by itself."""

from __future__ import annotations

import pytest

from tests.clients import verdicts
from tests.clients.programs import Report
from tests.clients.verdicts import plays

CLIENT = "openai-agents"


@pytest.mark.proves("F2-openai-agents")
@plays("text", CLIENT)
def test_a_text_turn_arrives_whole(report: Report) -> None:
    verdicts.answers_text(report)


@pytest.mark.proves("F2-openai-agents")
@plays("tool", CLIENT)
def test_a_tools_result_becomes_words(report: Report) -> None:
    verdicts.uses_the_tool(report)


@pytest.mark.proves("F2-openai-agents")
@plays("voice", CLIENT)
def test_speech_is_understood_and_answered_aloud(report: Report) -> None:
    verdicts.understands_speech(report)


@pytest.mark.proves("F2-openai-agents")
@plays("barge_in", CLIENT)
def test_speaking_into_an_answer_cancels_and_truncates_it_and_is_answered(report: Report) -> None:
    verdicts.takes_up_after_the_interruption(report)
    assert report["cancelled"] == "turn_detected"
    item_id, truncated_ms = report["truncated"]
    assert item_id == report["interrupted_item"]
    assert truncated_ms > 0


@pytest.mark.proves("F2-openai-agents")
@plays("bad_key", CLIENT)
def test_a_wrong_key_is_refused_with_its_code(report: Report) -> None:
    verdicts.is_told_of_the_refusal(report)
