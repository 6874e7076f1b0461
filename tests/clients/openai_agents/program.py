"""openai-agents: `RealtimeRunner` and `RealtimeAgent`, as its documentation shows them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner

from tests.clients.scenario import HELLO, STORY, SUNNY, WEATHER, Run, beside, describe, microphone, play


async def get_weather(city: str) -> str:
    """The weather in a city."""
    return SUNNY


AGENT = RealtimeAgent(name="Reception", instructions="Be brief.", tools=[function_tool(get_weather)])


class Talk:
    """One session and what it told."""

    def __init__(self, run: Run, session: Any) -> None:
        self.run, self.session = run, session
        self.turns = 0
        self.history: list[Any] = []
        self.interrupted_item = ""

    async def read(self) -> None:
        async for event in self.session:
            self._see(event)
            self.run.note()

    def _see(self, event: Any) -> None:
        match event.type:
            case "error":
                self.run.fault(str(event.error))
            case "audio":
                self.run.hear_audio(event.audio.data)
            case "audio_interrupted":
                self.interrupted_item = event.item_id
            case "agent_end":
                self.turns += 1
            case "tool_end":
                self.run.note(tool_calls=[[event.tool.name, json.loads(event.arguments)]])
            case "history_added":
                self.history = [*self.history, event.item]
            case "history_updated":
                self.history = event.history
            case "raw_model_event" if event.data.type == "raw_server_event":
                self._see_raw(event.data.data)

    def _see_raw(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "conversation.item.truncated":
                self.run.note(truncated=[event["item_id"], event["audio_end_ms"]])
            case "response.done" if event["response"]["status"] == "cancelled":
                self.run.note(cancelled=event["response"]["status_details"]["reason"])

    def texts(self, role: str) -> list[str]:
        """What was said by one side, message by message."""
        messages = [item for item in self.history if item.type == "message" and item.role == role]
        return ["".join(_text(part) for part in message.content) for message in messages]

    async def answers(self, turns: int) -> None:
        """Waits for so many responses to be over, and notes the words of the last."""
        await self.run.until(f"{turns} × agent_end", lambda: self.turns >= turns)
        self.run.note(said=(self.texts("assistant") or [""])[-1], heard=(self.texts("user") or [""])[-1])


def _text(part: Any) -> str:
    return getattr(part, "transcript", None) or getattr(part, "text", None) or ""


@asynccontextmanager
async def talk(run: Run, key: str = "") -> AsyncGenerator[Talk, None]:
    config: Any = {"url": f"{run.ws_url}/v1/realtime?model=m", "api_key": key or run.key}
    async with await RealtimeRunner(AGENT).run(model_config=config) as session:
        one = Talk(run, session)
        async with beside(run, one.read()):
            yield one


async def text(run: Run) -> None:
    async with talk(run) as one:
        await one.session.send_message(HELLO)
        await one.answers(1)


async def tool(run: Run) -> None:
    async with talk(run) as one:
        await one.session.send_message(WEATHER)
        # The first response is the call; the second has the words.
        await one.answers(2)


async def voice(run: Run) -> None:
    async with talk(run) as one, microphone(run, one.session.send_audio) as mic:
        mic.say(run.clip)
        await run.until("the transcript of what was said", lambda: any(one.texts("user")))
        await one.answers(1)


async def barge_in(run: Run) -> None:
    async with talk(run) as one, microphone(run, one.session.send_audio) as mic:
        await one.session.send_message(STORY)
        await run.until("the story's first sound", lambda: run.facts["audio_bytes"])
        mic.say(run.clip)
        await run.until("audio_interrupted", lambda: one.interrupted_item)
        await run.until("conversation.item.truncated", lambda: "truncated" in run.facts)
        await one.answers(2)
        run.note(interrupted=True, interrupted_item=one.interrupted_item)


async def bad_key(run: Run) -> None:
    run.expects_refusal = True
    try:
        async with talk(run, key="wrong"):
            await run.until("the refusal", lambda: run.shown)
    except Exception as error:
        run.shown.append(describe(error))


if __name__ == "__main__":
    scenarios = {one.__name__: one for one in (text, tool, voice, barge_in, bad_key)}
    play(f"openai-agents {version('openai-agents')}", scenarios)
