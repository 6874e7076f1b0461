"""The stand-in, asked by OpenAI's own SDK as it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
import openai
import pytest

from simulator.standins.fault import Fault, Faults
from simulator.standins.openai import MODELS, OpenAIScript, OpenAIStandIn, app, openai_app
from simulator.standins.openai_chat import Called, Said, in_turn
from simulator.standins.serving import served
from simulator.standins.tone import hum

pytestmark = pytest.mark.anyio

WAV = ("a.wav", b"RIFF....", "audio/wav")


@asynccontextmanager
async def asking(
    script: OpenAIScript | None = None, fault: Fault = Fault.NONE
) -> AsyncGenerator[tuple[openai.AsyncOpenAI, OpenAIStandIn], None]:
    standin = OpenAIStandIn(script or OpenAIScript(), Faults(fault))
    async with served(standin.app) as place:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"http://{place}/v1", max_retries=0) as client:
            yield client, standin


async def test_the_sdk_reads_a_streamed_chat_with_functions_and_usage() -> None:
    script = OpenAIScript(in_turn(Said("One moment.", (Called("look_up", '{"order": 1}'),))), token_s=0.001)
    async with asking(script) as (client, standin):
        text, arguments, finish, tokens = "", "", None, 0
        async with await client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "where is my order"}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    for call in choice.delta.tool_calls or ():
                        arguments += (call.function and call.function.arguments) or ""
                    finish = choice.finish_reason or finish
                tokens = chunk.usage.prompt_tokens if chunk.usage else tokens
    assert (text, arguments, finish, tokens) == ("One moment.", '{"order": 1}', "tool_calls", 4)
    assert standin.asked[0].authorization == "Bearer k"
    assert standin.asked[0].path == "/v1/chat/completions"


async def test_the_sdk_reads_a_whole_chat() -> None:
    async with asking() as (client, _):
        whole = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert whole.choices[0].message.content == "You said: hi. Is there anything else I can do for you?"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 1


async def test_the_sdk_hears_speech() -> None:
    async with asking() as (client, _):
        create = client.audio.speech.with_streaming_response.create
        async with create(model="m", voice="alloy", input="one two", response_format="pcm", speed=2.0) as response:
            sound = await response.read()
        assert sound == hum(2, 24_000, word_ms=100)
        with pytest.raises(openai.BadRequestError, match="pcm"):
            await client.audio.speech.create(model="m", voice="alloy", input="one two")


async def test_the_sdk_reads_transcripts_whole_and_streamed() -> None:
    script = OpenAIScript(transcripts=("good morning", "good night"))
    async with asking(script) as (client, standin):
        whole = await client.audio.transcriptions.create(model="m", file=WAV, language="en")
        streamed = await client.audio.transcriptions.create(model="m", file=WAV, stream=True)
        texts = [event.delta if event.type == "transcript.text.delta" else event.text async for event in streamed]
        again = await client.audio.transcriptions.create(model="m", file=WAV)
    assert (whole.text, texts, again.text) == ("good morning", ["good", " night", "good night"], "good night")
    assert standin.asked[0].file == WAV[1]
    assert standin.asked[0].body["language"] == "en"


async def test_the_sdk_lists_models() -> None:
    async with asking() as (client, standin):
        assert [model.id async for model in client.models.list()] == list(MODELS)
    assert standin.asked == []  # and no fault was taken


@pytest.mark.parametrize(
    ("fault", "refused"),
    [
        (Fault.REFUSE, openai.AuthenticationError),
        (Fault.TOO_MANY, openai.RateLimitError),
        (Fault.BROKEN, openai.InternalServerError),
    ],
)
async def test_the_sdk_knows_the_errors(fault: Fault, refused: type[openai.APIStatusError]) -> None:
    async with asking(fault=fault) as (client, _):
        with pytest.raises(refused) as chat:
            await client.chat.completions.create(model="m", messages=[])
        with pytest.raises(refused):
            await client.audio.speech.create(model="m", voice="alloy", input="hi", response_format="pcm")
        with pytest.raises(refused):
            await client.audio.transcriptions.create(model="m", file=WAV)
    assert chat.value.code


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", b"{"),
        ("chat/completions", b"[]"),
        ("chat/completions", b'{"messages": "hi"}'),
        ("audio/speech", b"{}"),
        ("audio/speech", b"no"),
        ("audio/transcriptions", b""),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_and_takes_no_fault(path: str, body: bytes) -> None:
    standin = OpenAIStandIn(OpenAIScript(), Faults(Fault.HANG))
    async with served(standin.app) as place, httpx2.AsyncClient() as http:
        response = await http.post(f"http://{place}/v1/{path}", content=body)
    assert response.status_code == 400
    assert standin.faults.taken == []


async def test_garbage_and_big_chunks_where_nothing_is_streamed() -> None:
    async with asking() as (client, standin):
        standin.faults.inject(Fault.BIG_CHUNK)
        assert len((await client.audio.transcriptions.create(model="m", file=WAV)).text) > 10_000_000
        standin.faults.inject(Fault.GARBAGE)
        with pytest.raises((openai.OpenAIError, ValueError)):
            await client.audio.transcriptions.create(model="m", file=WAV)


async def test_garbage_and_big_chunks_of_a_transcript_that_is_streamed() -> None:
    async with asking() as (client, standin):
        standin.faults.inject(Fault.BIG_CHUNK)
        events = [
            event async for event in await client.audio.transcriptions.create(model="m", file=WAV, stream=True)
        ]
        assert max(len(event.delta) for event in events if event.type == "transcript.text.delta") > 10_000_000
        standin.faults.inject(Fault.GARBAGE)
        stream = await client.audio.transcriptions.create(model="m", file=WAV, stream=True)
        with pytest.raises(ValueError):
            async for _ in stream:
                pass
        await stream.close()


async def test_garbage_and_big_chunks_of_speech_come_as_sound() -> None:
    async with asking() as (client, standin):
        create = client.audio.speech.with_streaming_response.create
        bodies = []
        for fault in (Fault.GARBAGE, Fault.BIG_CHUNK):
            standin.faults.inject(fault)
            async with create(model="m", voice="alloy", input="one", response_format="pcm") as response:
                assert response.headers["content-type"] == "audio/pcm"
                bodies.append(await response.read())
    assert bodies[0].startswith(b'{"error"')
    assert len(bodies[1]) > 10_000_000


async def test_the_app_of_the_command_line_waits_as_long_as_it_is_told() -> None:
    async with served(app(Faults(Fault.ZERO_AUDIO), delay_s=0.001)) as place:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"http://{place}/v1", max_retries=0) as client:
            assert (await client.audio.transcriptions.create(model="m", file=WAV)).text == ""
    async with served(openai_app(OpenAIScript(), Faults())) as place, httpx2.AsyncClient() as http:
        assert (await http.get(f"http://{place}/v1/models")).status_code == 200
