"""One media stream from its handshake to its end, as a bare ASGI application on the clock that jumps."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.auth import SignatureCheck
from gateway.calls.admission import Admission
from gateway.calls.call import Call, CallState, EndReason
from gateway.calls.store import TOKEN_LIFE_S, MemoryStore
from gateway.fast_lane import EXTENSION, Listener
from gateway.gate import Gate
from gateway.media_stream.exchange import Exchange
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.phone import WRITE_STALL_S
from gateway.media_stream.reader import MOST_BAD_FRAMES
from gateway.media_stream.socket import MediaSocket
from gateway.media_stream.stream import CLOSE_LIMIT_S, GIVE_WAY_LIMIT_S, START_LIMIT_S
from gateway.metrics import Metrics
from pipeline.agent import Agent
from pipeline.audio.formats import PCMA, PCMU
from pipeline.call_controls import CallControls
from pipeline.events.config import ServerVad
from pipeline.events.items import AnyItem, Message
from pipeline.provider import FunctionTool, ToolRequest
from pipeline.responder import Cascade
from pipeline.resumption import resumption
from pipeline.toolbox import Tool, Toolbox, ToolResult
from tests.fakes import (
    FRAME_MS,
    VOICE_BYTE,
    WORD_MS,
    FakeActivity,
    FakeModel,
    FakeTranscriber,
    FakeVoice,
    Ids,
    Step,
)
from tests.gateway.signed import ACCOUNT, CALL, PUBLIC_URL, SETTINGS, STREAM, sign
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, now_s, settle

pytestmark = pytest.mark.anyio

AGENT = Agent(
    name="test",
    greeting="Good morning.",
    welcome_back="There you are again.",
    apology="So sorry.",
    turn_detection=ServerVad(silence_duration_ms=300),
)
LEAD_MS = 300


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


@dataclass
class Socket:
    """The server's side of one connection: what comes from Twilio, and what was sent to it."""

    task: asyncio.Task[None] | None = None
    incoming: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    sent: list[dict[str, Any]] = field(default_factory=list)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    is_gone: bool = False
    listener: Listener | None = None
    was_cut: bool = False

    def __post_init__(self) -> None:
        self.reads.set()
        self.incoming.put_nowait({"type": "websocket.connect"})

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if self.is_gone:
            raise OSError("gone")
        self.sent.append(message)

    def listen(self, listener: Listener) -> None:
        self.listener = listener

    def send_now(self, texts: Sequence[str]) -> bool:
        return False

    def cut(self) -> None:
        self.was_cut = True

    async def say(self, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        if self.listener is not None:
            self.listener(text.encode())
        else:
            self.incoming.put_nowait({"type": "websocket.receive", "text": text})
        await settle()

    async def return_marks(self) -> None:
        """All that was sent has been played."""
        for name in self.marks:
            await self.say({"event": "mark", "mark": {"name": name}})

    async def hang_up(self) -> None:
        self.is_gone = True
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await self.over()

    async def over(self) -> None:
        assert self.task is not None
        await asyncio.wait_for(self.task, 60)

    @property
    def closed_with(self) -> int | None:
        codes = [message["code"] for message in self.sent if message["type"] == "websocket.close"]
        return codes[-1] if codes else None

    @property
    def was_let_in(self) -> bool:
        return {"type": "websocket.accept"} in self.sent

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]

    @property
    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.messages if message["event"] == "mark"]


@dataclass
class House:
    """A media socket, the store its calls stand in, and providers that follow a script."""

    transcriber: FakeTranscriber = field(default_factory=FakeTranscriber)
    model: FakeModel = field(default_factory=FakeModel)
    voice: FakeVoice = field(default_factory=FakeVoice)
    activity: FakeActivity = field(default_factory=FakeActivity)
    tools: tuple[Tool, ...] = ()
    agent: Agent = AGENT
    has_direct: bool = False
    ended: list[tuple[str, EndReason]] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self.metrics = Metrics("test")
        self.media = MediaSocket(
            Exchange(
                store=self.store,
                signature=SignatureCheck(SETTINGS),
                metrics=self.metrics,
                activity=self.activity.as_service,
                pacer=Pacer(),
                agent=self.agent,
                backend=Cascade(self.transcriber, self.model, self.voice),
                toolbox=Toolbox(self.tools),
                make_id=Ids(),
                lead_ms=LEAD_MS,
                end_call=self._end_call,
                now=now_s,
                gate=Gate(admission=Admission(), now=now_s),
            )
        )

    async def _end_call(self, call_sid: str, reason: EndReason, generation: int) -> None:
        assert generation == 1, "no test here hangs up on a later stream"
        self.ended.append((call_sid, reason))

    async def call(self) -> Call:
        call = Call(call_sid=CALL, from_="+14155550134", to="+14155550100", agent="test", started_at_s=now_s())
        await self.store.open(call)
        return call

    async def offer(self) -> str:
        """A token for the call's next stream."""
        call = await self.store.find(CALL)
        assert call is not None
        return await self.store.issue_token(call, now_s())

    async def knock(self, token: str, *, signature: str | None = None, signs: bool = True) -> Socket:
        path = f"/twilio/media/{token}"
        shown = signature or sign("wss" + PUBLIC_URL.removeprefix("https") + path)
        socket = Socket()
        scope = {
            "type": "websocket",
            "path": path,
            "path_params": {"token": token},
            "headers": [(b"x-twilio-signature", shown.encode())] if signs else [],
            "extensions": {EXTENSION: socket} if self.has_direct else {},
        }
        socket.task = asyncio.create_task(self.media(scope, socket.receive, socket.send))
        self.sockets.append(socket)
        await settle()
        return socket

    async def stream(self, **about: Any) -> Socket:
        """A stream of the call that was let in and has started."""
        socket = await self.knock(await self.offer())
        await socket.say({"event": "connected"})
        await socket.say(start(**about))
        return socket

    async def events(self) -> list[str]:
        journal = await self.store.journal(CALL)
        assert journal is not None
        return [event["event"] for event in journal.recent()]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"switchboard_{name}", labels)


@asynccontextmanager
async def house(*answer: Step, **parts: Any) -> AsyncGenerator[tuple[House, Call], None]:
    """A house with one call; afterwards nothing of its streams is left behind."""
    before = asyncio.all_tasks()
    here = House(transcriber=FakeTranscriber("hello"), model=FakeModel(answer), **parts)
    yield here, await here.call()
    for socket in here.sockets:
        socket.reads.set()
        if socket.task is not None and not socket.task.done():
            await socket.hang_up()
    await settle()
    assert asyncio.all_tasks() == before
    assert (here.transcriber.running, here.model.running, here.voice.running) == (0, 0, 0)
    assert all(ear.is_closed for ear in here.activity.ears)


def start(call_sid: str = CALL, encoding: str = "audio/x-mulaw") -> dict[str, Any]:
    media_format = {"encoding": encoding, "sampleRate": 8000, "channels": 1}
    names = {"streamSid": STREAM, "callSid": call_sid, "accountSid": ACCOUNT}
    return {"event": "start", "start": names | {"mediaFormat": media_format, "customParameters": {}}}


def state(call: Call) -> CallState:
    """Where the call stands now."""
    return call.state


def history(call: Call) -> tuple[AnyItem, ...]:
    """What the next stream would begin with: of the agent's words, those that were heard."""
    return resumption(call.snapshot).history if call.snapshot is not None else ()


async def make_sound(socket: Socket, byte: bytes, ms: int, at_ms: int) -> None:
    for number in range(ms // FRAME_MS):
        payload = b64encode(byte * PCMU.bytes_in(FRAME_MS)).decode()
        await socket.say({"event": "media", "media": {"payload": payload, "timestamp": at_ms + number * FRAME_MS}})
        await asyncio.sleep(FRAME_MS / 1000)


# Who is let in.


async def test_a_knock_without_a_signature_is_turned_away_before_the_handshake_is_answered() -> None:
    async with house() as (here, _):
        token = await here.offer()
        socket = await here.knock(token, signs=False)
        await socket.over()
        assert socket.sent == [{"type": "websocket.close", "code": 1008}]
        assert here.sample("webhook_rejected_total", reason="media_no_signature") == 1
        # The token is as good as before.
        assert (await here.knock(token)).was_let_in


@pytest.mark.parametrize("signature", ["x", "é", sign("wss://elsewhere.example/twilio/media/token")])
async def test_a_knock_with_a_wrong_signature_is_turned_away(signature: str) -> None:
    async with house() as (here, _):
        socket = await here.knock(await here.offer(), signature=signature)
        await socket.over()
        assert socket.sent == [{"type": "websocket.close", "code": 1008}]
        assert here.sample("webhook_rejected_total", reason="media_bad_signature") == 1


async def test_a_token_opens_one_stream_once_and_for_a_minute() -> None:
    async with house() as (here, _):
        stranger = await here.knock("guessed")
        token = await here.offer()
        first, second = await here.knock(token), await here.knock(token)
        await first.hang_up()
        late = await here.offer()
        await asyncio.sleep(TOKEN_LIFE_S)
        third = await here.knock(late)
        assert [socket.was_let_in for socket in (stranger, first, second, third)] == [False, True, False, False]
        for reason in ("unknown", "used", "expired"):
            assert here.sample("webhook_rejected_total", reason=f"media_{reason}") == 1


async def test_no_token_and_no_flood_of_knocks_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with house() as (here, _):
        token = await here.offer()
        with caplog.at_level(logging.INFO):
            await (await here.knock(token, signs=False)).over()
            assert caplog.records == []
            await (await here.knock(token, signature="x")).over()
        assert caplog.records
        assert token not in caplog.text


# What must come first.


async def test_a_socket_that_does_not_start_within_two_seconds_is_closed() -> None:
    async with house() as (here, call):
        socket = await here.knock(await here.offer())
        began = now_s()
        await socket.say({"event": "connected"})
        await socket.say("no json")
        await socket.over()
        assert socket.closed_with == 1008
        assert now_s() - began == pytest.approx(START_LIMIT_S, abs=0.01)
        assert state(call) is CallState.RINGING
        assert here.activity.ears == []


async def test_a_start_that_names_another_call_is_closed() -> None:
    async with house() as (here, call):
        socket = await here.stream(call_sid="CA" + "9" * 32)
        await socket.over()
        assert socket.closed_with == 1008
        assert state(call) is CallState.RINGING


async def test_a_socket_that_leaves_before_it_starts_changes_nothing() -> None:
    async with house() as (here, call):
        socket = await here.knock(await here.offer())
        await socket.hang_up()
        assert state(call) is CallState.RINGING


async def test_a_start_after_a_newer_stream_was_offered_is_closed() -> None:
    async with house() as (here, call):
        socket = await here.knock(await here.offer())
        await here.offer()
        await socket.say(start())
        await socket.over()
        assert socket.closed_with == 1008
        assert state(call) is CallState.RINGING


# The conversation, and its ends.


@pytest.mark.parametrize("has_direct", [True, False])
async def test_the_caller_is_greeted_and_answered_and_may_hang_up(has_direct: bool) -> None:
    async with house("Very well.", has_direct=has_direct) as (here, call):
        socket = await here.stream()
        await make_sound(socket, PCMU.silence, 600, 0)
        await make_sound(socket, VOICE_BYTE, 400, 600)
        await make_sound(socket, PCMU.silence, 1_000, 1_000)
        assert here.voice.clauses == ["Good morning.", "Very well."]
        await socket.say({"event": "stop"})
        await socket.over()
        assert here.ended == [(CALL, EndReason.CALLER_HUNG_UP)]
        assert socket.closed_with is None
        said = [(item.role, item.text) for item in history(call) if isinstance(item, Message)]
        assert said[1] == ("user", "hello")
        events = await here.events()
        assert (events[0], events[-1]) == ("stream.started", "stream.ended")
        assert {"speech.started", "speech.stopped", "turn.timed"} <= set(events)
        assert here.sample("call_setup_seconds_count") == 1


@pytest.mark.parametrize(("encoding", "line"), [("audio/x-mulaw", PCMU), ("audio/x-alaw", PCMA)])
async def test_the_conversation_is_held_in_the_lines_own_law(encoding: str, line: object) -> None:
    async with house(voice=FakeVoice(formats=(PCMU, PCMA))) as (here, _):
        await here.stream(encoding=encoding)
        assert here.activity.formats == [line]
        assert [sound_format for sound_format, _ in here.voice.asked] == [line]


async def test_marks_that_come_back_are_what_was_heard() -> None:
    async with house() as (here, call):
        socket = await here.stream()
        await asyncio.sleep(1)
        for name in socket.marks:
            await socket.say({"event": "mark", "mark": {"name": name}})
        await socket.hang_up()
        (greeting,) = history(call)
        assert isinstance(greeting, Message)
        assert (greeting.text, greeting.status) == ("Good morning.", "completed")
        assert len(socket.marks) == 2 * WORD_MS // 100


async def test_a_socket_that_is_lost_leaves_the_call_to_be_resumed_where_it_was() -> None:
    async with house() as (here, call):
        socket = await here.stream()
        await asyncio.sleep(1)
        await socket.return_marks()
        await socket.hang_up()
        assert state(call) is CallState.INTERRUPTED
        assert here.ended == []
        await here.stream()
        await settle()
        assert here.voice.clauses == ["Good morning."], "it was heard, and it is the caller's turn"
        assert state(call) is CallState.STREAMING
        assert here.sample("call_setup_seconds_count") == 1


async def test_a_stream_of_junk_is_closed_and_the_call_may_come_back() -> None:
    async with house() as (here, call):
        socket = await here.stream()
        for _ in range(MOST_BAD_FRAMES + 1):
            await socket.say("junk")
        await socket.over()
        assert socket.closed_with == 1003
        assert state(call) is CallState.INTERRUPTED


async def test_an_agent_that_says_goodbye_ends_the_call() -> None:
    async def goodbye(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        return ToolResult("{}", ends_call=True)

    tool = Tool(FunctionTool("goodbye", "Ends the call.", {"type": "object"}), goodbye)
    async with house("Farewell.", ToolRequest("call_1", "goodbye", "{}"), tools=(tool,)) as (here, call):
        socket = await here.stream()
        await make_sound(socket, VOICE_BYTE, 400, 0)
        await make_sound(socket, PCMU.silence, 5_000, 400)
        await socket.over()
        assert socket.closed_with == 1000
        assert (state(call), call.end_reason) == (CallState.ENDING, EndReason.AGENT_HUNG_UP)
        assert (await here.events())[-1] == "stream.ended"


async def test_a_fault_of_ours_is_logged_and_the_caller_hears_an_apology_on_the_way_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    async with house() as (here, call):
        monkeypatch.setattr(here.activity, "open", fail)
        socket = await here.stream()
        await socket.over()
        assert socket.closed_with == 1000
        assert (call.end_reason, call.farewell) == (EndReason.ERROR, AGENT.apology)
        assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("has_direct", [True, False])
async def test_a_peer_that_reads_nothing_is_cut_off_and_the_call_may_come_back(has_direct: bool) -> None:
    agent = replace(AGENT, greeting=" ".join(["word"] * 50))
    async with house(agent=agent, has_direct=has_direct) as (here, call):
        socket = await here.stream()
        await asyncio.sleep(1)
        socket.reads.clear()
        began = now_s()
        await socket.over()
        assert state(call) is CallState.INTERRUPTED
        assert now_s() - began == pytest.approx(WRITE_STALL_S + CLOSE_LIMIT_S, abs=0.3)
        assert socket.was_cut == has_direct


# A stream that takes the place of another.


async def test_a_newer_stream_takes_over_and_knows_what_was_heard_on_the_one_before() -> None:
    async with house() as (here, call):
        first = await here.stream()
        await asyncio.sleep(0.2)
        second = await here.stream()
        await first.over()
        assert first.closed_with == 1008
        assert state(call) is CallState.STREAMING
        await asyncio.sleep(1)
        assert here.voice.clauses == ["Good morning.", "Good morning."], "no word of it was heard to its end"
        await second.return_marks()
        await second.hang_up()
        assert state(call) is CallState.INTERRUPTED
        assert [item.text for item in history(call) if isinstance(item, Message)] == ["Good morning."]


async def test_a_stream_that_does_not_end_in_time_is_not_waited_for_and_changes_no_history() -> None:
    stays, answer = asyncio.Event(), ToolRequest("call_1", "slow", "{}")

    async def slow(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        await stays.wait()
        return ToolResult("{}")

    tool = Tool(FunctionTool("slow", "Takes its time.", {"type": "object"}), slow)
    async with house(answer, tools=(tool,)) as (here, call):
        first = await here.stream()
        await make_sound(first, VOICE_BYTE, 400, 0)
        await make_sound(first, PCMU.silence, 1_000, 400)
        began = now_s()
        second = await here.stream()
        await asyncio.sleep(GIVE_WAY_LIMIT_S + 0.1)
        assert here.voice.clauses[-1] == "Good morning."  # it knows of nothing before
        assert now_s() - began < GIVE_WAY_LIMIT_S + 0.2
        stays.set()
        await first.over()
        assert (first.closed_with, history(call)) == (1008, ())
        await second.return_marks()
        await second.hang_up()
        assert history(call) != ()


async def test_a_stream_that_outlives_the_newer_one_ends_in_good_order() -> None:
    stays = asyncio.Event()

    async def slow(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        await stays.wait()
        return ToolResult("{}")

    tool = Tool(FunctionTool("slow", "Takes its time.", {"type": "object"}), slow)
    async with house(ToolRequest("call_1", "slow", "{}"), tools=(tool,)) as (here, call):
        first = await here.stream()
        await make_sound(first, VOICE_BYTE, 400, 0)
        await make_sound(first, PCMU.silence, 1_000, 400)
        second = await here.stream()
        await asyncio.sleep(2 * GIVE_WAY_LIMIT_S)
        await second.hang_up()
        stays.set()
        await first.over()
        assert (first.closed_with, state(call)) == (1008, CallState.INTERRUPTED)


async def test_a_stream_that_comes_in_while_calls_are_moved_is_moved_too() -> None:
    async with house() as (here, call):
        socket = await here.knock(await here.offer())
        assert here.media.coming == 1
        moving = asyncio.create_task(here.media.move_all(at_once=True))
        await settle()
        await socket.say({"event": "connected"})
        await socket.say(start())
        await asyncio.wait_for(moving, 60)
        await socket.over()
        assert (socket.closed_with, state(call), here.media.coming) == (1001, CallState.MOVED, 0)


async def test_a_socket_that_never_starts_is_not_waited_for_when_calls_are_moved() -> None:
    async with house() as (here, call):
        socket = await here.knock(await here.offer())
        await asyncio.wait_for(here.media.move_all(at_once=False), 60)
        assert (socket.closed_with, state(call)) == (1008, CallState.RINGING)


async def test_a_stream_that_was_superseded_while_it_waited_never_begins() -> None:
    stays = asyncio.Event()

    async def slow(_arguments: Mapping[str, Any], _controls: CallControls) -> ToolResult:
        await stays.wait()
        return ToolResult("{}")

    tool = Tool(FunctionTool("slow", "Takes its time.", {"type": "object"}), slow)
    async with house(ToolRequest("call_1", "slow", "{}"), tools=(tool,)) as (here, call):
        first = await here.stream()
        await make_sound(first, VOICE_BYTE, 400, 0)
        await make_sound(first, PCMU.silence, 1_000, 400)
        second, third = await here.stream(), await here.stream()
        await second.over()
        assert second.closed_with == 1008
        await asyncio.sleep(2 * GIVE_WAY_LIMIT_S)
        stays.set()
        await first.over()
        assert (call.generation, call.state) == (3, CallState.STREAMING)
        assert third.marks
        assert not second.marks
