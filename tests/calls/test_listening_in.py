"""Listening in and side-bands: whoever joins a call from any worker hears it, until the call or its worker ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.calls.errand import MOST_PIECE_BYTES
from gateway.calls.relay import Relay
from gateway.reach import MOST_LISTENERS, Reach
from gateway.realtime import followed_call
from gateway.realtime.directory import MOST_SIDE_BANDS
from gateway.realtime.websocket import RealtimeSocket
from simulator.caller import Dtmf, HangUp, Say, Wait
from tests.calls.fleet import Fleet, Worker, running_fleet
from tests.calls.steered import BEARER, TOKEN, LiveCall, live_call, url_of
from tests.calls.support import AGENT, LIMIT_S, cascade, clip
from tests.protocol.peer import Peer
from tests.protocol.peer import connect as joined_at

pytestmark = pytest.mark.anyio

LONG = replace(AGENT, greeting=" ".join(f"word{number}" for number in range(100)) + ".")
FRAME_BYTES = 100 * 8 * 2 * 2
"""100 ms of stereo."""


@asynccontextmanager
async def house(**changes: Any) -> AsyncGenerator[Fleet, None]:
    changes.setdefault("agent", LONG)
    async with running_fleet(2, providers=cascade(), SWITCHBOARD_TOKEN=TOKEN, **changes) as fleet:
        yield fleet


@asynccontextmanager
async def listening(
    call: LiveCall, worker: Worker, query: str = "", **options: Any
) -> AsyncGenerator[ClientConnection]:
    url = url_of(worker).replace("http", "ws")
    options.setdefault("additional_headers", BEARER)
    async with asyncio.timeout(LIMIT_S):
        async with connect(f"{url}/v1/calls/{call.sid}/listen{query}", **options) as socket:
            yield socket


async def status_of(call: LiveCall, worker: Worker, query: str = "", **options: Any) -> int:
    """The HTTP status a listener is turned away with."""
    with pytest.raises(InvalidStatus) as refused:
        async with listening(call, worker, query, **options):
            pass
    return int(refused.value.response.status_code)


def loudness(frame: bytes | str) -> list[float]:
    """Of each channel of a stereo frame."""
    assert isinstance(frame, bytes)
    sides = np.frombuffer(frame, "<i2").astype(np.float64).reshape(-1, 2)
    return [float(side) for side in np.abs(sides).mean(axis=0)]


async def until_loud(socket: ClientConnection, side: int) -> bytes:
    """The first frame in which this side (0 caller, 1 agent) is heard."""
    while True:
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        if loudness(frame)[side] > 100:
            return frame


async def closed(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as ended:
        while True:
            await socket.recv()
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


@pytest.mark.parametrize("where", ["holder", "other"])
async def test_both_sides_are_heard_each_in_its_channel_from_any_worker(where: str) -> None:
    steps = (Wait(1_500), Say(clip("no")), Wait(500), HangUp())
    agent = replace(AGENT, greeting="one two three four")
    async with house(agent=agent) as fleet, live_call(fleet, *steps, greets=False) as call:
        async with listening(call, getattr(call, where)) as socket:
            frame = await until_loud(socket, side=1)
            assert len(frame) == FRAME_BYTES
            assert loudness(frame)[0] < 100, "the caller is silent while the agent greets"
            await until_loud(socket, side=0)
            assert await closed(socket) == (1000, "stream_over")


async def test_one_channel_holds_both() -> None:
    async with house() as fleet, live_call(fleet, greets=False) as call:
        async with listening(call, call.other, "?channels=1") as socket:
            frame = await socket.recv()
            assert len(frame) == FRAME_BYTES // 2


async def test_nobody_listens_without_the_scope_or_where_there_is_nothing_to_hear() -> None:
    async with house() as fleet, live_call(fleet, greets=False) as call:
        assert await status_of(call, call.other, additional_headers={}) == 401
        assert await status_of(call, call.other, "?channels=3") == 400
        await call.post("hangup")
        await call.result()
        assert await status_of(call, call.other) == 409
        call.sid = f"CA{9:032x}"
        assert await status_of(call, call.other) == 404


async def test_there_is_a_most_of_listeners_and_one_who_leaves_makes_room() -> None:
    async with house() as fleet, live_call(fleet, greets=False) as call:
        async with asyncio.timeout(LIMIT_S):
            sockets = [
                await connect(
                    f"{url_of(worker).replace('http', 'ws')}/v1/calls/{call.sid}/listen", additional_headers=BEARER
                )
                for worker in (call.holder, call.other) * (MOST_LISTENERS // 2)
            ]
            assert await status_of(call, call.other) == 429
            assert await status_of(call, call.holder) == 429
            for socket in sockets[:2]:
                await socket.close()
            for worker in (call.holder, call.other):
                while True:
                    try:
                        sockets.append(
                            await connect(
                                f"{url_of(worker).replace('http', 'ws')}/v1/calls/{call.sid}/listen",
                                additional_headers=BEARER,
                            )
                        )
                        break
                    except InvalidStatus:
                        await asyncio.sleep(0.05)
            for socket in sockets:
                await socket.close()


async def test_who_does_not_read_holds_nobody_up() -> None:
    async with house() as fleet, live_call(fleet, greets=False) as call:
        async with listening(call, call.other, max_queue=1) as slow, listening(call, call.other) as quick:
            slow.transport.pause_reading()
            for _ in range(15):
                await quick.recv()
            slow.transport.resume_reading()


async def test_a_listener_learns_that_the_worker_of_the_call_is_gone() -> None:
    async with house() as fleet, live_call(fleet, greets=False) as call:
        async with listening(call, call.other) as socket:
            await socket.recv()
            began_s = asyncio.get_running_loop().time()
            await die(call.holder)
            assert await closed(socket) == (1001, "worker_lost")
            assert asyncio.get_running_loop().time() - began_s < LIMIT_S


async def die(worker: Worker) -> None:
    """From now on other workers hear nothing of this one, as if its machine had vanished; its calls go on."""
    relay = relay_of(worker)

    async def mute(_worker_id: str, _message: object) -> int:
        return 1

    relay._post = mute  # type: ignore[method-assign,assignment]
    for end in relay._errands.values():
        end._post = partial(mute, "")


def relay_of(worker: Worker) -> Relay:
    for route in worker.house.gateway.app.routes:
        socket = getattr(getattr(route, "endpoint", None), "socket", None)
        if isinstance(socket, RealtimeSocket):
            reach = socket._elsewhere.__self__  # type: ignore[union-attr]  # a method of it
            assert isinstance(reach, Reach) and reach._relay is not None
            return reach._relay
    raise AssertionError("it has a relay")


def side_band(call: LiveCall, worker: Worker, **options: Any) -> Any:
    options.setdefault("headers", BEARER)
    return joined_at(f"{url_of(worker)}/v1/realtime?call_id={call.sid}", **options)


async def test_a_side_band_on_another_worker_sees_the_call_and_may_send() -> None:
    steps = (Wait(6_000), Dtmf("5#"), Wait(500), HangUp())
    async with house(agent=AGENT) as fleet, live_call(fleet, *steps) as call:
        async with side_band(call, call.other) as side:
            created = await side.expect("session.created")
            assert created["session"]["audio"]["input"]["format"]["type"] == "audio/pcmu"
            await side.update(instructions="Be brief.")
            await side.say("Hello from the side.")
            await side.send("conversation.item.delete", item_id="nobody")
            wrong = (await side.expect("error"))["error"]
            assert wrong["code"] == "item_delete_invalid_item_id"
            pressed = [await side.expect("input_audio_buffer.dtmf_event_received") for _ in range(2)]
            assert [event["event"] for event in pressed] == ["5", "#"]
            assert await side.closed() == (1000, "session_over")


async def test_events_come_in_order_through_another_worker() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, call.other) as side:  # its judge knows the protocol's order
            await side.expect("session.created")
            await side.say("Tell me something.")
            await side.send("response.create")
            answer = await side.answer()
            assert answer[-1]["response"]["status"] == "completed"


async def test_who_may_not_join_here_may_not_join_there() -> None:
    async with house() as fleet, live_call(fleet, greets=False) as call:
        assert await refused_with(call, headers={"Authorization": "Bearer x"}) == "invalid_api_key"
        sides = [side_band(call, worker) for worker in (call.holder, call.other) * (MOST_SIDE_BANDS // 2)]
        for side in sides:
            await (await side.__aenter__()).expect("session.created")
        assert await refused_with(call) == "too_many_side_bands"
        for side in sides:
            await side.__aexit__(None, None, None)
        call.sid = f"CA{9:032x}"
        assert await refused_with(call) == "call_not_found"


async def refused_with(call: LiveCall, **options: Any) -> str:
    async with side_band(call, call.other, **options) as side:
        return str((await side.expect("error"))["error"]["code"])


async def test_a_frame_too_large_for_the_way_ends_the_side_band_alone() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, call.other) as side:
            await side.expect("session.created")
            await side.send_text("x" * (MOST_PIECE_BYTES + 1))
            assert await side.closed() == (1009, "message_too_big")
        assert not call.calling.done()
        async with side_band(call, call.other) as side:
            await side.expect("session.created")


async def test_a_side_band_whose_call_nobody_goes_on_with_is_told_to_join_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followed_call, "FOLLOW_LIMIT_S", 1.0)
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, call.other) as side:
            await side.expect("session.created")
            await die(call.holder)
            assert await side.closed() == (1001, "worker_lost")


@pytest.mark.parametrize(("act", "where"), [("move", "holder"), ("move", "other"), ("cut off", "other")])
async def test_a_side_band_follows_its_call_to_another_worker(act: str, where: str) -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, getattr(call, where)) as side:
            first = await side.expect("session.created")
            await side.say("Before.")
            go_elsewhere(call, act)
            again = await side.expect("session.created")
            assert again["session"]["id"] != first["session"]["id"]
            assert again["session"]["instructions"] == first["session"]["instructions"]
            await fleet.until(lambda: call.other.calls == 1 and call.holder.calls == 0)
            await side.say("Afterwards.")
            await side.send("response.create")
            answer = await side.answer()
            assert answer[-1]["response"]["status"] == "completed"
            await call.post("hangup", to=call.other)
            assert await side.closed() == (1000, "session_over")
        result = await call.result()
    assert len(result.stream_sids) == 2


def go_elsewhere(call: LiveCall, act: str) -> None:
    """The call's worker gives it to the other, or is cut off from it."""
    if act == "cut off":
        call.fleet.cut_off(call.holder)
    else:
        call.fleet.door.remove(call.holder.upstream)
        moving = call.holder.house.gateway.move_calls(at_once=True)
        call.fleet.tasks.append(asyncio.ensure_future(moving))


async def test_a_side_band_follows_a_call_whose_worker_is_lost_without_a_word() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, call.other) as side:
            await side.expect("session.created")
            await die(call.holder)
            fleet.cut_off(call.holder)
            await side.expect("session.created")
            await side.say("Is anybody there?")


async def test_what_is_sent_while_the_call_moves_waits_for_its_next_stream() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, call.other) as side:
            await side.expect("session.created")
            fleet.cut_off(call.holder)
            await fleet.until(lambda: not call.holder.calls)
            assert not call.other.calls
            await side.say("Meanwhile.")
            names = [event["type"] for event in side.frames]
            assert names.count("session.created") == 2
            assert "conversation.item.done" in names[names.index("session.created", 1) :]


async def test_a_side_band_on_a_worker_that_leaves_is_sent_to_another() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        async with side_band(call, call.holder) as side:
            await side.expect("session.created")
            call.holder.house.gateway.drain()
            go_elsewhere(call, "move")
            assert await side.closed() == (1001, "server_stopping")
        await fleet.until(lambda: call.sid in call.other.house.gateway.directory.ids())
        async with side_band(call, call.other) as side:
            await side.expect("session.created")


async def test_a_client_that_leaves_while_its_call_moves_is_let_go() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        metrics = call.other.house.gateway.desk.metrics
        async with side_band(call, call.other) as side:
            await side.expect("session.created")
            fleet.cut_off(call.holder)
        await fleet.until(lambda: call.other.calls == 1)
        live = call.other.house.gateway.directory._sessions[call.sid]
        await fleet.until(lambda: live.side_bands == 0)
        assert metrics.realtime_side_bands_active._value.get() == 0


async def test_a_side_band_that_leaves_is_forgotten_where_the_call_streams() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        live = call.holder.house.gateway.directory._sessions[call.sid]
        async with side_band(call, call.other) as side:
            await side.expect("session.created")
            assert live.side_bands == 1
        await fleet.until(lambda: live.side_bands == 0)


async def test_while_redis_is_away_a_call_elsewhere_cannot_be_joined_and_may_be_later() -> None:
    async with house(agent=AGENT) as fleet, live_call(fleet) as call:
        fleet.redis.kill()
        with pytest.raises(InvalidStatus) as refused:
            async with side_band(call, call.other):
                pass
        assert refused.value.response.status_code == 503
        here: Peer
        async with side_band(call, call.holder) as here:
            await here.expect("session.created")
