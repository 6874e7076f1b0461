from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.standins.deepgram_talk import CLOSE, silence, talk, voice

pytestmark = pytest.mark.anyio

FINALIZE = {"type": "Finalize"}


async def results(*sent: bytes | dict[str, Any], script: str = "one two three", **query: str) -> list[Any]:
    """Of each message what tells it from the others."""
    messages, code = await talk("/v1/listen", [script], *sent, CLOSE, model="nova-3", **query)
    assert code == 1000
    return [_gist(message) for message in messages]


def _gist(message: dict[str, Any]) -> Any:
    if message["type"] != "Results":
        return message["type"]
    marks = [name for name in ("is_final", "speech_final", "from_finalize") if message[name]]
    return (message["channel"]["alternatives"][0]["transcript"], *marks)


async def test_interim_results_come_word_by_word_if_they_were_asked_for() -> None:
    final = ("one two three", "is_final", "from_finalize")
    told = await results(voice(2), FINALIZE, interim_results="true")
    assert told == [("one",), ("one two",), final, "Metadata"]
    assert await results(voice(2), FINALIZE) == [final, "Metadata"]


async def test_a_pause_makes_final_what_was_said_before_it() -> None:
    told = await results(voice(1), silence(200), voice(1), FINALIZE, endpointing="100")
    assert told == [("one", "is_final", "speech_final"), ("two three", "is_final", "from_finalize"), "Metadata"]


async def test_without_endpointing_a_pause_changes_nothing() -> None:
    told = await results(voice(1), silence(2_000), FINALIZE, endpointing="false")
    assert told == [("one two three", "is_final", "from_finalize"), "Metadata"]


async def test_close_stream_brings_what_is_left() -> None:
    assert await results(voice(1)) == [("one two three", "is_final"), "Metadata"]


async def test_an_empty_piece_of_sound_ends_the_stream() -> None:
    messages, code = await talk("/v1/listen", ["one"], voice(1), b"", model="nova-3")
    assert [_gist(message) for message in messages] == [("one", "is_final"), "Metadata"]
    assert code == 1000


async def test_finalize_is_not_answered_without_anything_to_work_on() -> None:
    assert await results(FINALIZE) == ["Metadata"]
    assert await results(silence(60), FINALIZE) == [("", "is_final"), "Metadata"]


async def test_silence_is_an_empty_result() -> None:
    assert await results(silence(600), FINALIZE) == [("", "is_final", "from_finalize"), "Metadata"]


async def test_voice_and_its_end_are_told_if_they_were_asked_for() -> None:
    asked = {"vad_events": "true", "interim_results": "true", "utterance_end_ms": "1000", "endpointing": "false"}
    told = await results(silence(40), voice(1), silence(1_200), voice(1), **asked)
    expected = ["SpeechStarted", ("one",), "UtteranceEnd", "SpeechStarted", ("one two",)]
    assert told == [*expected, ("one two three", "is_final"), "Metadata"]


async def test_keep_alive_is_not_answered_and_an_unknown_message_is() -> None:
    assert await results({"type": "KeepAlive"}, {"type": "ForceEndTurn"}, {}) == ["Error", "Error", "Metadata"]


async def test_times_go_on_from_utterance_to_utterance() -> None:
    sent = (voice(2), FINALIZE, voice(1), FINALIZE, CLOSE)
    messages, _ = await talk("/v1/listen", ["one two", "three"], *sent, model="nova-3")
    times = [(message["start"], message["duration"]) for message in messages if message["type"] == "Results"]
    assert times == [(0.0, 0.4), (0.4, 0.2)]
    assert messages[1]["channel"]["alternatives"][0]["words"][0]["start"] == 0.4
    assert messages[-1]["duration"] == 0.6
