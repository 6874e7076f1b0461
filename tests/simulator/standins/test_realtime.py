"""The Realtime stand-in as a client meets it, over a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.standins.fault import Fault, Faults
from simulator.standins.realtime import RealtimeStandin, app
from simulator.standins.realtime_answer import Call
from simulator.standins.serving import served
from simulator.standins.tone import hum

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(standin: RealtimeStandin, path: str = "/v1/realtime") -> AsyncIterator[ClientConnection]:
    async with served(standin) as host, connect(f"ws://{host}{path}", proxy=None, max_size=None) as socket:
        yield socket


async def say(socket: ClientConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def hear(socket: ClientConnection, until: str) -> list[dict[str, Any]]:
    """Events up to one of this type."""
    heard: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not heard or heard[-1]["type"] != until:
            heard.append(json.loads(await socket.recv()))
    return heard


async def test_an_answer_comes_in_the_protocols_order() -> None:
    async with connected(RealtimeStandin(answers=["Hi there."])) as socket:
        await say(socket, "response.create", response={"metadata": {"n": "1"}})
        heard = await hear(socket, "response.done")
    assert [event["type"] for event in heard] == [
        "session.created",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        *["response.output_audio_transcript.delta", "response.output_audio.delta"] * 2,
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    sound = b"".join(base64.b64decode(e["delta"]) for e in heard if e["type"] == "response.output_audio.delta")
    assert sound == hum(2, 24_000)
    assert heard[-1]["response"]["metadata"] == {"n": "1"}


async def test_what_was_said_is_committed_and_understood() -> None:
    standin = RealtimeStandin(words=["Good day."])
    async with connected(standin) as socket:
        await say(socket, "input_audio_buffer.append", audio=base64.b64encode(bytes(4_800)).decode())
        await say(socket, "input_audio_buffer.commit", event_id="mine")
        heard = await hear(socket, "conversation.item.input_audio_transcription.completed")
        assert [event["type"] for event in heard[1:4]] == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert heard[-1]["transcript"] == "Good day."
        await say(socket, "input_audio_buffer.commit", event_id="again")
        (refused,) = await hear(socket, "error")
        assert (refused["error"]["code"], refused["error"]["event_id"]) == (
            "input_audio_buffer_commit_empty",
            "again",
        )
    assert standin.sessions[0].heard.commits == [bytes(4_800)]


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("session.update", {}, "missing_required_parameter"),
        ("input_audio_buffer.append", {"audio": "!"}, "invalid_value"),
        ("conversation.item.create", {}, "missing_required_parameter"),
        (
            "conversation.item.create",
            {"item": {"type": "function_call_output", "call_id": "x", "output": ""}},
            "invalid_value",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user"}, "previous_item_id": "x"},
            "item_create_invalid_previous_item_id",
        ),
        ("conversation.item.delete", {"item_id": "x"}, "item_delete_invalid_item_id"),
        ("conversation.item.truncate", {"item_id": "x"}, "item_truncate_invalid_item_id"),
        ("response.cancel", {}, "response_cancel_not_active"),
        ("surprise", {}, "invalid_value"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(kind: str, fields: dict[str, Any], code: str) -> None:
    async with connected(RealtimeStandin()) as socket:
        await say(socket, kind, **fields)
        assert (await hear(socket, "error"))[-1]["error"]["code"] == code


async def test_nothing_is_truncated_past_its_end() -> None:
    async with connected(RealtimeStandin(answers=["Hi."])) as socket:
        await say(socket, "response.create")
        done = (await hear(socket, "response.done"))[-1]
        (item,) = done["response"]["output"]
        await say(socket, "conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=201)
        refused = (await hear(socket, "error"))[-1]["error"]
        assert refused["message"] == "Audio content of 200ms is already shorter than 201ms"
        await say(socket, "conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=200)
        await hear(socket, "conversation.item.truncated")


async def test_one_answer_at_a_time_and_a_cancelled_one_is_closed() -> None:
    async with connected(RealtimeStandin(answers=["one two three"], gap_s=60)) as socket:
        await say(socket, "response.create")
        await hear(socket, "response.output_audio.delta")
        await say(socket, "response.create")
        error = (await hear(socket, "error"))[-1]["error"]
        assert error["code"] == "conversation_already_has_active_response"
        await say(socket, "response.cancel")
        heard = await hear(socket, "response.done")
        assert heard[-1]["response"]["status"] == "cancelled"
        assert heard[0]["type"] == "response.output_audio.done"


async def test_functions_texts_and_answers_out_of_band() -> None:
    async with connected(RealtimeStandin(answers=[Call("f", "{}"), "Aside."])) as socket:
        await say(socket, "response.create")
        (call,) = (await hear(socket, "response.done"))[-1]["response"]["output"]
        assert (call["name"], call["status"], call["arguments"]) == ("f", "completed", "{}")
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": "1", "id": "mine"}
        await say(socket, "conversation.item.create", item=item, previous_item_id="root")
        await hear(socket, "conversation.item.done")
        await say(socket, "conversation.item.create", item=item)
        assert (await hear(socket, "error"))[-1]["error"]["code"] == "item_create_duplicate_item_id"
        await say(socket, "response.create", response={"conversation": "none", "output_modalities": ["text"]})
        kinds = [event["type"] for event in await hear(socket, "response.done")]
        assert "response.output_text.delta" in kinds
        assert not any(kind.startswith("conversation") for kind in kinds)


async def test_an_answer_may_be_made_of_what_the_session_holds() -> None:
    standin = RealtimeStandin(answers=["not this"], answering=lambda session: f"{len(session.items)} items")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    async with connected(standin) as socket:
        await say(socket, "conversation.item.create", item=item)
        await say(socket, "response.create")
        heard = await hear(socket, "response.done")
    assert heard[-1]["response"]["output"][0]["content"][0]["transcript"] == "1 items"


async def test_azures_previews_are_spoken_to_in_the_betas_names() -> None:
    async with connected(RealtimeStandin(answers=["Hi."]), "/openai/realtime") as socket:
        await say(socket, "session.update", session={"output_audio_format": "g711_alaw"})
        await say(socket, "response.create")
        kinds = {event["type"] for event in await hear(socket, "response.done")}
    assert {"conversation.item.created", "response.audio.delta", "response.audio_transcript.delta"} <= kinds
    assert not kinds & {"conversation.item.added", "conversation.item.done", "response.output_audio.delta"}


@pytest.mark.parametrize(("fault", "status"), [(Fault.REFUSE, 401), (Fault.TOO_MANY, 429), (Fault.BROKEN, 500)])
async def test_who_is_not_let_in_is_told_why(fault: Fault, status: int) -> None:
    async with served(RealtimeStandin(Faults(fault))) as host:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{host}/v1/realtime", proxy=None)
    assert refused.value.response.status_code == status


@pytest.mark.parametrize(("fault", "code"), [(Fault.CLOSE_1006, None), (Fault.CLOSE_1011, 1011)])
async def test_it_vanishes_half_way(fault: Fault, code: int | None) -> None:
    async with connected(RealtimeStandin(Faults(then=[fault]), answers=["one two"])) as socket:
        await say(socket, "response.create")
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket, "response.done")
    assert (closed.value.rcvd.code if closed.value.rcvd else None) == code


async def test_a_session_ends_when_its_time_is_over() -> None:
    async with connected(RealtimeStandin(lives_s=0.1)) as socket:
        assert (await hear(socket, "error"))[-1]["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed):
            await socket.recv()


@pytest.mark.parametrize("fault", [Fault.ZERO_AUDIO, Fault.ODD_PCM, Fault.BIG_CHUNK, Fault.GARBAGE])
async def test_faults_of_the_sound_are_as_they_are_called(fault: Fault) -> None:
    async with connected(RealtimeStandin(Faults(then=[fault]), answers=["one"])) as socket:
        await say(socket, "response.create")
        if fault is Fault.GARBAGE:
            with pytest.raises(json.JSONDecodeError):
                await hear(socket, "response.done")
            return
        heard = await hear(socket, "response.done")
    sizes = [len(base64.b64decode(e["delta"])) for e in heard if e["type"] == "response.output_audio.delta"]
    expected = {Fault.ZERO_AUDIO: [], Fault.ODD_PCM: [101, 9_499], Fault.BIG_CHUNK: [9_600, 10 * 1024 * 1024]}
    assert sizes == expected[fault]


def test_it_serves_nothing_else() -> None:
    with pytest.raises(NotImplementedError):
        TestClient(app(Faults())).get("/v1/models")
