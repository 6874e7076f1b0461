"""Whole turns over a real socket, as the Realtime reference's section D has them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pipeline.audio.formats import PCM_24K
from pipeline.events.items import FunctionCallOutput
from pipeline.provider import ToolRequest
from pipeline.providers.stub import TRANSCRIPT
from tests.calls.support import cascade, spoken
from tests.fakes import STALL, FakeModel, FakeVoice
from tests.realtime.support import GAP, service, speech

pytestmark = pytest.mark.anyio

TEXT_ONLY: dict[str, Any] = {"output_modalities": ["text"]}
MANUAL: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}


async def test_a_session_begins_with_its_configuration_and_then_its_conversation() -> None:
    async with service() as gateway, gateway.connected("/v1/realtime?model=gpt-x&temperature=1") as client:
        created, conversation = await client.next(), await client.next()
        assert [created["type"], conversation["type"]] == ["session.created", "conversation.created"]
        session = created["session"]
        assert session["type"] == "realtime"
        assert session["model"] == "gpt-x"
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        assert session["tools"] == []


async def test_a_text_turn() -> None:
    model = FakeModel(["Hello", " you."])
    async with service(cascade(model=model)) as gateway, gateway.session(**TEXT_ONLY) as client:
        client.frames.clear()
        await client.say_text("hi", event_id="mine")
        await client.say("response.create", response={"metadata": {"topic": "greeting"}})
        done = await client.hear("response.done")
    assert client.types == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert done["response"]["metadata"] == {"topic": "greeting"}
    assert done["response"]["output"][0]["content"][0]["text"] == "Hello you."
    assert spoken(model.prompts[0]) == [("user", "hi")]
    assert len({frame["event_id"] for frame in client.frames}) == len(client.frames)


async def test_a_spoken_turn_ends_with_its_silence_and_is_answered_with_sound() -> None:
    transcription: dict[str, Any] = {"audio": {"input": {"transcription": {"model": "any"}}}}
    async with service() as gateway, gateway.session(**transcription) as client:
        client.frames.clear()
        await client.speak(speech() + GAP)
        await client.hear("response.done")
    order = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "rate_limits.updated",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.done",
    ]
    places = [client.types.index(type) for type in order]
    assert places == sorted(places)
    completed = client.of("conversation.item.input_audio_transcription.completed")[0]
    assert completed["transcript"] == TRANSCRIPT
    assert client.of("response.done")[0]["response"]["status"] == "completed"
    spoken_s = PCM_24K.seconds_of(client.audio())
    assert spoken_s == pytest.approx(4.0, abs=0.1)  # twenty words of the stub's, 200 ms each
    sizes = [len(base64.b64decode(frame["delta"])) for frame in client.of("response.output_audio.delta")]
    assert max(sizes) <= PCM_24K.bytes_in(400)


async def test_a_turn_committed_by_hand_is_answered_when_asked_for() -> None:
    async with service() as gateway, gateway.session(**MANUAL, **TEXT_ONLY) as client:
        client.frames.clear()
        await client.speak(speech())
        await client.say("input_audio_buffer.commit")
        await client.say("response.create")
        await client.hear("response.done")
        assert client.types[:3] == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert client.of("response.done")[0]["response"]["status"] == "completed"


async def test_an_empty_commit_is_an_error_and_the_session_goes_on() -> None:
    async with service() as gateway, gateway.session(**MANUAL) as client:
        await client.say("input_audio_buffer.commit", event_id="commit-1")
        error = (await client.hear("error"))["error"]
        assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "commit-1")
        await client.say("input_audio_buffer.clear")
        await client.hear("input_audio_buffer.cleared")


async def test_an_answer_out_of_band_joins_no_conversation() -> None:
    model = FakeModel("A title.")
    async with service(cascade(model=model)) as gateway, gateway.session(**TEXT_ONLY) as client:
        client.frames.clear()
        asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Name it."}]}
        response = {"conversation": "none", "input": [asked], "metadata": {"for": "title"}}
        await client.say("response.create", response=response)
        done = await client.hear("response.done")
    assert done["response"]["conversation_id"] is None
    assert done["response"]["metadata"] == {"for": "title"}
    assert not [type for type in client.types if type.startswith("conversation.item")]
    assert spoken(model.prompts[0]) == [("user", "Name it.")]


async def test_a_function_goes_to_the_client_and_its_result_back_to_the_model() -> None:
    model = FakeModel([ToolRequest("call_1", "weather", '{"city":"Rome"}')], "It is sunny.")
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    async with service(cascade(model=model)) as gateway, gateway.session(**TEXT_ONLY, tools=[tool]) as client:
        await client.say_text("How is the weather?")
        await client.say("response.create")
        asked = await client.hear("response.function_call_arguments.done")
        assert (asked["name"], asked["arguments"]) == ("weather", '{"city":"Rome"}')
        await client.hear("response.done")
        output = {"type": "function_call_output", "call_id": asked["call_id"], "output": "sunny"}
        await client.say("conversation.item.create", item=output)
        await client.say("response.create")
        done = await client.hear("response.done")
    assert done["response"]["output"][0]["content"][0]["text"] == "It is sunny."
    results = [item for item in model.prompts[1].items if isinstance(item, FunctionCallOutput)]
    assert [result.output for result in results] == ["sunny"]


async def test_what_was_not_heard_of_an_answer_is_cut_and_the_rest_can_be_retrieved() -> None:
    async with service() as gateway, gateway.session() as client:
        await client.say_text("hi")
        await client.say("response.create")
        item_id = (await client.hear("response.done"))["response"]["output"][0]["id"]
        await client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1_000)
        assert (await client.hear("conversation.item.truncated"))["audio_end_ms"] == 1_000
        await client.say("conversation.item.retrieve", item_id=item_id)
        item = (await client.hear("conversation.item.retrieved"))["item"]
        assert len(base64.b64decode(item["content"][0]["audio"])) == PCM_24K.bytes_in(1_000)


async def test_an_answer_is_cancelled_by_the_client() -> None:
    model = FakeModel(["Well", STALL])
    async with service(cascade(model=model)) as gateway, gateway.session(**TEXT_ONLY) as client:
        await client.say_text("hi")
        await client.say("response.create")
        await client.hear("response.output_text.delta")
        await client.say("response.cancel")
        done = (await client.hear("response.done"))["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        await client.say("response.cancel", event_id="again")
        error = (await client.hear("error"))["error"]
        assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "again")


async def test_speech_interrupts_the_answer() -> None:
    model, voice = FakeModel("There is this. And there is that.", "Yes?"), FakeVoice({1: STALL})
    async with service(cascade(model=model, voice=voice)) as gateway, gateway.session() as client:
        await client.say_text("hi")
        await client.say("response.create")
        await client.hear("response.output_audio.delta")
        await client.speak(speech("stop") + GAP)
        await client.hear("input_audio_buffer.speech_started")
        done = (await client.hear("response.done"))["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
        assert (await client.hear("response.done"))["response"]["status"] == "completed"


async def test_a_transcription_session_writes_down_and_never_answers() -> None:
    async with service() as gateway, gateway.connected("/v1/realtime?intent=transcription") as client:
        created = await client.next()
        assert created["session"]["type"] == "transcription"
        await client.speak(speech() + GAP)
        await client.hear("conversation.item.input_audio_transcription.completed")
        await client.say("conversation.item.retrieve", item_id="nothing", event_id="last")
        await client.hear("error")
        assert "response.created" not in client.types
