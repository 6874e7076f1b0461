"""Coming back to a conversation that was cut off, from each transport to each: what was heard is gone on with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import pytest

from gateway.realtime.session_end import SessionEnd
from pipeline.dialects import Dialect
from simulator.webrtc_client import WebRtcClient
from simulator.webrtc_exchange import OfferRefused, Shape
from simulator.webrtc_inbox import Event
from tests.calls.support import clip, spoken
from tests.gateway.webrtc.offers import CHROMIUM
from tests.protocol.providers import CALL, HANG, HEARD, Actor
from tests.realtime.support import KEY, OPERATOR_TOKEN, OTHER_KEY, Client, keys_file
from tests.webrtc.support import (
    CALLS,
    HEARS,
    Rtc,
    error_of,
    hasty_rtc,
    judge,
    packets,
    providers,
    rtc,
    types,
    until,
)

pytestmark = pytest.mark.anyio

Transport: TypeAlias = Literal["websocket", "webrtc"]

TRANSPORTS: tuple[Transport, ...] = ("websocket", "webrtc")
COUNT = "one two three four five six"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


@dataclass
class Talk:
    """One session of a client, whichever way it came."""

    client: Client | WebRtcClient

    @property
    def id(self) -> str:
        name: str = self.client.frames[0]["session"]["id"]
        return name

    async def say(self, type: str, **fields: Any) -> None:
        if isinstance(self.client, Client):
            await self.client.say(type, **fields)
        else:
            await self.client.send(type, **fields)

    async def next(self) -> Event:
        return await self.client.next()

    async def hear(self, type: str) -> Event:
        while (event := await self.next())["type"] != type:
            assert event["type"] != "error", event
        return event

    async def ask(self, text: str) -> Event:
        """A typed question, and its answer when it is done."""
        await self.say("conversation.item.create", item=typed(text))
        await self.say("response.create")
        answer: Event = (await self.hear("response.done"))["response"]
        return answer

    async def heard(self) -> None:
        """Until the answer was played, where that is known."""
        if isinstance(self.client, WebRtcClient):
            await self.hear("output_audio_buffer.stopped")

    async def told_again(self, count: int) -> list[str]:
        """What so many items say, told of right after the session itself."""
        assert (await self.next())["type"] == "session.created"
        assert (await self.next())["type"] == "conversation.created"
        said: list[str] = []
        previous: str | None = None
        for _ in range(count):
            added, done = await self.next(), await self.next()
            assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
            assert added["previous_item_id"] == done["previous_item_id"] == previous
            assert added["item"] == done["item"]
            previous = added["item"]["id"]
            said.append(words_of(added["item"]))
        return said

    async def cut(self) -> None:
        """A socket that breaks, or a page that is closed."""
        if isinstance(self.client, Client):
            self.client.socket.transport.abort()
        else:
            await self.client.close()


def typed(text: str) -> Event:
    """An item."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def words_of(item: Event) -> str:
    match item["type"]:
        case "message":
            (part,) = item["content"]
            text: str = part.get("text") or part["transcript"]
            return text
        case "function_call":
            return f"call {item['name']}"
        case _:
            return f"output {item['output']}"


@asynccontextmanager
async def talk(
    gateway: Rtc, transport: Transport, old: str | None = None, key: str = OPERATOR_TOKEN, **asked: Any
) -> AsyncGenerator[Talk, None]:
    """A client by this transport, which comes back to `old` if it is given. Its events are judged."""
    if transport == "websocket":
        path = "/v1/realtime?model=test" + (f"&session_id={old}" if old else "")
        async with gateway.service.connected(path, key=key) as client:
            yield Talk(client)
        return
    async with WebRtcClient() as client:
        query = {"session_id": old} if old else None
        await client.connect(gateway.url, key, query=query, **asked)
        yield Talk(client)
        judge(client.frames, Dialect.GA, leaves_early=True)
        assert client.unreadable == []


async def converse(one: Talk) -> None:
    """A typed question, a function called, and an answer that is stopped in the middle by whoever hears it."""
    await one.hear("conversation.created")
    await one.say("session.update", session={"type": "realtime", "instructions": "Be brief.", "tools": [TOOL]})
    await one.hear("session.updated")
    await one.ask("hello")
    await one.heard()
    called = (await one.ask(CALL))["output"][0]
    output = {"type": "function_call_output", "call_id": called["call_id"], "output": "sunny"}
    await one.say("conversation.item.create", item=output)
    await one.say("response.create")
    await one.hear("response.done")
    await one.heard()
    await stopped_answer(one)


async def stopped_answer(one: Talk) -> None:
    """Of eight words each 200 ms long, some were heard."""
    if isinstance(one.client, Client):
        answer = (await one.ask(COUNT))["output"][0]
        await one.say("conversation.item.truncate", item_id=answer["id"], content_index=0, audio_end_ms=500)
    else:
        await one.say("conversation.item.create", item=typed(COUNT))
        await one.say("response.create")
        await one.hear("output_audio_buffer.started")
        await packets(one.client, 30)
        await one.say("output_audio_buffer.clear")
    await one.hear("conversation.item.truncated")


CONVERSATION = ["hello", "You said: hello.", CALL, "call get_weather", "output sunny"]
CONVERSATION += ["You said: the tool says sunny.", COUNT]
WHOLE = f"You said: {COUNT}."


async def not_there(gateway: Rtc, transport: Transport, old: str, key: str = OPERATOR_TOKEN) -> str:
    """The words in which somebody hears that there is nothing to come back to: 404, or what stands for it."""
    if transport == "websocket":
        async with talk(gateway, transport, old, key) as one:
            event = await one.next()
        error: Event = event["error"]
    else:
        with pytest.raises(OfferRefused) as refused:
            async with talk(gateway, transport, old, key):
                pass
        assert refused.value.status == 404
        error = error_of(refused.value)
    assert (error["type"], error["code"]) == ("invalid_request_error", "session_not_found")
    message: str = error["message"]
    return message


@pytest.mark.parametrize("second", TRANSPORTS)
@pytest.mark.parametrize("first", TRANSPORTS)
async def test_all_that_was_said_and_heard_is_there_again(
    first: Transport, second: Transport, tmp_path: Path
) -> None:
    cascade = providers()
    async with rtc(cascade, api_keys=keys_file(tmp_path)) as gateway:
        async with talk(gateway, first, key=KEY) as one:
            await converse(one)
            await one.cut()
        await gateway.empty()
        anothers = await not_there(gateway, second, one.id, OTHER_KEY)
        async with talk(gateway, second, one.id, KEY) as two:
            said = await two.told_again(len(CONVERSATION) + 1)
            assert said[:-1] == CONVERSATION
            assert WHOLE.startswith(said[-1]) and said[-1].startswith("You said") and said[-1] != WHOLE
            session = two.client.frames[0]["session"]
            assert (session["instructions"], session["tools"][0]["name"]) == ("Be brief.", "get_weather")
            assert (await two.ask("and now?"))["status"] == "completed"
            await two.heard()
            assert await not_there(gateway, second, one.id, KEY) == anothers
            await two.cut()
    prompt = cast(Actor, cascade.model).prompts[-1]
    assert [text for _, text in spoken(prompt)] == [*CONVERSATION[:3], *CONVERSATION[5:], said[-1], "and now?"]
    assert prompt.instructions == "Be brief."


@pytest.mark.parametrize("second", TRANSPORTS)
@pytest.mark.parametrize("first", TRANSPORTS)
async def test_a_session_that_still_runs_is_ended_first_and_leaves_its_seat(
    first: Transport, second: Transport, tmp_path: Path
) -> None:
    async with rtc(api_keys=keys_file(tmp_path), realtime_sessions_per_key="1") as gateway:
        async with talk(gateway, first, key=KEY) as one:
            await one.ask("hello")
            async with talk(gateway, second, one.id, KEY) as two:
                if isinstance(one.client, Client):
                    assert await one.client.closed() == (1001, "connection_lost")
                else:
                    await one.client.ended()
                assert (await two.told_again(2))[0] == "hello"
                assert gateway.seated == 1
                assert (await two.ask("there?"))["status"] == "completed"
                await two.cut()
        await gateway.empty()


async def test_who_fell_silent_comes_back_before_and_after_it_is_noticed_and_is_understood() -> None:
    async with hasty_rtc(limits={"consent_limit_s": 1.0, "consent_every_s": 0.2}) as gateway:
        async with talk(gateway, "webrtc", session=HEARS) as first:
            await first.ask("hello")
            cast(WebRtcClient, first.client).vanish()
            async with talk(gateway, "webrtc", first.id) as second:  # not noticed yet
                await second.told_again(2)
                cast(WebRtcClient, second.client).vanish()
                await until(lambda: gateway.ended(SessionEnd.CONNECTION_LOST) == 2)
                async with talk(gateway, "webrtc", second.id) as third:
                    assert (await third.told_again(2))[0] == "hello"
                    cast(WebRtcClient, third.client).speak(clip("opening-hours"))
                    heard = await third.hear("conversation.item.input_audio_transcription.completed")
                    assert heard["transcript"] == HEARD
                    await third.hear("output_audio_buffer.stopped")
        await gateway.empty()


@pytest.mark.parametrize("second", TRANSPORTS)
async def test_the_next_gateway_has_what_the_one_that_stopped_was_talking_of(
    second: Transport, tmp_path: Path
) -> None:
    folder = str(tmp_path / "kept")
    async with rtc(kept_sessions=folder) as gateway, talk(gateway, "webrtc") as one:
        await one.ask("hello")
        await one.heard()
        await one.say("conversation.item.create", item=typed(HANG))
        await one.say("response.create")
        await one.hear("output_audio_buffer.started")
        await gateway.service.running.gateway.stop_sessions()
        await cast(WebRtcClient, one.client).ended()
    told = one.client.frames[-1]["error"]
    assert told["code"] == "server_stopping"
    assert f"?session_id={one.id} " in told["message"]
    async with rtc(kept_sessions=folder) as gateway:
        async with talk(gateway, second, one.id) as two:
            said = await two.told_again(3)
            assert said == ["hello", "You said: hello.", HANG], "nothing was heard of the last answer"
            await two.ask("and now?")
            await two.cut()
        await gateway.empty()
        await not_there(gateway, second, one.id)


async def test_an_offer_that_comes_to_nothing_gives_back_what_it_named() -> None:
    async with hasty_rtc(limits={"connect_limit_s": 0.3}, realtime_sessions_per_key="1") as gateway:
        async with talk(gateway, "webrtc") as one:
            await one.ask("hello")
        await gateway.empty()
        back = f"{CALLS}?session_id={one.id}"
        wrong = {"sdp": CHROMIUM, "session": {"type": "realtime", "output_modalities": "song"}}
        assert (await gateway.ask("POST", back, json=wrong)).status_code == 400
        assert (await gateway.offer(path=back)).status_code == 201, "it is answered, and nobody comes"
        assert (await gateway.offer(path=CALLS)).status_code == 429
        await until(lambda: gateway.ended(SessionEnd.NEVER_CONNECTED) == 1)
        await gateway.empty()
        async with talk(gateway, "websocket"):
            assert (await gateway.offer(path=back)).status_code == 429
        await gateway.empty()
        async with talk(gateway, "webrtc", one.id) as two:
            assert (await two.told_again(2))[0] == "hello"


async def test_a_gateway_that_stops_before_its_peer_has_connected_gives_it_back_too(tmp_path: Path) -> None:
    folder = str(tmp_path / "kept")
    async with rtc(kept_sessions=folder) as gateway:
        async with talk(gateway, "webrtc") as one:
            await one.ask("hello")
        await gateway.empty()
        assert (await gateway.offer(path=f"{CALLS}?session_id={one.id}")).status_code == 201
        await gateway.service.running.gateway.stop_sessions()
        assert gateway.ended(SessionEnd.STOPPING) == 1
    async with rtc(kept_sessions=folder) as gateway, talk(gateway, "websocket", one.id) as two:
        assert (await two.told_again(2))[0] == "hello"


async def test_a_call_that_was_hung_up_is_over() -> None:
    async with rtc() as gateway:
        async with talk(gateway, "webrtc") as one:
            await one.ask("hello")
            await cast(WebRtcClient, one.client).hang_up()
            await cast(WebRtcClient, one.client).ended()
        await gateway.empty()
        await not_there(gateway, "webrtc", one.id)


async def test_a_transcription_session_goes_on_as_one(gateway: Rtc) -> None:
    wishes = {"type": "transcription", "audio": HEARS["audio"]}
    directory = gateway.service.running.gateway.directory
    said: list[str] = []
    old: str | None = None
    for turn in range(2):
        async with talk(gateway, "webrtc", old, shape=Shape.OPENAI_MULTIPART, session=wishes) as one:
            assert await one.told_again(turn) == said
            assert one.client.frames[0]["session"]["type"] == "transcription"
            cast(WebRtcClient, one.client).speak(clip("opening-hours"))
            heard = await one.hear("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == HEARD
            said, old = [*said, HEARD], one.id
            assert "response.created" not in types(one.client.frames)
        await until(lambda: not directory.ids())


async def test_a_client_of_the_beta_is_told_in_its_own_words(gateway: Rtc) -> None:
    async with talk(gateway, "webrtc") as one:
        await one.ask("hello")
        await one.heard()
    client = WebRtcClient()
    async with client:
        headers = {"OpenAI-Beta": "realtime=v1"}
        await client.connect(gateway.url, OPERATOR_TOKEN, query={"session_id": one.id}, headers=headers)
        told = await client.until("conversation.item.created")
        await client.expect("conversation.item.created")
        assert types(told) == ["session.created", "conversation.created", "conversation.item.created"]
        assert client.frames[-1]["item"]["content"][0]["type"] == "audio"
        judge(client.frames, Dialect.BETA)
