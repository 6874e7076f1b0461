"""The session object: its defaults, what an update may change, what is refused, and what is shown afterwards."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipeline.dialects import Dialect
from tests.calls.support import AGENT
from tests.protocol.conftest import BEARER, House
from tests.protocol.peer import Event, Peer, names
from tests.protocol.providers import HANG

pytestmark = pytest.mark.anyio

LIFE_S = 3600
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
IW_PATH = "/api/v1/realtime/session?key=k&protocol=realtime"
WAYS: dict[Dialect, tuple[str, dict[str, str]]] = {
    Dialect.GA: ("/v1/realtime?model=m", BEARER),
    Dialect.BETA: ("/v1/realtime?model=m", {**BEARER, "OpenAI-Beta": "realtime=v1"}),
    Dialect.IW: (IW_PATH, BEARER),
    Dialect.SEED: ("/api/v1/realtime/session", BEARER),
}
FUNCTION = {"type": "function", "name": "get_weather", "description": "Tells it.", "parameters": {"type": "object"}}


@asynccontextmanager
async def opened(house: House, dialect: Dialect) -> AsyncGenerator[tuple[Peer, Event], None]:
    """A connection of this dialect, and the session it was shown first."""
    path, headers = WAYS[dialect]
    async with house.connect(path, headers=headers, dialect=dialect) as peer:
        session = (await peer.expect("session.created"))["session"]
        await peer.expect("conversation.created")
        yield peer, session


async def updated(peer: Peer, session: Event) -> Event:
    await peer.send("session.update", session=session)
    return await peer.updated()


async def refused(peer: Peer, session: Event) -> tuple[str, str]:
    """Code and param of the error that a GA update gets."""
    error = await peer.refused("session.update", session={"type": "realtime", **session})
    assert error["type"] == "invalid_request_error"
    return error["code"], error["param"]


def changed(session: Event, *path: str, value: Any) -> Event:
    """The session with one field otherwise."""
    head, *rest = path
    inner = changed(session[head], *rest, value=value) if rest else value
    return session | {head: inner}


@pytest.mark.proves("C1-defaults", "C2-expires", "C2-instructions", "B0-id-shapes", "C2-vad-defaults")
async def test_a_session_begins_with_every_default_shown(house: House) -> None:
    before_s = int(time.time())
    async with opened(house, Dialect.GA) as (_, session):
        pass
    assert before_s + LIFE_S <= session.pop("expires_at") <= time.time() + LIFE_S + 1
    assert session.pop("id").startswith("sess_")
    pcm = {"type": "audio/pcm", "rate": 24000}
    voice = session["audio"]["output"].pop("voice")
    assert isinstance(voice, str) and voice
    assert session == {
        "type": "realtime",
        "object": "realtime.session",
        "model": "m",
        "output_modalities": ["audio"],
        "instructions": AGENT.instructions,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "audio": {
            "input": {"format": pcm, "transcription": None, "noise_reduction": None, "turn_detection": SERVER_VAD},
            "output": {"format": pcm, "speed": 1},
        },
        "include": None,
    }


@pytest.mark.proves("B1-update", "C2-merge")
async def test_an_update_changes_what_is_in_it_and_shows_everything(house: House) -> None:
    async with opened(house, Dialect.GA) as (peer, session):
        await peer.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
        shown = await peer.updated()
        assert shown == changed(session, "instructions", value="Be brief.")
        vad = {"silence_duration_ms": 700}
        after = await peer.update(audio={"input": {"turn_detection": vad}})
        assert after == changed(shown, "audio", "input", "turn_detection", value=SERVER_VAD | vad)
        again = await peer.update(audio={"input": {"transcription": {"model": "a", "language": "de"}}})
        again = await peer.update(audio={"input": {"transcription": {"prompt": "Names."}}})
        assert again["audio"]["input"]["transcription"] == {"model": "a", "language": "de", "prompt": "Names."}
        assert await peer.fence() == []


@pytest.mark.proves("I-echo", "B1-repeats", "C2-expires")
@pytest.mark.parametrize("dialect", Dialect)
async def test_an_echo_sent_back_changes_nothing(house: House, dialect: Dialect) -> None:
    async with opened(house, dialect) as (peer, session):
        assert await updated(peer, session) == (
            session if dialect is not Dialect.SEED else {key: session[key] for key in session if key not in CAMEL}
        )
        assert await peer.fence() == []


CAMEL = ("inputAudioFormat", "outputAudioFormat", "turnDetection", "voice", "toolChoice", "mcpServers", "maxTokens")


@pytest.mark.proves("B1-repeats", "D1-one-updated", "C2-tracing", "B1-model")
async def test_updates_may_come_many_at_once_and_in_the_middle_of_a_response(house: House) -> None:
    agents = {"type": "realtime", "model": "gpt-realtime-2.1", "tracing": "auto"}
    async with house.session() as peer:
        await peer.update(output_modalities=["text"], instructions=HANG)
        await peer.send("response.create")
        await peer.until("response.output_text.delta")
        for number in range(5):
            await peer.send("session.update", session={**agents, "max_output_tokens": 10 + number})
        events = [event for event in await peer.fence() if event["type"] != "response.output_text.delta"]
        assert names(events) == ["session.updated"] * 5
        assert [event["session"]["max_output_tokens"] for event in events] == [10, 11, 12, 13, 14]
        assert {event["session"]["tracing"] for event in events} == {"auto"}
        await peer.send("response.cancel")
        assert (await peer.expect("response.done"))["response"]["status_details"]["reason"] == "client_cancelled"


@pytest.mark.proves("B1-update-type")
async def test_a_ga_update_names_its_type(house: House) -> None:
    async with house.session() as peer:
        error = await peer.refused("session.update", session={"instructions": "x"})
        assert (error["code"], error["param"]) == ("missing_required_parameter", "session.type")
        assert error["message"] == "Missing required parameter: 'session.type'."
        missing = await peer.refused("session.update")
        assert (missing["code"], missing["param"]) == ("missing_required_parameter", "session")
        other = await peer.refused("session.update", session={"type": "transcription"})
        assert (other["code"], other["param"]) == ("invalid_value", "session.type")


@pytest.mark.proves("B1-update-unknown", "B1-update-atomic")
@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"flavour": 1}, "session.flavour"),
        ({"audio": {"input": {"gain": 1}}}, "session.audio.input.gain"),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "eager": 1}}}},
         "session.audio.input.turn_detection.eager"),
    ],
)  # fmt: skip
async def test_a_key_that_nobody_knows_is_refused_and_nothing_is_applied(
    house: House, session: Event, param: str
) -> None:
    async with opened(house, Dialect.GA) as (peer, before):
        wanted = {"instructions": "Not applied.", "tools": [FUNCTION], **session}
        assert await refused(peer, wanted) == ("unknown_parameter", param)
        assert await peer.update() == before


@pytest.mark.proves("C2-max-tokens", "C2-vad-ranges", "C2-speed", "C2-truncation", "B1-update-atomic")
@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("max_output_tokens", (1, 4096, "inf"), (0, 4097, "many", 1.5)),
        ("output_modalities", (["audio"], ["text"]), ([], ["audio", "text"], "text")),
        ("tool_choice", ("auto", "none", "required"), ("any", 3)),
        ("truncation", ("auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.5}),
         ("never", {"type": "retention_ratio"}, {"type": "retention_ratio", "retention_ratio": 1.5})),
        ("audio.output.speed", (0.25, 1, 1.5), (0.2, 1.6, "fast")),
        ("audio.input.turn_detection.threshold", (0, 0.3, 1), (-0.1, 1.1)),
        ("audio.input.turn_detection.silence_duration_ms", (0, 200, 10_000), (-1, 10_001)),
        ("audio.input.turn_detection.prefix_padding_ms", (0, 300), (-1, "long")),
        ("audio.input.turn_detection.idle_timeout_ms", (5_000, 30_000), (4_999, 30_001)),
        ("audio.input.turn_detection.create_response", (True, False), ("yes", 1)),
    ],
)  # fmt: skip
async def test_a_field_takes_its_values_and_refuses_others(
    house: House, path: str, good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    async with opened(house, Dialect.GA) as (peer, session):
        for value in good:
            session = changed(session, *path.split("."), value=value)
            assert await updated(peer, session) == session
        for value in bad:
            code, param = await refused(peer, changed(session, *path.split("."), value=value))
            assert code in ("invalid_value", "missing_required_parameter")
            assert param.startswith(f"session.{path}")
        assert await peer.update() == session


@pytest.mark.proves("C2-vad-ranges", "C2-semantic", "C2-vad-defaults")
async def test_eagerness_has_four_values_and_no_idle_timeout(house: House) -> None:
    async with house.session() as peer:
        for eagerness in ("low", "medium", "high", "auto"):
            vad = {"type": "semantic_vad", "eagerness": eagerness}
            shown = await peer.update(audio={"input": {"turn_detection": vad}})
            assert shown["audio"]["input"]["turn_detection"] == SEMANTIC_VAD | vad
        for wrong in ({"eagerness": "wild"}, {"idle_timeout_ms": 5000}):
            session = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", **wrong}}}}
            assert (await refused(peer, session))[0] == "invalid_value"


@pytest.mark.proves("C2-vad-switch", "C2-vad-defaults", "C2-manual", "B0-null-is-off")
async def test_another_type_of_turn_detection_begins_with_its_own_defaults(house: House) -> None:
    async with house.session() as peer:
        for wanted, expected in (
            ({"type": "server_vad", "silence_duration_ms": 900}, SERVER_VAD | {"silence_duration_ms": 900}),
            ({"type": "semantic_vad"}, SEMANTIC_VAD),
            ({"type": "server_vad"}, SERVER_VAD),
            (None, None),
            ({"type": "server_vad"}, SERVER_VAD),
            ({"type": "none"}, None),
        ):
            shown = await peer.update(audio={"input": {"turn_detection": wanted}})
            assert shown["audio"]["input"]["turn_detection"] == expected


@pytest.mark.proves("C2-transcription", "B0-null-is-off")
async def test_a_transcription_is_shown_with_its_three_keys_and_null_turns_it_off(house: House) -> None:
    async with house.session() as peer:
        for wanted, expected in (
            ({"model": "gpt-4o-mini-transcribe"}, {"model": "gpt-4o-mini-transcribe"}),
            ({"language": "en"}, {"model": "gpt-4o-mini-transcribe", "language": "en"}),
            (None, None),
        ):
            shown = await peer.update(audio={"input": {"transcription": wanted}})
            assert shown["audio"]["input"]["transcription"] == expected


@pytest.mark.proves("C2-noise-reduction", "B0-null-is-off")
async def test_noise_reduction_is_done_or_refused_and_null_is_always_right(house: House) -> None:
    async with house.session() as peer:
        shown = await peer.update(audio={"input": {"noise_reduction": None}})
        assert shown["audio"]["input"]["noise_reduction"] is None
        wanted = {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}}
        assert await refused(peer, wanted) == ("invalid_value", "session.audio.input.noise_reduction")


@pytest.mark.proves("C2-voice")
async def test_a_voice_is_a_name_or_an_object_and_shown_as_a_name(house: House) -> None:
    async with house.session() as peer:
        for voice in ("marin", {"id": "voice_1"}):
            shown = await peer.update(audio={"output": {"voice": voice}})
            assert shown["audio"]["output"]["voice"] == (voice if isinstance(voice, str) else voice["id"])
        assert (await refused(peer, {"audio": {"output": {"voice": 7}}}))[1] == "session.audio.output.voice"


@pytest.mark.proves("C2-speed")
async def test_the_voice_keeps_to_the_speed(house: House) -> None:
    lengths = []
    async with house.session() as peer:
        for speed in (1.0, 0.5):
            await peer.update(audio={"output": {"speed": speed}})
            await peer.say("Hello")
            await peer.send("response.create")
            lengths.append(len(await peer.sound(await peer.answer())))
    assert lengths[1] == 2 * lengths[0] > 0


@pytest.mark.proves("C2-instructions")
async def test_an_empty_text_clears_the_instructions(house: House) -> None:
    async with house.session() as peer:
        assert (await peer.update(instructions=""))["instructions"] == ""
        await peer.update(output_modalities=["text"])
        await peer.say("Hello")
        await peer.send("response.create")
        await peer.answer()
    assert house.model.prompts[-1].instructions == ""


@pytest.mark.proves("C2-tool-choice")
async def test_the_choice_of_tools_is_shown_as_set_and_heeded(house: House) -> None:
    other = {"type": "function", "name": "other"}
    named = {"type": "function", "name": "other"}
    async with house.text_session() as peer:
        await peer.update(tools=[FUNCTION, other])
        for choice, offered, told in (
            ("auto", ["get_weather", "other"], "auto"),
            ("none", [], "auto"),
            ("required", ["get_weather", "other"], "required"),
            (named, ["other"], "required"),
        ):
            assert (await peer.update(tool_choice=choice))["tool_choice"] == choice
            await peer.say("Hello")
            await peer.send("response.create")
            await peer.answer()
            prompt = house.model.prompts[-1]
            assert ([tool.name for tool in prompt.tools], prompt.tool_choice) == (offered, told)


@pytest.mark.proves("C2-tools", "C4-function")
async def test_tools_are_shown_flat_and_replaced_as_a_whole(house: House) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {}}
    async with house.session() as peer:
        shown = await peer.update(
            tools=[{**FUNCTION, "parameters": schema, "strict": True}, {**FUNCTION, "name": "b"}]
        )
        assert [tool["name"] for tool in shown["tools"]] == ["get_weather", "b"]
        assert shown["tools"][0]["parameters"] == schema and shown["tools"][0]["type"] == "function"
        assert [tool["name"] for tool in (await peer.update(tools=[{**FUNCTION, "name": "c"}]))["tools"]] == ["c"]
        assert (await peer.update(tools=[]))["tools"] == []
        assert (await refused(peer, {"tools": [{"type": "function"}]}))[1] == "session.tools[0].name"


@pytest.mark.proves("C4-mcp-refused")
async def test_a_server_of_tools_is_refused_by_name_while_none_is_served(house: House) -> None:
    server = {"type": "mcp", "server_label": "files", "server_url": "https://mcp.example"}
    async with house.session() as peer:
        code, param = await refused(peer, {"tools": [server]})
    assert code == "invalid_value" and param.startswith("session.tools[0]")


@pytest.mark.proves("C4-web-search")
async def test_a_search_that_nobody_does_is_refused_by_name(house: House) -> None:
    async with opened(house, Dialect.IW) as (peer, _):
        tool = {"type": "web_search", "providerData": {"engine": "google", "max_results": 3}}
        error = await peer.refused("session.update", session={"tools": [tool, FUNCTION]})
    assert (error["code"], error["param"]) == ("invalid_value", "session.tools[0].type")
    assert "web_search" in error["message"]


@pytest.mark.proves("C2-temperature")
@pytest.mark.parametrize("dialect", Dialect)
async def test_a_temperature_is_used_in_all_dialects(house: House, dialect: Dialect) -> None:
    async with opened(house, dialect) as (peer, _):
        kind = {"type": "realtime"} if dialect is Dialect.GA else {}
        await updated(peer, {**kind, "temperature": 0.7})
        await peer.say("Hello")
        await peer.send("response.create")
        await peer.answer()
    assert house.model.prompts[-1].temperature == 0.7


@pytest.mark.proves("C2-kept", "B0-null-is-off")
async def test_what_need_not_be_heeded_is_shown_as_it_was_set(house: House) -> None:
    wanted: Event = {
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"name": "Ada"}},
        "include": ["item.input_audio_transcription.logprobs"],
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
        "tracing": {"workflow_name": "w", "group_id": "g", "metadata": {"a": "b"}},
    }
    async with house.session() as peer:
        shown = await peer.update(**wanted)
        assert {name: shown[name] for name in wanted} == wanted
        off = await peer.update(prompt=None, tracing=None)
        assert (off["prompt"], off["tracing"]) == (None, None)


@pytest.mark.proves("C5-flat")
async def test_flat_beta_keys_are_read_on_a_ga_connection(house: House) -> None:
    async with house.session() as peer:
        shown = await peer.update(
            modalities=["text"],
            voice="ash",
            input_audio_format="g711_ulaw",
            input_audio_transcription={"model": "whisper-1"},
            turn_detection={"type": "semantic_vad"},
            max_response_output_tokens=99,
        )
    assert shown["output_modalities"] == ["text"] and shown["max_output_tokens"] == 99
    assert shown["audio"]["output"]["voice"] == "ash"
    assert shown["audio"]["input"]["format"]["type"] == "audio/pcmu"
    assert shown["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert shown["audio"]["input"]["turn_detection"] == SEMANTIC_VAD


@pytest.mark.proves("C5-lenient")
@pytest.mark.parametrize("dialect", [Dialect.BETA, Dialect.IW, Dialect.SEED])
async def test_other_dialects_pass_over_what_nobody_knows(house: House, dialect: Dialect) -> None:
    async with opened(house, dialect) as (peer, _):
        shown = await updated(peer, {"flavour": {"sweet": True}, "instructions": "Be brief."})
    assert shown["instructions"] == "Be brief." and "flavour" not in shown


@pytest.mark.proves("C5-camel")
@pytest.mark.parametrize("dialect", [Dialect.IW, Dialect.SEED])
@pytest.mark.parametrize("is_wrapped", [True, False])
async def test_camel_case_means_the_same_as_the_ga_paths(house: House, dialect: Dialect, is_wrapped: bool) -> None:
    config = {
        "model": "inworld/one",
        "instructions": "Be brief.",
        "temperature": 0.6,
        "maxTokens": 200,
        "voice": "Clive",
        "inputAudioFormat": "pcmu",
        "outputAudioFormat": "pcma",
        "turnDetection": {"type": "server_vad", "threshold": 0.4, "silenceDurationMs": 400},
        "tools": [FUNCTION],
        "toolChoice": "required",
    }
    async with opened(house, dialect) as (peer, _):
        shown = await updated(peer, {"sessionConfig": config} if is_wrapped else config)
        manual = await updated(peer, {"turnDetection": {"type": "none"}})
    heard, spoken = shown["audio"]["input"], shown["audio"]["output"]
    assert (shown["model"], shown["instructions"], shown["temperature"]) == ("inworld/one", "Be brief.", 0.6)
    assert (shown["max_output_tokens"], shown["tool_choice"]) == (200, "required")
    assert (heard["format"]["type"], spoken["format"]["type"]) == ("audio/pcmu", "audio/pcma")
    assert spoken["voice"] == "Clive"
    assert heard["turn_detection"] == SERVER_VAD | {"threshold": 0.4, "silence_duration_ms": 400}
    assert manual["audio"]["input"]["turn_detection"] is None
    if dialect is Dialect.SEED:
        assert {key: shown[key] for key in config} == config
        assert manual["turnDetection"] == {"type": "none"}


@pytest.mark.proves("G2-both-modalities", "G2-voice-model", "G3-provider-data")
async def test_what_inworlds_clients_send_is_taken_and_shown(house: House) -> None:
    async with opened(house, Dialect.IW) as (peer, _):
        shown = await updated(
            peer,
            {
                "type": "realtime",
                "output_modalities": ["audio", "text"],
                "audio": {"output": {"model": "inworld-tts-2", "voice": "Clive"}},
                "providerData": {"metadata": {"sdk": "pipecat-realtime"}, "auto_tool_response": False, "mood": 1},
            },
        )
        assert shown["audio"]["output"]["model"] == "inworld-tts-2"
        merged = (await updated(peer, {"providerData": {"tts": {"language": "en"}}}))["providerData"]
        assert merged == shown["providerData"] | {"tts": {"language": "en"}}
        assert merged["mood"] == 1
        await peer.say("Hello")
        await peer.send("response.create", response={"modalities": ["audio", "text"]})
        told = names(await peer.answer())
    assert "response.output_audio_transcript.delta" in told and "response.output_text.delta" not in told


@pytest.mark.proves("C2-transcription-session")
async def test_a_transcription_session_takes_what_is_about_hearing_and_answers_nothing(house: House) -> None:
    path = "/v1/realtime?intent=transcription"
    async with house.connect(path) as peer:
        session = (await peer.expect("session.created"))["session"]
        await peer.expect("conversation.created")
        wanted = {"type": "transcription", "audio": {"input": {"transcription": {"model": "a", "language": "en"}}}}
        shown = await updated(peer, wanted)
        assert shown["audio"]["input"]["transcription"] == {"model": "a", "language": "en"}
        assert shown.keys() == session.keys()
        error = await peer.refused("session.update", session={"type": "transcription", "instructions": "Speak."})
        assert (error["code"], error["param"]) == ("unknown_parameter", "session.instructions")
        assert (await peer.refused("response.create"))["code"] == "invalid_value"


CAPTURED: dict[str, tuple[Dialect, str]] = {
    "agents-js": (
        Dialect.GA,
        '{"type":"session.update","session":{"type":"realtime","instructions":"hi","model":"my-model",'
        '"output_modalities":["audio"],"audio":{"input":{"format":{"type":"audio/pcm","rate":24000},'
        '"noise_reduction":null,"transcription":{"model":"gpt-4o-mini-transcribe"},"turn_detection":'
        '{"type":"semantic_vad"}},"output":{"format":{"type":"audio/pcm","rate":24000},"speed":1}},"tools":[{"type":'
        '"function","name":"weather","description":"get weather","parameters":{"$schema":'
        '"http://json-schema.org/draft-07/schema#","type":"object","properties":{"city":{"type":"string"}},'
        '"required":["city"],"additionalProperties":false}}]}}',
    ),
    "LiveKit": (
        Dialect.GA,
        '{"session":{"type":"realtime","audio":{"input":{"format":{"rate":24000,"type":"audio/pcm"},'
        '"noise_reduction":null,"transcription":{"model":"gpt-4o-mini-transcribe"},"turn_detection":{"type":'
        '"semantic_vad","create_response":true,"eagerness":"medium","interrupt_response":true}},"output":{"format":'
        '{"rate":24000,"type":"audio/pcm"},"speed":1.0,"voice":"marin"}},"max_output_tokens":"inf","model":"my-model",'
        '"output_modalities":["audio"],"tool_choice":"auto","tracing":null},"type":"session.update",'
        '"event_id":"session_update_80b33f58780c"}',
    ),
    "pipecat's Inworld": (
        Dialect.IW,
        '{"event_id":"9049","type":"session.update","session":{"type":"realtime","model":"openai/gpt-4.1-mini",'
        '"output_modalities":["audio","text"],"audio":{"input":{"format":{"type":"audio/pcm","rate":24000},'
        '"transcription":{"model":"inworld/inworld-stt-1"},"turn_detection":{"type":"semantic_vad","eagerness":"low",'
        '"create_response":true,"interrupt_response":true}},"output":{"format":{"type":"audio/pcm","rate":24000},'
        '"model":"inworld-tts-2","voice":"Clive"}},"providerData":{"metadata":{"sdk":"pipecat-realtime"},'
        '"auto_tool_response":false}}}',
    ),
}


@pytest.mark.proves("B5-captured", "D1-one-updated")
@pytest.mark.parametrize("client", CAPTURED)
async def test_what_stock_clients_send_first_is_accepted(house: House, client: str) -> None:
    dialect, text = CAPTURED[client]
    async with opened(house, dialect) as (peer, _):
        await peer.send_text(text)
        shown = await peer.updated()
        assert shown["audio"]["input"]["turn_detection"]["interrupt_response"] is True
        assert shown["audio"]["input"]["transcription"].keys() == {"model"}
        asked = {"instructions": None, "metadata": {"client_event_id": "response_create_fd30"}}
        await peer.send("response.create", event_id="response_create_fd30", response=asked)
        answered = await peer.answer()
    assert answered[0]["response"]["metadata"] == answered[-1]["response"]["metadata"] == asked["metadata"]
