"""openai-python, unmodified: `client.realtime` (GA) and `client.beta.realtime` (the shape before it)."""

from __future__ import annotations

import pytest

from tests.clients import verdicts
from tests.clients.programs import Report
from tests.clients.verdicts import plays

BOTH = ("openai-python", "openai-python-beta")


@pytest.mark.proves("F1-openai-python")
@plays("text", *BOTH)
def test_a_text_turn_arrives_whole(report: Report) -> None:
    verdicts.answers_text(report)
    assert report["whole"] == report["said"]
    assert report["status"] == "completed"
    assert report["audio_bytes"] == 0


@pytest.mark.proves("F1-openai-python")
@plays("tool", *BOTH)
def test_a_tools_result_becomes_words(report: Report) -> None:
    verdicts.uses_the_tool(report)
    assert report["whole"] == report["said"]


@pytest.mark.proves("F1-openai-python")
@plays("voice", *BOTH)
def test_speech_is_understood_and_answered_aloud(report: Report) -> None:
    verdicts.understands_speech(report)
    assert report["whole"] == report["said"]


@pytest.mark.proves("F1-openai-python")
@plays("barge_in", *BOTH)
def test_speaking_into_an_answer_cancels_it_and_is_answered(report: Report) -> None:
    verdicts.takes_up_after_the_interruption(report)
    assert report["interrupted"] == ["cancelled", "turn_detected"]
    assert report["truncated_ms"] == report["asked_to_truncate_ms"]
    assert report["late_bytes"] == 0


@pytest.mark.proves("F1-openai-python")
@plays("bad_key", *BOTH)
def test_a_wrong_key_is_refused_with_its_code(report: Report) -> None:
    verdicts.is_told_of_the_refusal(report)
    assert "3000" in report["shown"][-1], report


@pytest.mark.proves("F1-openai-python")
@plays("client_secret", *BOTH)
def test_a_minted_client_secret_opens_a_session(report: Report) -> None:
    verdicts.answers_text(report)
    assert report["secret_begins"] == "ek_"
