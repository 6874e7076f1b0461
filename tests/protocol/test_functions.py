"""Function calls: their events, their outputs, and whose turn it is then."""

from __future__ import annotations

import asyncio
import json

import pytest

from pipeline.dialects import Dialect
from tests.calls.support import LIMIT_S
from tests.protocol.conftest import BEARER, House
from tests.protocol.peer import Event, Peer, names
from tests.protocol.providers import ARGUMENTS, CALL, CALL_AND_WAIT, SENTENCE, TELL_AND_CALL

pytestmark = pytest.mark.anyio

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
FUNCTION_CALL = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]

OUTPUT_TOLD = ["conversation.item.added", "conversation.item.done"]


async def call(peer: Peer, scene: str = CALL) -> list[Event]:
    """The events of a response that calls."""
    await peer.say(scene)
    await peer.send("response.create")
    return await peer.answer()


async def give(peer: Peer, call_id: str, output: str = "sunny") -> None:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    await peer.send("conversation.item.create", item=item)


@pytest.mark.proves("D5-function-turn", "B2-arguments-done", "B3-indices", "D5-no-continuing")
async def test_a_function_call_has_its_events_in_their_order_and_waits_for_the_client(house: House) -> None:
    async with house.text_session() as peer:
        await peer.update(tools=[TOOL])
        called = await call(peer)
        assert names(called) == ["response.created", "rate_limits.updated", *FUNCTION_CALL, "response.done"]
        events = {event["type"]: event for event in called}
        opened, item = events["response.output_item.added"]["item"], events["response.output_item.done"]["item"]
        assert (opened["type"], opened["status"], opened["arguments"]) == ("function_call", "in_progress", "")
        assert events["conversation.item.added"]["item"] == opened
        assert events["conversation.item.done"]["item"] == item
        assert item == opened | {"status": "completed", "arguments": ARGUMENTS}
        done = events["response.function_call_arguments.done"]
        assert (done["name"], done["arguments"], done["call_id"]) == ("get_weather", ARGUMENTS, item["call_id"])
        assert events["response.function_call_arguments.delta"]["delta"] == ARGUMENTS
        assert {event["output_index"] for event in called if "output_index" in event} == {0}
        assert called[-1]["response"]["output"] == [item]
        await give(peer, item["call_id"])
        assert names(await peer.until("conversation.item.done")) == OUTPUT_TOLD
        assert await peer.fence() == [], "an output is not answered by itself"
        await peer.send("response.create")
        spoken = (await peer.answer())[-1]["response"]["output"][0]["content"][0]["text"]
    assert spoken == "You said: the tool says sunny."


@pytest.mark.proves("D5-message-and-calls", "B3-indices")
async def test_a_response_may_speak_and_call_twice(house: House) -> None:
    async with house.text_session() as peer:
        await peer.update(tools=[TOOL])
        called = await call(peer, TELL_AND_CALL)
        output = called[-1]["response"]["output"]
        assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
        assert output[0]["content"][0]["text"] == SENTENCE
        added = [event for event in called if event["type"] == "response.output_item.added"]
        assert [event["output_index"] for event in added] == [0, 1, 2]
        closed = {event["output_index"]: event["item"] for event in called if event["type"].endswith("item.done")
                  and "output_index" in event}  # fmt: skip
        assert [closed[index] for index in range(3)] == output
        assert json.loads(output[2]["arguments"]) == {}
        for item in output[1:]:
            await give(peer, item["call_id"])
        await peer.send("response.create")
        assert (await peer.answer())[-1]["response"]["status"] == "completed"


@pytest.mark.proves("D5-early-output")
async def test_output_and_the_next_response_may_come_before_the_call_is_closed(house: House) -> None:
    house.model.gate.clear()
    async with house.text_session() as peer:
        await peer.update(tools=[TOOL])
        await peer.say(CALL_AND_WAIT)
        await peer.send("response.create")
        item = (await peer.expect("response.output_item.done"))["item"]
        await give(peer, item["call_id"])
        await peer.send("response.create", event_id="early")
        assert names(await peer.fence()) == OUTPUT_TOLD
        house.model.gate.set()
        events = await peer.until("response.created")
        assert names(events) == ["response.done", "response.created"]
        assert (await peer.expect("response.done"))["response"]["output"][0]["type"] == "message"


@pytest.mark.proves("B2-arguments-done")
async def test_the_beta_tells_the_name_in_the_item_only(house: House) -> None:
    beta = {**BEARER, "OpenAI-Beta": "realtime=v1"}
    async with house.session(dialect=Dialect.BETA, headers=beta) as peer:
        await peer.send("session.update", session={"tools": [TOOL], "modalities": ["text"]})
        called = await call(peer)
    done = next(event for event in called if event["type"] == "response.function_call_arguments.done")
    assert "name" not in done and done["arguments"] == ARGUMENTS
    assert called[-1]["response"]["output"][0]["name"] == "get_weather"


@pytest.mark.proves("D5-no-continuing")
async def test_inworlds_clients_that_want_to_ask_on_themselves_may(house: House) -> None:
    path = "/api/v1/realtime/session?key=k&protocol=realtime"
    async with house.session(path, dialect=Dialect.IW) as peer:
        wanted = {"tools": [TOOL], "output_modalities": ["text"], "providerData": {"auto_tool_response": False}}
        await peer.send("session.update", session=wanted)
        for item in (await call(peer, TELL_AND_CALL))[-1]["response"]["output"][1:]:
            await give(peer, item["call_id"])
            await peer.until("conversation.item.done")
        assert await peer.fence() == []


@pytest.mark.proves("D5-auto-tool-response")
@pytest.mark.parametrize("is_auto", [True, False])
async def test_inworlds_clients_may_have_outputs_answered_by_themselves(house: House, is_auto: bool) -> None:
    path = "/api/v1/realtime/session?key=k&protocol=realtime"
    async with house.session(path, dialect=Dialect.IW) as peer:
        wanted = {"tools": [TOOL], "output_modalities": ["text"], "providerData": {"auto_tool_response": is_auto}}
        await peer.send("session.update", session=wanted)
        calls = (await call(peer, TELL_AND_CALL))[-1]["response"]["output"][1:]
        await give(peer, calls[0]["call_id"])
        assert "response.created" not in names(await peer.fence()), "one output is still missing"
        await give(peer, calls[1]["call_id"])
        await peer.until("conversation.item.done")
        if is_auto:
            async with asyncio.timeout(LIMIT_S):
                assert (await peer.answer())[-1]["response"]["status"] == "completed"
        else:
            assert await peer.fence() == []
