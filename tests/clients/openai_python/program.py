"""openai-python's Realtime connection, as its README shows it: the GA `client.realtime` and `client.beta.realtime`.

Both speak through the same few calls; what differs is the shape of the session and the names of some events.
Which of the two it is stands before the URL on the command line: `ga` or `beta`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
from openai import AsyncOpenAI

from tests.clients.scenario import (
    HELLO,
    RATE_HZ,
    STORY,
    SUNNY,
    WEATHER,
    Run,
    Scenario,
    beside,
    describe,
    microphone,
    play,
)

MODEL = "m"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TRANSCRIPTION = {"model": "gpt-4o-mini-transcribe"}


@dataclass(frozen=True)
class Shape:
    """What one of the two calls things."""

    is_beta: bool
    text_delta: str
    transcript_delta: str
    audio_delta: str

    def connect(self, run: Run, key: str) -> Any:
        if self.is_beta:
            client = AsyncOpenAI(api_key=key, websocket_base_url=f"{run.ws_url}/v1")
            return client.beta.realtime.connect(model=MODEL)
        return AsyncOpenAI(api_key=key, base_url=f"{run.http_url}/v1").realtime.connect(model=MODEL)

    def session(self, *, modality: str, tools: bool = False, hears: bool = False) -> dict[str, Any]:
        """What `session.update` is given."""
        session: dict[str, Any] = {"tools": [TOOL]} if tools else {}
        if self.is_beta:
            session["modalities"] = ["text"] if modality == "text" else ["text", "audio"]
            if hears:
                session["input_audio_transcription"] = TRANSCRIPTION
                session["turn_detection"] = {"type": "server_vad"}
            return session
        session |= {"type": "realtime", "output_modalities": [modality]}
        if hears:
            session["audio"] = {
                "input": {"transcription": TRANSCRIPTION, "turn_detection": {"type": "server_vad"}},
            }
        return session


GA = Shape(
    False, "response.output_text.delta", "response.output_audio_transcript.delta", "response.output_audio.delta"
)
BETA = Shape(True, "response.text.delta", "response.audio_transcript.delta", "response.audio.delta")


class Talk:
    """One connection and what came over it."""

    def __init__(self, run: Run, shape: Shape, connection: Any) -> None:
        self.run, self.shape, self.connection = run, shape, connection
        self.done: list[Any] = []
        """Responses, as `response.done` had them."""
        self.kinds: set[str] = set()
        self.said: dict[str, str] = {}
        """By response, as the deltas told it."""
        self.audio_item: tuple[str, int] = ("", 0)
        self.received_bytes: dict[str, int] = {}
        self.first_audio_at = 0.0
        self.late_bytes = 0

    async def read(self) -> None:
        async for event in self.connection:
            self._see(event)
            self.run.note()

    def _see(self, event: Any) -> None:
        self.kinds.add(event.type)
        if event.type == "error":
            self.run.fault(f"{event.error.code}: {event.error.message}")
        elif event.type in (self.shape.text_delta, self.shape.transcript_delta):
            self.said[event.response_id] = self.said.get(event.response_id, "") + event.delta
        elif event.type == self.shape.audio_delta:
            self._hear(event)
        elif event.type == "conversation.item.input_audio_transcription.completed":
            self.run.note(heard=event.transcript)
        elif event.type == "conversation.item.truncated":
            self.run.note(truncated_ms=event.audio_end_ms)
        elif event.type == "response.done":
            self.done.append(event.response)

    def _hear(self, event: Any) -> None:
        sound = base64.b64decode(event.delta)
        if any(response.id == event.response_id for response in self.done):
            self.late_bytes += len(sound)
        if event.item_id != self.audio_item[0]:
            self.first_audio_at = asyncio.get_running_loop().time()
        self.audio_item = (event.item_id, event.content_index)
        self.received_bytes[event.item_id] = self.received_bytes.get(event.item_id, 0) + len(sound)
        self.run.hear_audio(sound)

    def played_ms(self, item_id: str) -> int:
        """How much of it a loudspeaker would have played: what came, at most what time allowed."""
        received_ms = self.received_bytes[item_id] * 1000 // (RATE_HZ * 2)
        return min(received_ms, int((asyncio.get_running_loop().time() - self.first_audio_at) * 1000))

    async def ask(self, text: str) -> None:
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        )
        await self.connection.response.create()

    async def hear(self, sound: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(sound).decode())

    async def responses(self, count: int) -> None:
        await self.run.until(f"{count} × response.done", lambda: len(self.done) >= count)

    def tell(self, response: Any) -> None:
        """The facts of a response: `said` by its deltas, `whole` as its `response.done` has it."""
        parts = [part for item in response.output if item.type == "message" for part in item.content]
        self.run.note(
            said=self.said.get(response.id, ""),
            whole="".join(part.transcript or part.text or "" for part in parts),
            status=response.status,
            late_bytes=self.late_bytes,
        )


@asynccontextmanager
async def talk(run: Run, shape: Shape, key: str = "") -> AsyncGenerator[Talk, None]:
    async with shape.connect(run, key or run.key) as connection:
        one = Talk(run, shape, connection)
        async with beside(run, one.read()):
            yield one


def scenarios(shape: Shape) -> dict[str, Scenario]:
    async def text(run: Run) -> None:
        async with talk(run, shape) as one:
            await one.connection.session.update(session=shape.session(modality="text"))
            await one.ask(HELLO)
            await one.responses(1)
            one.tell(one.done[0])

    async def tool(run: Run) -> None:
        async with talk(run, shape) as one:
            await one.connection.session.update(session=shape.session(modality="text", tools=True))
            await one.ask(WEATHER)
            await one.responses(1)
            calls = [item for item in one.done[0].output if item.type == "function_call"]
            run.note(tool_calls=[[call.name, json.loads(call.arguments)] for call in calls])
            for call in calls:
                await one.connection.conversation.item.create(
                    item={"type": "function_call_output", "call_id": call.call_id, "output": SUNNY}
                )
            await one.connection.response.create()
            await one.responses(2)
            one.tell(one.done[1])

    async def voice(run: Run) -> None:
        async with talk(run, shape) as one, microphone(run, one.hear) as mic:
            await one.connection.session.update(session=shape.session(modality="audio", hears=True))
            mic.say(run.clip)
            await run.until("the transcript of what was said", lambda: run.facts["heard"])
            await one.responses(1)
            one.tell(one.done[0])

    async def barge_in(run: Run) -> None:
        async with talk(run, shape) as one, microphone(run, one.hear) as mic:
            await one.connection.session.update(session=shape.session(modality="audio", hears=True))
            await one.ask(STORY)
            await run.until("the story's first sound", lambda: run.facts["audio_bytes"])
            mic.say(run.clip)
            await run.until("speech_started", lambda: "input_audio_buffer.speech_started" in one.kinds)
            # Over a WebSocket the client owns playback, and says how much of the answer was heard.
            item_id, content_index = one.audio_item
            played_ms = one.played_ms(item_id)
            await one.connection.conversation.item.truncate(
                item_id=item_id, content_index=content_index, audio_end_ms=played_ms
            )
            await run.until("conversation.item.truncated", lambda: "truncated_ms" in run.facts)
            await one.responses(2)
            details = one.done[0].status_details
            run.note(
                interrupted=[one.done[0].status, details and details.reason],
                asked_to_truncate_ms=played_ms,
            )
            one.tell(one.done[1])

    async def bad_key(run: Run) -> None:
        run.expects_refusal = True
        try:
            async with talk(run, shape, key="wrong") as one:
                # The client raises inside its reader once the server has closed.
                await run.until("the refusal", lambda: len(run.shown) >= 2 and "error" in one.kinds)
        except Exception as error:
            run.shown.append(describe(error))

    async def client_secret(run: Run) -> None:
        """A browser's short-lived key, minted with the real one, opens a session."""
        client = AsyncOpenAI(api_key=run.key, base_url=f"{run.http_url}/v1")
        if shape.is_beta:
            minted = await client.beta.realtime.sessions.create(model="gpt-4o-realtime-preview")
            secret = minted.client_secret.value
        else:
            secret = (await client.realtime.client_secrets.create(session={"type": "realtime"})).value
        run.note(secret_begins=secret[:3])
        async with talk(run, shape, key=secret) as one:
            await one.connection.session.update(session=shape.session(modality="text"))
            await one.ask(HELLO)
            await one.responses(1)
            one.tell(one.done[0])

    return {one.__name__: one for one in (text, tool, voice, barge_in, bad_key, client_secret)}


if __name__ == "__main__":
    name = sys.argv.pop(1)
    play(f"openai-python {openai.__version__} {name}", scenarios(BETA if name == "beta" else GA))
