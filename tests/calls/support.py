"""What whole calls need: the real gateway on a free loopback port, callers, and a look at what it wrote down.

The gateway runs in the test's own event loop behind real sockets, with signatures checked; the simulator plays
Twilio and judges. Providers cost no time unless a test brings its own or asks for the built-in ones.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from gateway.app import Gateway, create_gateway
from gateway.calls.call import Call
from gateway.fast_lane import FastLane
from gateway.server import uvicorn_config
from gateway.settings import read_settings
from pipeline.agent import Agent, load_agent
from pipeline.events.config import ServerVad
from pipeline.events.items import Message
from pipeline.mcp_errands import McpTools
from pipeline.provider import LanguageModel, Prompt, Transcriber, Voice
from pipeline.providers.stub import WORD_MS, StubModel, StubTranscriber, StubVoice
from pipeline.responder import Cascade
from simulator.call_result import CallResult, Happening
from simulator.call_setup import CallSetup
from simulator.caller import Step
from simulator.chronicle import Listener
from simulator.phone_call import PhoneCall
from simulator.sound import Sound
from simulator.voices import Voices

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "9f" * 16
TO, FROM = "+15550100001", "+15550100002"

LIMIT_S = 30.0
"""No wait of a test lasts longer, however noisy the machine."""

AGENT = replace(
    load_agent("reception"),
    greeting="Hello there.",
    fillers=(),
    turn_detection=ServerVad(silence_duration_ms=300),
)
"""The built-in reception, but brief at the door and quick to answer."""

_VOICES = Voices()


def clip(name: str) -> Sound:
    """One of the simulator's shipped sounds."""
    return _VOICES.clip(name)


def cascade(
    *, transcriber: Transcriber | None = None, model: LanguageModel | None = None, voice: Voice | None = None
) -> Cascade:
    """Providers that cost no time, except those that are given."""
    return Cascade(transcriber or StubTranscriber(), model or StubModel(), voice or StubVoice())


def spoken(prompt: Prompt) -> list[tuple[str, str]]:
    """Who said what, as a model is told."""
    return [(item.role, item.text) for item in prompt.items if isinstance(item, Message)]


def words_bytes(*texts: str) -> int:
    """How much sound the stub voice makes of these texts, in bytes of G.711."""
    return sum(len(text.split()) for text in texts) * WORD_MS * 8


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that answers on `url`."""

    gateway: Gateway
    server: uvicorn.Server
    url: str

    async def call(self, *steps: Step, listener: Listener | None = None, **changes: Any) -> CallResult:
        """Places a call and sees it to its end; `changes` are fields of `CallSetup`."""
        async with asyncio.timeout(LIMIT_S):
            return await PhoneCall(call_setup(self.url, *steps, **changes), listener=listener).run()

    async def calls(self, scripts: Sequence[Sequence[Step]], **changes: Any) -> list[CallResult]:
        """Several at once, each with a seed of its own."""
        async with asyncio.TaskGroup() as callers:
            tasks = [
                callers.create_task(self.call(*steps, seed=seed, **changes)) for seed, steps in enumerate(scripts)
            ]
        return [task.result() for task in tasks]

    async def journal(self, call_sid: str, event: str | None = None) -> list[dict[str, Any]]:
        """What the call's journal holds: of one kind, or all."""
        journal = await self.gateway.desk.store.journal(call_sid)
        assert journal is not None
        return [one for one in await journal.read() if event in (None, one["event"])]

    async def whole_journal(self, call_sid: str) -> list[str]:
        """The kinds of event in it, read until it is closed: only the end of a call closes it."""
        journal = await self.gateway.desk.store.journal(call_sid)
        assert journal is not None
        async with asyncio.timeout(LIMIT_S):
            return [one["event"] async for one in journal.follow()]

    async def find(self, call_sid: str) -> Call:
        call = await self.gateway.desk.store.find(call_sid)
        assert call is not None
        return call

    def sample(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 if there is none yet."""
        return self.gateway.desk.metrics.registry.get_sample_value(f"switchboard_{name}", labels) or 0.0

    def break_sockets(self) -> None:
        """Every media socket is gone at once, as when a machine on the way dies: no close, no `stop`."""
        for connection in list(self.server.server_state.connections):
            if isinstance(connection, FastLane):
                connection.transport.abort()


def call_setup(url: str, *steps: Step, **changes: Any) -> CallSetup:
    """A call to the gateway at `url`."""
    setup = CallSetup(
        voice_url=f"{url}/twilio/voice",
        status_url=f"{url}/twilio/status",
        fallback_url=f"{url}/twilio/fallback",
        to_number=TO,
        from_number=FROM,
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        steps=steps,
        verb_speed=20.0,
    )
    return replace(setup, **changes)


def environ_for(port: int) -> dict[str, str]:
    """The settings of a gateway for tests, signatures checked."""
    return {
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "SWITCHBOARD_MAX_LAG_MS": "0",  # the machine of a test may be as busy as it likes
    }


@asynccontextmanager
async def running_gateway(
    *,
    providers: Cascade | None = None,
    agent: Agent = AGENT,
    listening: socket.socket | None = None,
    mcp: Callable[[], AbstractAsyncContextManager[McpTools]] | None = None,
    **settings: str,
) -> AsyncGenerator[RunningGateway, None]:
    """The gateway, from its settings to its sockets. Without `providers`, those the settings name.

    `listening`: a listening socket, for a test that wants it to be special. `settings` go by their outer names.
    """
    listening = listening or socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    read = read_settings(environ=environ_for(port) | settings, env_file=Path(os.devnull))
    gateway = create_gateway(read, agent=agent, cascade=providers, mcp=mcp)
    server = uvicorn.Server(uvicorn_config(read, gateway))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        async with asyncio.timeout(LIMIT_S):
            while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag, and no event
                await asyncio.sleep(0.005)
        yield RunningGateway(gateway, server, read.public_url)
    finally:
        server.should_exit = True
        await serving


async def tasks_gone(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Waits for the tasks that were not there before to end; gives those that did not."""
    new = asyncio.all_tasks() - before
    if not new:
        return set()
    _, left = await asyncio.wait(new, timeout=LIMIT_S)
    return left


def documents(result: CallResult) -> list[str]:
    """The TwiML documents of a call, in order."""
    return [str(one.detail["text"]) for one in happened(result, "twiml")]


def happened(result: CallResult, name: str) -> list[Happening]:
    return [one for one in result.happenings if one.name == name]
