"""The transport does not change what is seen; and what it does change, as the reference has it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.audio.formats import PCMU
from pipeline.dialects import Dialect
from pipeline.providers.stub import WORD_MS
from tests.protocol.conftest import BEARER, House
from tests.protocol.peer import Event, Peer, message, names
from tests.protocol.providers import CALL, HANG, ONE_MORE, SENTENCE
from tests.protocol.sound import speech
from tests.protocol.transports import NOT_ON_A_CHANNEL, ON_A_CHANNEL_ONLY, WEBSOCKET_ONLY, Transport, told

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
CHOOSING = {"house", "keyed", "transport"}
"""What a test takes that runs over each of its transports."""
ABOUT_THE_SUITE = {"test_transports.py", "test_playout.py"}
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
SPEAKING_MS = len(SENTENCE.split()) * WORD_MS
WAYS: dict[Dialect, tuple[str, dict[str, str]]] = {
    Dialect.GA: ("/v1/realtime?model=m", BEARER),
    Dialect.BETA: ("/v1/realtime?model=m", {**BEARER, "OpenAI-Beta": "realtime=v1"}),
    Dialect.IW: ("/api/v1/realtime/session?protocol=realtime", BEARER),
    Dialect.SEED: ("/api/v1/realtime/session", BEARER),
}
AN_ID = re.compile(r"\b(event|sess|conv|item|resp|call|rtc)_[\w-]+")
OF_A_MOMENT = {"event_id", "expires_at", "rate_limits", "first_ms"}
"""Fields that no two sessions have the same."""


@pytest.fixture
def rtc_house(shared_house: House) -> House:
    return replace(shared_house, transport=Transport.WEBRTC)


# The table


@cache
def taken_by_tests(file: str) -> dict[str, set[str]]:
    """What each test of a file takes."""
    tree = ast.parse((HERE / file).read_text())
    return {
        node.name: {argument.arg for argument in node.args.args}
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.proves("E1-webrtc")
def test_each_test_that_runs_over_a_websocket_only_is_there_and_has_one_reason() -> None:
    for file, by_reason in WEBSOCKET_ONLY.items():
        listed = [test for tests in by_reason.values() for test in tests]
        assert len(listed) == len(set(listed)), f"{file}: a test is listed twice"
        assert set(listed) <= taken_by_tests(file).keys(), f"{file} has no such tests"


@pytest.mark.proves("E1-webrtc")
def test_every_other_test_runs_over_both_transports() -> None:
    for path in HERE.glob("test_*.py"):
        if path.name in ABOUT_THE_SUITE:
            continue
        listed = {test for tests in WEBSOCKET_ONLY.get(path.name, {}).values() for test in tests}
        single = {test for test, taken in taken_by_tests(path.name).items() if not taken & CHOOSING}
        assert single <= listed, f"{path.name}: these take no transport and are not listed"


# The same script


async def converse(peer: Peer, dialect: Dialect) -> list[Event]:
    """Text, a function call, a turn by hand, an answer broken off, items come and gone; all that was told."""
    session: dict[Dialect, Event] = {
        Dialect.GA: {
            "type": "realtime",
            "tools": [TOOL],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": {"model": "whisper-1"},
                    "turn_detection": None,
                },
                "output": {"format": {"type": "audio/pcmu"}},
            },
        }
    }
    flat: Event = {
        "tools": [TOOL],
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": None,
    }
    in_text = {"modalities" if dialect is Dialect.BETA else "output_modalities": ["text"]}
    await peer.send("session.update", session=session.get(dialect, flat))
    await peer.updated()
    for text in ("Hello", CALL):
        await peer.say(text)
        await peer.send("response.create", response=in_text)
        answered = await peer.answer()
    call_id = answered[-1]["response"]["output"][0]["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
    await peer.send("conversation.item.create", item=output)
    await peer.append(speech(PCMU), chunk_bytes=400)
    await peer.send("input_audio_buffer.commit")
    await peer.expect("conversation.item.input_audio_transcription.completed")
    await peer.send("response.create")
    spoken = (await peer.answer())[-1]["response"]["output"][0]
    await peer.heard()
    await peer.send("response.create", response={"instructions": HANG})
    await peer.begun(SPEAKING_MS * 8)
    await peer.send("response.cancel")
    await peer.send("output_audio_buffer.clear")
    await peer.expect("response.done")
    await peer.heard()
    await peer.send("conversation.item.create", item=message("Of mine", id="mine"), previous_item_id="root")
    await peer.retrieved("mine")
    await peer.retrieved(spoken["id"])
    await peer.send("conversation.item.delete", item_id=spoken["id"])
    await peer.expect("conversation.item.deleted")
    await peer.refused("conversation.item.delete", item_id=spoken["id"])
    return peer.frames


def comparable(events: list[Event]) -> list[Any]:
    """Without what no two sessions have the same; ids by the order in which they came up."""
    ids: dict[str, str] = {}

    def plain(value: Any) -> Any:
        match value:
            case dict():
                return {name: plain(inner) for name, inner in value.items() if name not in OF_A_MOMENT}
            case list():
                return [plain(inner) for inner in value]
            case str() if AN_ID.fullmatch(value):
                return ids.setdefault(value, f"{value.partition('_')[0]}_{len(ids)}")
            case str():
                return AN_ID.sub(lambda found: ids.get(found[0], found[0]), value)
            case _:
                return value

    return [plain(event) for event in events if event["type"] not in NOT_ON_A_CHANNEL]


@pytest.mark.proves("E1-webrtc", "E1-no-sound", "B1-output-clear-webrtc", "A4-one-dialect", "D-order")
@pytest.mark.parametrize("dialect", Dialect)
async def test_one_script_is_answered_alike_over_both_transports(shared_house: House, dialect: Dialect) -> None:
    path, headers = WAYS[dialect]
    seen: dict[Transport, list[Event]] = {}
    for transport in Transport:
        house = replace(shared_house, transport=transport)
        async with house.session(path, headers=headers, dialect=dialect) as peer:
            seen[transport] = await converse(peer, dialect)
            extra = set(names(peer.playout.events))
        assert extra == (set() if transport is Transport.WEBSOCKET else set(ON_A_CHANNEL_ONLY))
    socket, channel = seen[Transport.WEBSOCKET], seen[Transport.WEBRTC]
    assert told(names(socket), Transport.WEBRTC) == names(channel)
    for one, other in zip(comparable(socket), comparable(channel), strict=True):
        assert one == other


# What is different


@pytest.mark.proves("D8-webrtc", "D14-errors")
async def test_only_the_server_knows_what_was_heard_while_it_plays(rtc_house: House) -> None:
    async with rtc_house.voice_session() as peer:
        await peer.send("response.create", response={"instructions": HANG})
        item_id = (await peer.expect("response.content_part.added"))["item_id"]
        await peer.begun()
        cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 1}
        error = await peer.refused("conversation.item.truncate", **cut)
        assert error["code"] == "invalid_value" and "output_audio_buffer.clear" in error["message"]
        await peer.send("response.cancel")
        done = (await peer.expect("response.done"))["response"]
    assert done["output"][0]["content"][0]["transcript"] == SENTENCE + ONE_MORE


@pytest.mark.proves("E1-playout", "B2-output-buffer-played")
async def test_what_is_answered_is_heard_on_the_track_between_started_and_stopped(rtc_house: House) -> None:
    async with rtc_house.session() as peer:
        for _ in range(2):
            await peer.say("Hello")
            await peer.send("response.create")
            done = (await peer.answer())[-1]["response"]
            await peer.heard()
            played = peer.playout.events[-2:]
            assert names(played) == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
            assert {event["response_id"] for event in played} == {done["id"]}
        types = names(peer.everything)
        assert types.index("response.content_part.added") < types.index("output_audio_buffer.started")
        await peer.client.heard()
        assert peer.client.energy() > 0
