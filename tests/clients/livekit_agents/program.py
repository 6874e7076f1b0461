"""livekit-agents with livekit-plugins-openai: `AgentSession(llm=RealtimeModel(...))` without a room.

In place of the room stand an `AudioInput` and an `AudioOutput` of our own, which is how LiveKit's documentation
brings in another source and sink of sound; the loudspeaker plays by the clock and says how far it came.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from importlib.metadata import version
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, RunContext, function_tool
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins.openai.realtime import RealtimeModel

from tests.clients.scenario import (
    HELLO,
    RATE_HZ,
    STORY,
    SUNNY,
    WEATHER,
    Run,
    describe,
    microphone,
    play,
)

AHEAD_PIECES = 50
"""Two seconds of sound nobody took in; then the microphone waits."""


class Ear(AudioInput):  # type: ignore[misc]  # its types are not installed where ours are checked
    """A source of sound, pushed by the microphone."""

    def __init__(self) -> None:
        super().__init__(label="test")
        self._frames: asyncio.Queue[Any] = asyncio.Queue(AHEAD_PIECES)

    async def hear(self, sound: bytes) -> None:
        await self._frames.put(rtc.AudioFrame(sound, RATE_HZ, 1, len(sound) // 2))

    async def __anext__(self) -> Any:
        return await self._frames.get()


class Loudspeaker(AudioOutput):  # type: ignore[misc]  # as above
    """A sink of sound that plays at the pace of speech, and can be interrupted."""

    def __init__(self, run: Run) -> None:
        super().__init__(label="test", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE_HZ)
        self._run = run
        self._pushed_s = 0.0
        self._began = 0.0
        self._playing: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: Any) -> None:
        await super().capture_frame(frame)
        if not self._pushed_s:
            self._began = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._pushed_s += frame.duration
        self._run.hear_audio(bytes(frame.data))

    def flush(self) -> None:
        super().flush()
        if self._pushed_s:
            left_s = self._began + self._pushed_s - time.monotonic()
            self._playing = asyncio.get_running_loop().call_later(max(0.0, left_s), self._finish, False)

    def clear_buffer(self) -> None:
        if self._pushed_s:
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        if self._playing:
            self._playing.cancel()
            self._playing = None
        played_s = min(self._pushed_s, time.monotonic() - self._began) if interrupted else self._pushed_s
        self._pushed_s = 0.0
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


class Talk:
    """One agent session and what it told."""

    def __init__(self, run: Run, session: Any, ear: Ear) -> None:
        self.run, self.session, self.ear = run, session, ear
        self.messages: list[Any] = []
        session.on("error", self._see_error)
        session.on("close", self._see_close)
        session.on("conversation_item_added", self._see_item)
        session.on("user_input_transcribed", self._see_transcript)
        session.on("function_tools_executed", self._see_tools)

    def _see_error(self, event: Any) -> None:
        self.run.fault(str(event.error))

    def _see_close(self, event: Any) -> None:
        if event.error:
            self.run.fault(f"closed: {event.error}")

    def _see_item(self, event: Any) -> None:
        if event.item.type == "message":
            self.messages.append(event.item)
            self.run.note()

    def _see_transcript(self, event: Any) -> None:
        if event.is_final:
            self.run.note(heard=event.transcript)

    def _see_tools(self, event: Any) -> None:
        calls = [[call.name, call.arguments] for call in event.function_calls]
        self.run.note(tool_calls=[[name, _parsed(arguments)] for name, arguments in calls])

    def see_server_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "conversation.item.truncated":
            self.run.note(truncated_ms=event["audio_end_ms"])
        elif event["type"] == "response.done" and event["response"]["status"] == "cancelled":
            self.run.note(cancelled=event["response"]["status_details"]["reason"])

    def answers(self) -> list[Any]:
        return [one for one in self.messages if one.role == "assistant"]

    async def answer(self, number: int) -> None:
        """Waits for the assistant's message of this number, counted from 1, and notes its words."""
        await self.run.until(f"{number} × an assistant's message", lambda: len(self.answers()) >= number)
        self.run.note(said=self.answers()[number - 1].text_content or "")


def _parsed(arguments: Any) -> Any:
    return json.loads(arguments) if isinstance(arguments, str) else arguments


async def get_weather(context: RunContext, city: str) -> str:
    """The weather in a city."""
    return SUNNY


@asynccontextmanager
async def talk(run: Run, key: str = "") -> AsyncGenerator[Talk, None]:
    model = RealtimeModel(base_url=f"{run.http_url}/v1", api_key=key or run.key, model="m")
    # Outside a job of LiveKit's the model has an HTTP session of its own, which whoever made the model closes.
    # Our loudspeaker has no echo to learn, for which LiveKit is deaf during the first three seconds of speech.
    async with aclosing(model), AgentSession(llm=model, aec_warmup_duration=None) as session:
        ear = Ear()
        session.input.audio = ear
        session.output.audio = Loudspeaker(run)
        one = Talk(run, session, ear)
        agent = Agent(instructions="Be brief.", tools=[function_tool(get_weather)])
        await session.start(agent)
        agent.realtime_llm_session.on("openai_server_event_received", one.see_server_event)
        yield one


async def text(run: Run) -> None:
    async with talk(run) as one:
        await one.session.generate_reply(user_input=HELLO)
        await one.answer(1)


async def tool(run: Run) -> None:
    async with talk(run) as one:
        await one.session.generate_reply(user_input=WEATHER)
        await one.answer(1)


async def voice(run: Run) -> None:
    async with talk(run) as one, microphone(run, one.ear.hear) as mic:
        mic.say(run.clip)
        await run.until("the transcript of what was said", lambda: run.facts["heard"])
        await one.answer(1)


async def barge_in(run: Run) -> None:
    async with talk(run) as one, microphone(run, one.ear.hear) as mic:
        story = one.session.generate_reply(user_input=STORY)
        await run.until("the story's first sound", lambda: run.facts["audio_bytes"])
        mic.say(run.clip)
        await run.until("the story to be interrupted", lambda: any(said.interrupted for said in one.answers()))
        await run.until("conversation.item.truncated", lambda: "truncated_ms" in run.facts)
        run.note(interrupted=story.interrupted)
        await one.answer(2)


async def bad_key(run: Run) -> None:
    run.expects_refusal = True
    try:
        async with talk(run, key="wrong"):
            # The plugin logs the refusal before it tells the session, and the session's word is what counts.
            await run.until("the refusal", lambda: any("recoverable=" in told for told in run.shown))
    except Exception as error:
        run.shown.append(describe(error))


if __name__ == "__main__":
    scenarios = {one.__name__: one for one in (text, tool, voice, barge_in, bad_key)}
    play(f"livekit-agents {version('livekit-agents')}", scenarios)
