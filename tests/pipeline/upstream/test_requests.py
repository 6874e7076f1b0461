from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pipeline.audio.formats import PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat
from pipeline.commands import Respond
from pipeline.events.config import NamedTool, SessionConfig, Transcription
from pipeline.prompts import prompt_of
from pipeline.provider import FunctionTool
from pipeline.upstream import requests
from tests.pipeline.upstream.test_shape import upstream

TOOL = FunctionTool("f")
PREVIEW: dict[str, Any] = {"name": "azure", "base_url": "https://h", "api_version": "2025"}


def updated(config: SessionConfig, *, with_voice: bool = True, **told: Any) -> dict[str, Any]:
    session: dict[str, Any] = requests.update(config, upstream(**told), with_voice=with_voice)["session"]
    return session


def asked(command: Respond, config: SessionConfig = SessionConfig(), **told: Any) -> dict[str, Any]:  # noqa: B008
    request = requests.ask(command, config, upstream(**told), None, PCM_24K)
    response: dict[str, Any] = request["response"]
    del response["metadata"]
    return response


@pytest.mark.parametrize(("format", "there"), [(PCMU, PCMU), (PCMA, PCMA), (PCM_24K, PCM_24K), (PCM_16K, PCM_24K)])
def test_the_line_keeps_its_format_wherever_the_protocol_has_it(format: AudioFormat, there: AudioFormat) -> None:
    assert requests.far(format) == there


def test_a_session_commits_for_itself_and_wants_the_words() -> None:
    config = SessionConfig(
        instructions="Be kind.",
        input_format=PCMU,
        output_format=PCMU,
        transcription=Transcription(prompt="names"),
        language="en-US",
        voice="eve",
        speed=1.2,
        tools=(TOOL,),
        max_output_tokens=50,
    )
    assert updated(config) == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en", "prompt": "names"},
                "turn_detection": None,
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "eve", "speed": 1.2},
        },
        "tools": [{"type": "function", "name": "f", "description": "", "parameters": TOOL.parameters}],
        "tool_choice": "auto",
        "max_output_tokens": 50,
    }
    assert "voice" not in updated(config, with_voice=False)["audio"]["output"]


def test_inworld_is_told_not_to_answer_functions_by_itself() -> None:
    config = SessionConfig(provider_data={"user_id": "u"}, voice_model="tts-2")
    session = updated(config, name="inworld")
    assert session["providerData"] == {"user_id": "u", "auto_tool_response": False}
    assert session["model"] == "m"
    assert session["audio"]["output"]["model"] == "tts-2"


def test_an_older_preview_is_told_in_the_betas_names() -> None:
    session = updated(SessionConfig(voice="eve", output_format=PCMA), **PREVIEW)
    assert "audio" not in session and "type" not in session
    assert session["modalities"] == ["text", "audio"]
    assert session["output_audio_format"] == "g711_alaw"
    assert session["max_response_output_tokens"] == "inf"
    assert session["voice"] == "eve"
    assert session["turn_detection"] is None
    assert updated(SessionConfig(output_modality="text"), **PREVIEW)["modalities"] == ["text"]


@pytest.mark.parametrize(
    ("choice", "tools", "there"),
    [
        ("auto", (), "auto"),
        ("required", (), "auto"),
        ("required", (TOOL,), "required"),
        (NamedTool(type="function", name="f"), (TOOL,), {"type": "function", "name": "f"}),
        (NamedTool(type="mcp", server_label="s"), (TOOL,), "required"),
    ],
)
def test_a_choice_among_no_tools_is_none(choice: Any, tools: tuple[FunctionTool, ...], there: object) -> None:
    assert updated(SessionConfig(tool_choice=choice, tools=tools))["tool_choice"] == there


def test_an_answer_asks_only_for_what_it_wants_otherwise_than_the_session() -> None:
    config = SessionConfig(instructions="Be kind.", tools=(TOOL,), voice="eve")
    usual = prompt_of(config, ())
    assert asked(Respond("r", usual, voice="eve"), config) == {}
    other = prompt_of(SessionConfig(instructions="Be brief.", max_output_tokens=9), ())
    command = Respond("r", other, speaks=False, voice="adam", is_out_of_band=True)
    assert asked(command, config) == {
        "instructions": "Be brief.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": 9,
        "conversation": "none",
        "output_modalities": ["text"],
        "audio": {"output": {"voice": "adam"}},
    }
    assert asked(command, config, **PREVIEW) == {
        "instructions": "Be brief.",
        "tools": [],
        "tool_choice": "auto",
        "max_response_output_tokens": 9,
        "conversation": "none",
        "modalities": ["text"],
        "voice": "adam",
    }


def test_an_answer_may_have_a_format_of_its_own() -> None:
    config = SessionConfig(output_format=PCMU)
    command = Respond("r", prompt_of(config, ()))
    assert asked(command, config)["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert asked(command, config, **PREVIEW)["output_audio_format"] == "pcm16"


def test_a_script_is_asked_for_word_for_word_with_nothing_to_distract_from_it() -> None:
    told = asked(Respond("r", prompt_of(SessionConfig(tools=(TOOL,)), ()), script="Good day."))
    assert "\nGood day.\n" in told["instructions"]
    assert (told["input"], told["tools"], told["tool_choice"]) == ([], [], "none")


def test_an_answer_told_something_else_is_told_that() -> None:
    command = Respond("r", prompt_of(SessionConfig(), ()))
    input = [{"type": "item_reference", "id": "i"}]
    request = requests.ask(command, SessionConfig(), upstream(), input, PCM_24K)
    assert request["response"]["input"] == input
    assert request["response"]["metadata"] == {requests.ASKED: "r"}


def test_sound_is_written_in_base64_and_not_otherwise_touched() -> None:
    sound = bytes(range(256))
    told = json.loads(requests.append(sound))
    assert (told["type"], base64.b64decode(told["audio"])) == ("input_audio_buffer.append", sound)
