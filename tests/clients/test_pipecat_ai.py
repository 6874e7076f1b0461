"""pipecat, unmodified: `OpenAIRealtimeLLMService` and `InworldRealtimeLLMService`, which end at any error event."""

from __future__ import annotations

import pytest

from tests.clients import verdicts
from tests.clients.programs import Report
from tests.clients.verdicts import plays

BOTH = ("pipecat-openai", "pipecat-inworld")


@pytest.mark.proves("F5-pipecat")
@plays("text", *BOTH)
def test_a_text_turn_arrives_whole(report: Report) -> None:
    verdicts.answers_text(report)


@pytest.mark.proves("F5-pipecat")
@plays("tool", *BOTH)
def test_a_tools_result_becomes_words(report: Report) -> None:
    verdicts.uses_the_tool(report)


@pytest.mark.proves("F5-pipecat")
@plays("voice", *BOTH)
def test_speech_is_understood_and_answered_aloud(report: Report) -> None:
    verdicts.understands_speech(report)


@pytest.mark.proves("F5-pipecat")
@plays("barge_in", *BOTH)
def test_speaking_into_an_answer_interrupts_the_pipeline_and_is_answered(report: Report) -> None:
    verdicts.takes_up_after_the_interruption(report)
    assert report["interruptions"] == 1


@pytest.mark.proves("F5-pipecat")
@plays("bad_key", *BOTH)
def test_a_wrong_key_is_refused_with_its_code(report: Report) -> None:
    verdicts.is_told_of_the_refusal(report)
