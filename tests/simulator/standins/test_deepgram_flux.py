from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.standins.deepgram_talk import CLOSE, silence, talk, voice

pytestmark = pytest.mark.anyio

FORCE = {"type": "ForceEndTurn"}
EAGER = {"eager_eot_threshold": "0.4"}


async def events(*sent: bytes | dict[str, Any], script: str = "one two three", **query: str) -> list[Any]:
    """Of each message what tells it from the others; updates that bring no word are left out."""
    messages, code = await talk("/v2/listen", [script], *sent, CLOSE, model="flux-general-en", **query)
    assert code == 1000
    assert messages.pop(0)["type"] == "Connected"
    assert [message["sequence_id"] for message in messages] == list(range(1, len(messages) + 1))
    told: list[Any] = []
    for message in messages:
        gist = (message["event"], message["transcript"]) if message["type"] == "TurnInfo" else message["type"]
        if gist not in told or message.get("event") != "Update":
            told.append((*gist, message["trigger"]) if message.get("trigger") else gist)
    return told


async def test_a_turn_goes_from_its_first_word_to_its_end_by_silence() -> None:
    told = await events(silence(300), voice(3), silence(800))
    assert told[:3] == [("Update", ""), ("StartOfTurn", "one"), ("Update", "one two")]
    assert told[-2:] == [("Update", "one two three"), ("EndOfTurn", "one two three", "model")]


async def test_an_early_end_is_taken_back_when_the_voice_goes_on() -> None:
    told = await events(voice(1), silence(500), voice(1), silence(800), **EAGER)
    assert [gist for gist in told if gist[0] != "Update"] == [
        ("StartOfTurn", "one"),
        ("EagerEndOfTurn", "one two three"),
        ("TurnResumed", "one two three"),
        ("EagerEndOfTurn", "one two three"),
        ("EndOfTurn", "one two three", "model"),
    ]


@pytest.mark.parametrize("pause_ms", [0, 500])
async def test_a_turn_is_ended_by_force_early_end_or_not(pause_ms: int) -> None:
    told = await events(voice(1), silence(pause_ms), FORCE, **EAGER)
    assert told[-1] == ("EndOfTurn", "one two three", "manual")


async def test_without_a_turn_force_is_ignored_with_a_warning() -> None:
    messages, _ = await talk("/v2/listen", ["one"], voice(1), FORCE, FORCE, CLOSE, model="flux-general-en")
    assert [message.get("code") for message in messages][-1:] == ["FORCE_END_TURN_NO_ACTIVE_TURN"]


async def test_close_stream_brings_what_was_not_told() -> None:
    assert await events(voice(1)[:800]) == [("StartOfTurn", "one two three")]
    assert await events(voice(1)) == [("StartOfTurn", "one"), ("Update", "one two three")]
    assert await events(voice(1)[:800], script="") == []


async def test_time_ends_a_turn_that_confidence_may_not_end() -> None:
    told = await events(voice(1), silence(1_100), eot_threshold="1.0", eot_timeout_ms="1000")
    assert told[-1] == ("EndOfTurn", "one two three", "timeout")


async def test_each_turn_has_the_next_transcript_and_number() -> None:
    sent = (voice(1), silence(800), voice(1), FORCE, CLOSE)
    messages, _ = await talk("/v2/listen", ["one", "two"], *sent, model="flux-general-en")
    ends = [message for message in messages if message.get("event") == "EndOfTurn"]
    assert [(end["transcript"], end["turn_index"]) for end in ends] == [("one", 0), ("two", 1)]
    assert ends[1]["audio_window_start"] == ends[0]["audio_window_end"]
    assert ends[1]["end_of_turn_confidence"] == 0.0


async def test_thresholds_may_be_changed_on_the_way() -> None:
    thresholds = {"eot_threshold": 1.0, "eager_eot_threshold": 0.3, "eot_timeout_ms": 5_000}
    configure = {"type": "Configure", "thresholds": thresholds, "keyterms": ["Sierra"]}
    sent = (configure, {"type": "Configure"}, voice(1), silence(1_000), CLOSE)
    messages, _ = await talk("/v2/listen", ["one"], *sent, model="flux-general-en")
    success, unchanged, *turn = messages[1:]
    assert (success["type"], success["thresholds"], success["keyterms"]) == (
        "ConfigureSuccess",
        thresholds,
        ["Sierra"],
    )
    assert unchanged["thresholds"] == thresholds
    assert {message["event"] for message in turn} == {"StartOfTurn", "EagerEndOfTurn", "Update"}


async def test_thresholds_that_are_no_numbers_are_refused() -> None:
    configure = {"type": "Configure", "thresholds": {"eot_timeout_ms": "soon"}}
    assert await events(configure) == ["ConfigureFailure"]


async def test_an_unknown_message_is_fatal() -> None:
    messages, code = await talk("/v2/listen", ["one"], {"type": "KeepAlive"}, model="flux-general-en")
    assert [message["type"] for message in messages] == ["Connected", "Error"]
    assert code == 1008
