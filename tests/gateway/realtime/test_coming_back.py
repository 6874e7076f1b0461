"""Coming back over a WebSocket to a conversation that was cut off; for WebRTC see `tests/webrtc`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.exceptions import InvalidStatus

from gateway.credentials.credential import Credential, Kind, Scope
from gateway.errors import Refusal
from gateway.realtime import coming_back
from gateway.realtime.coming_back import Kept, taken_back
from gateway.realtime.directory import Directory, LiveSession
from gateway.realtime.kept_sessions import KeptSessions
from gateway.realtime.session_end import SessionEnd
from gateway.realtime.studio import Studio
from pipeline.dialects import Dialect
from pipeline.engine import Engine
from pipeline.events.config import SessionConfig
from pipeline.events.items import FunctionCall, FunctionCallOutput, InputText, Message
from pipeline.kept_conversation import KeptConversation, kept_of
from pipeline.provider import Prompt
from pipeline.providers.stub import StubVoice
from pipeline.responder import Cascade
from tests.calls.support import LIMIT_S, spoken
from tests.protocol.providers import ARGUMENTS, CALL, HANG, HEARD, Actor, Listener
from tests.realtime.support import GAP, KEY, OTHER_KEY, Client, Frame, Service, keys_file, service, speech

pytestmark = pytest.mark.anyio

TOOL = {"type": "function", "name": "get_weather", "description": "", "parameters": {"type": "object"}}
INWORLD = "/api/v1/realtime/session?key=voice-1&protocol=realtime"
NOT_KEPT = "No session of this id is kept for you."


@dataclass
class House:
    """A gateway whose model remembers what it was told."""

    service: Service
    actor: Actor

    @property
    def seated(self) -> int:
        return self.service.running.gateway.directory.seated

    @property
    def prompt(self) -> Prompt:
        """The last."""
        return self.actor.prompts[-1]

    @asynccontextmanager
    async def back(
        self, old: str, path: str = "/v1/realtime?model=test", **how: Any
    ) -> AsyncGenerator[Client, None]:
        """A client that comes back to a session."""
        async with self.service.connected(f"{path}&session_id={old}", **how) as client:
            yield client

    async def refused(self, old: str, **how: Any) -> Frame:
        """The one event somebody gets who may not; how the connection ends is judged."""
        async with self.back(old, **how) as client:
            code, reason = await client.closed()
        (frame,) = client.frames
        error: Frame = frame["error"]
        assert (code, reason) == (4000, f"invalid_request_error.{error['code']}")
        return error

    async def empty(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.seated:  # noqa: ASYNC110 - what other tasks do
                await asyncio.sleep(0.005)


@asynccontextmanager
async def house(**settings: str) -> AsyncGenerator[House, None]:
    actor = Actor()
    async with service(Cascade(Listener(), actor, StubVoice()), **settings) as running:
        yield House(running, actor)


def id_of(client: Client) -> str:
    name: str = client.frames[0]["session"]["id"]
    return name


async def ask(client: Client, text: str) -> Frame:
    """A typed question, answered to its end."""
    await client.say_text(text)
    await client.say("response.create")
    answer: Frame = (await client.hear("response.done"))["response"]
    return answer


async def told_again(client: Client, count: int, kinds: tuple[str, ...] = ("added", "done")) -> list[Frame]:
    """So many items, told of right after the session itself: each is whole, and says which one it follows."""
    await client.hear("conversation.created")
    assert len(client.frames) == 2, "nothing comes before"
    items: list[Frame] = []
    for _ in range(count):
        previous = items[-1]["id"] if items else None
        frames = [await client.next() for _ in kinds]
        assert [frame["type"] for frame in frames] == [f"conversation.item.{kind}" for kind in kinds]
        assert [frame["previous_item_id"] for frame in frames] == [previous] * len(kinds)
        assert frames[0]["item"] == frames[-1]["item"]
        items.append(frames[0]["item"])
    return items


def words_of(item: Frame) -> str:
    """What an item says, whoever says it."""
    match item["type"]:
        case "message":
            (part,) = item["content"]
            text: str = part.get("text") or part["transcript"]
            return f"{item['role']}: {text}"
        case "function_call":
            return f"call: {item['arguments']}"
        case _:
            return f"output: {item['output']}"


async def converse(client: Client) -> None:
    """Something typed, a function called, an answer cut short, and somebody speaking."""
    await ask(client, "hello")
    called = (await ask(client, CALL))["output"][0]
    output = {"type": "function_call_output", "call_id": called["call_id"], "output": "sunny"}
    await client.say("conversation.item.create", item=output)
    await client.say("response.create")
    await client.hear("response.done")
    answer = (await ask(client, "one two three four five"))["output"][0]
    await client.say("conversation.item.truncate", item_id=answer["id"], content_index=0, audio_end_ms=700)
    await client.hear("conversation.item.truncated")  # four words of 160 ms, and part of the fifth
    await client.speak(speech() + GAP)
    await client.hear("conversation.item.input_audio_transcription.completed")
    await client.hear("response.done")


CONVERSATION = [
    "user: hello",
    "assistant: You said: hello.",
    f"user: {CALL}",
    f"call: {ARGUMENTS}",
    "output: sunny",
    "assistant: You said: the tool says sunny.",
    "user: one two three four five",
    "assistant: You said: one two",  # what was heard of it
    f"user: {HEARD}",
    f"assistant: You said: {HEARD.rstrip('?')}.",
]
HEARS = {"transcription": {"model": "whisper-1"}, "turn_detection": {"type": "server_vad"}}


async def test_whoever_was_cut_off_finds_all_that_was_said_and_goes_on_with_it() -> None:
    async with house() as gateway:
        wishes: dict[str, Any] = {
            "instructions": "Be brief.",
            "tools": [TOOL],
            "audio": {"input": HEARS, "output": {"speed": 1.25}},
        }
        async with gateway.service.session(**wishes) as client:
            await converse(client)
            before = client.of("session.updated")[-1]["session"]
            client.socket.transport.abort()
        async with gateway.back(id_of(client)) as back:
            items = await told_again(back, len(CONVERSATION))
            assert [words_of(item) for item in items] == CONVERSATION
            assert {item["status"] for item in items} == {"completed", "incomplete"}
            again = back.frames[0]["session"]
            assert again["id"] != before["id"]
            assert {**again, "id": "", "expires_at": 0} == {**before, "id": "", "expires_at": 0}
            await ask(back, "and now?")
        assert back.types.count("session.created") == 1
        said = spoken(gateway.prompt)
        assert said == [
            (words.partition(": ")[0], words.partition(": ")[2])
            for words in [*CONVERSATION, "user: and now?"]
            if words.startswith(("user", "assistant"))
        ]
        assert gateway.prompt.instructions == "Be brief."
        assert [type(item) for item in gateway.prompt.items][3:5] == [FunctionCall, FunctionCallOutput]


async def test_a_function_that_was_out_when_the_line_broke_is_answered_in_the_new_session() -> None:
    async with house() as gateway:
        async with gateway.service.session(tools=[TOOL]) as client:
            called = (await ask(client, CALL))["output"][0]
            client.socket.transport.abort()
        async with gateway.back(id_of(client)) as back:
            await told_again(back, 2)
            output = {"type": "function_call_output", "call_id": called["call_id"], "output": "sunny"}
            await back.say("conversation.item.create", item=output)
            await back.say("response.create")
            await back.hear("response.done")
            assert back.of("response.output_audio_transcript.done")[0]["transcript"] == (
                "You said: the tool says sunny."
            )


async def test_an_answer_that_the_cut_interrupted_is_incomplete_and_not_gone_on_with() -> None:
    async with house() as gateway:
        async with gateway.service.session() as client:
            await client.say_text(HANG)
            await client.say("response.create")
            await client.hear("response.output_audio.delta")
            client.socket.transport.abort()
        async with gateway.back(id_of(client)) as back:
            _, answer = await told_again(back, 2)
            assert answer["status"] == "incomplete"
            assert words_of(answer).startswith("assistant: One two")
            await back.say("input_audio_buffer.clear")
            assert (await back.next())["type"] == "input_audio_buffer.cleared", "no response runs"


async def test_a_conversation_is_had_once_and_goes_by_its_new_name_from_then_on() -> None:
    async with house() as gateway:
        async with gateway.service.session(instructions="Be brief.") as client:
            await ask(client, "hello")
        async with gateway.back(id_of(client)) as second:
            await told_again(second, 2)
            error = await gateway.refused(id_of(client))
            assert (error["type"], error["code"]) == ("invalid_request_error", "session_not_found")
            assert error["message"].startswith(NOT_KEPT)
        async with gateway.back(id_of(second)) as third:
            assert third.frames == []
            items = await told_again(third, 2)
            assert [words_of(item) for item in items] == CONVERSATION[:2]
            assert third.frames[0]["session"]["instructions"] == "Be brief."


async def test_inworlds_clients_are_told_by_404_and_come_back_with_their_fields() -> None:
    async with house() as gateway:
        with pytest.raises(InvalidStatus) as answer:
            async with gateway.back("sess_nobody", INWORLD, dialect=Dialect.IW):
                pass
        assert answer.value.response.status_code == 404
        assert json.loads(answer.value.response.body or b"{}")["error"]["code"] == "session_not_found"
        async with gateway.service.connected(INWORLD, dialect=Dialect.IW) as client:
            await ask(client, "hello")
        async with gateway.back(id_of(client), INWORLD, dialect=Dialect.IW) as back:
            items = await told_again(back, 2)
        assert [words_of(item) for item in items] == CONVERSATION[:2]


async def test_anothers_session_is_refused_in_the_words_for_one_that_never_was(tmp_path: Path) -> None:
    async with house(api_keys=keys_file(tmp_path)) as gateway:
        async with gateway.service.session(key=KEY) as client:
            await ask(client, "hello")
            live = await gateway.refused(id_of(client), key=OTHER_KEY)
            assert (await ask(client, "still there?"))["status"] == "completed", "nobody else ends it"
        await gateway.empty()
        over = await gateway.refused(id_of(client), key=OTHER_KEY)
        nobodys = await gateway.refused("sess_nobody", key=OTHER_KEY)
        assert live == over == nobodys
        async with gateway.back(id_of(client), key=KEY) as back:
            await told_again(back, 4)


async def test_a_session_that_still_runs_is_ended_first_even_if_its_key_may_have_but_one(tmp_path: Path) -> None:
    async with house(api_keys=keys_file(tmp_path), realtime_sessions_per_key="1") as gateway:
        async with gateway.service.session(key=KEY) as client:
            await ask(client, "hello")
            async with gateway.back(id_of(client), key=KEY) as back:
                assert await client.closed() == (1001, "connection_lost")
                await told_again(back, 2)
                assert gateway.seated == 1
                assert (await ask(back, "there?"))["status"] == "completed"


async def test_what_could_not_be_gone_on_with_is_given_back(tmp_path: Path) -> None:
    async with house(api_keys=keys_file(tmp_path), realtime_sessions_per_key="1") as gateway:
        async with gateway.service.session(key=KEY) as client:
            await ask(client, "hello")
        await gateway.empty()
        async with gateway.service.session(key=KEY) as other:
            async with gateway.back(id_of(client), key=KEY) as turned_away:
                assert (await turned_away.closed())[0] == 1013
            assert turned_away.frames[0]["error"]["code"] == "SESSION_RESOURCES_EXHAUSTED"
            await other.socket.close()
        await gateway.empty()
        async with gateway.back(id_of(client), key=KEY) as back:
            await told_again(back, 2)


async def test_a_gateway_that_stops_leaves_its_conversations_to_the_next_one(tmp_path: Path) -> None:
    folder = str(tmp_path / "kept")
    async with house(kept_sessions=folder) as first:
        async with first.service.session(instructions="Be brief.") as client:
            await ask(client, "hello")
            await first.service.running.gateway.stop_sessions()
            assert await client.closed() == (1001, "server_stopping")
        assert first.seated == 0
    error = client.frames[-1]["error"]
    assert (error["type"], error["code"]) == ("server_error", "server_stopping")
    assert f"?session_id={id_of(client)} " in error["message"]
    async with house(kept_sessions=folder) as second:
        async with second.back(id_of(client)) as back:
            await told_again(back, 2)
            assert back.frames[0]["session"]["instructions"] == "Be brief."
            await ask(back, "and now?")
        assert spoken(second.prompt)[:2] == [("user", "hello"), ("assistant", "You said: hello.")]
    async with house(kept_sessions=folder) as third:
        await third.refused(id_of(client))


async def test_a_session_without_a_word_leaves_nothing_and_one_that_was_hung_up_neither() -> None:
    async with house() as gateway:
        async with gateway.service.session() as silent:
            pass
        async with gateway.service.session() as client:
            await ask(client, "hello")
            gateway.service.running.gateway.directory.hang_up(id_of(client), credential_of("operator"))
            assert await client.closed() == (1000, "hung_up")
        await gateway.empty()
        for old in (silent, client):
            assert (await gateway.refused(id_of(old)))["code"] == "session_not_found"


async def test_a_transcription_session_goes_on_as_one() -> None:
    async with house() as gateway:
        async with gateway.service.connected("/v1/realtime?intent=transcription") as client:
            await client.hear("conversation.created")
            update = {"type": "transcription", "audio": {"input": HEARS}}
            await client.say("session.update", session=update)
            before = (await client.hear("session.updated"))["session"]
            await client.speak(speech() + GAP)
            await client.hear("conversation.item.input_audio_transcription.completed")
            client.socket.transport.abort()
        async with gateway.back(id_of(client), "/v1/realtime?intent=transcription") as back:
            (item,) = await told_again(back, 1)
            assert words_of(item) == f"user: {HEARD}"
            again = back.frames[0]["session"]
            assert (again["type"], again["audio"]) == ("transcription", before["audio"])
            await back.speak(speech() + GAP)
            heard = await back.hear("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == HEARD
            assert "response.created" not in back.types


BETA: Any = {"OpenAI_Beta": "realtime=v1", "dialect": Dialect.BETA}


async def test_a_client_of_the_beta_is_told_in_its_own_words() -> None:
    async with house() as gateway:
        async with gateway.service.connected("/v1/realtime?model=test", **BETA) as client:
            await client.say("session.update", session={"instructions": "Be brief.", "voice": "verse"})
            await client.hear("session.updated")
            await ask(client, "hello")
            client.socket.transport.abort()
        async with gateway.back(id_of(client), **BETA) as back:
            items = await told_again(back, 2, ("created",))
            assert [words_of(item) for item in items] == CONVERSATION[:2]
            assert {part["type"] for item in items for part in item["content"]} == {"input_text", "audio"}
            shown = back.frames[0]["session"]
            assert (shown["instructions"], shown["voice"]) == ("Be brief.", "verse")
            await ask(back, "and now?")
        async with gateway.back(id_of(back)) as third:
            items = await told_again(third, 4)
            assert words_of(items[-1]) == "assistant: You said: and now."
            assert third.frames[0]["session"]["instructions"] == "Be brief."


# Without a gateway


@dataclass
class Rooms:
    """What coming back needs of a studio."""

    directory: Directory = field(default_factory=Directory)
    kept: KeptSessions = field(default_factory=KeptSessions)

    def unix_now(self) -> float:
        return 0.0


def credential_of(owner: str) -> Credential:
    return Credential(owner=owner, scopes=frozenset({Scope.REALTIME}), kind=Kind.KEY)


def conversation() -> KeptConversation:
    item = Message(id="item_1", role="user", content=(InputText(text="hello"),), status="completed")
    return kept_of((item,), SessionConfig(model="m", instructions=""))


async def take(
    rooms: Rooms, session_id: str | None = "sess_1", *, error: BaseException | None = None
) -> Kept | None:
    """What is yielded; `error` goes wrong inside."""
    async with taken_back(cast(Studio, rooms), session_id, credential_of("ada")) as kept:
        if error is not None:
            raise error
    return kept


async def test_who_names_no_session_gets_none() -> None:
    assert await take(Rooms(), None) is None


@pytest.mark.parametrize("error", [Refusal(429, "full", "Full."), asyncio.CancelledError(), ValueError()])
async def test_whatever_goes_wrong_inside_it_is_there_for_the_next_try(error: BaseException) -> None:
    rooms = Rooms()
    await rooms.kept.keep("sess_1", "ada", conversation(), 0.0)
    with pytest.raises(type(error)):
        await take(rooms, error=error)
    assert await take(rooms) == Kept("sess_1", conversation())
    with pytest.raises(Refusal) as refused:
        await take(rooms)
    assert refused.value.status_code == 404


def live(finish: Any) -> LiveSession:
    engine = cast(Engine, None)
    return LiveSession(id="sess_1", owner="ada", engine=engine, opened_at_s=0.0, finish=finish)


async def test_a_session_that_does_not_end_in_time_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coming_back, "LEAVE_LIMIT_S", 0.01)
    rooms, asked = Rooms(), list[SessionEnd]()
    with rooms.directory.listed(live(asked.append)), pytest.raises(Refusal, match=NOT_KEPT):
        await take(rooms)
    assert asked == [SessionEnd.CONNECTION_LOST]


async def test_a_phone_call_is_nothing_to_come_back_to() -> None:
    rooms = Rooms()
    with rooms.directory.listed(live(None)), pytest.raises(Refusal, match=NOT_KEPT):
        await take(rooms)


async def test_it_is_waited_for_until_the_seat_of_the_old_session_is_free() -> None:
    rooms = Rooms(Directory(sessions_per_key=1))
    begun, asked = asyncio.Event(), asyncio.Event()
    session = live(lambda why: asked.set())

    async def run() -> None:
        with rooms.directory.seat("ada") as session.freed:
            with rooms.directory.listed(session):
                begun.set()
                await asked.wait()
                await rooms.kept.keep("sess_1", "ada", conversation(), 0.0)
            await asyncio.sleep(0)  # its line is still being put down

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(run())
        await begun.wait()
        async with taken_back(cast(Studio, rooms), "sess_1", credential_of("ada")) as kept:
            assert kept == Kept("sess_1", conversation())
            with rooms.directory.seat("ada"):
                pass
