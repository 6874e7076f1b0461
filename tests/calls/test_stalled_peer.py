"""A peer that stops reading: given up, its memory given back, and nobody else is any the worse for it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from gateway.fast_lane import FastLane
from gateway.media_stream import phone
from gateway.media_stream import stream as media_stream
from simulator.caller import BargeIn, HangUp, Wait
from tests.calls.raw_line import new_call, offered, raw_line
from tests.calls.support import AGENT, RunningGateway, cascade, clip, running_gateway, tasks_gone

pytestmark = pytest.mark.anyio

KERNEL_BYTES = 4_096
"""Of buffer at each end of a connection, so that it is full after moments and not after minutes."""

LEAD_MS = 5_000
"""The most there is: a lot of sound at once, to fill what is left."""

MOST_HELD_BYTES = 150_000
"""asyncio's own high-water mark is 64 KiB; beyond it the gateway may hold what the lead lets out, in base64."""


async def test_a_peer_that_stops_reading_is_given_up_and_others_do_not_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phone, "WRITE_STALL_S", 0.5)
    monkeypatch.setattr(media_stream, "CLOSE_LIMIT_S", 0.2)
    talkative = replace(AGENT, greeting="word " * 200)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)  # its connections inherit it
    async with running_gateway(
        providers=cascade(), agent=talkative, listening=listening, SWITCHBOARD_PLAYBACK_LEAD_MS=str(LEAD_MS)
    ) as house:
        before = asyncio.all_tasks()
        call_sid = new_call()
        async with raw_line(await offered(house.url, call_sid), call_sid, sock=reluctant(house.url)) as line:
            await line.begin()
            line.socket.transport.pause_reading()
            held: list[int] = []
            neighbour = await house.call(
                *(BargeIn(1_000, clip("no")), BargeIn(500, clip("yes")), Wait(600), HangUp()),
                listener=lambda _: held.append(buffered_bytes(house)),
            )
            assert await tasks_gone(before) == set()
            held_after = buffered_bytes(house)
        ended = await house.journal(call_sid, "stream.ended")
    assert [one["reason"] for one in ended] == ["stalled"]
    assert 0 < max(held) < MOST_HELD_BYTES
    assert held_after == 0
    assert [turn.agent_heard_ms is not None for turn in neighbour.turns] == [True, True]
    assert neighbour.underruns == ()
    assert neighbour.complaints == ()


def reluctant(url: str) -> socket.socket:
    """A connection to the gateway with hardly any room to receive."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
    connection.connect(("127.0.0.1", int(url.rpartition(":")[2])))
    connection.setblocking(False)
    return connection


def buffered_bytes(house: RunningGateway) -> int:
    """What the gateway holds for peers who do not read."""
    lanes = [one for one in house.server.server_state.connections if isinstance(one, FastLane)]
    return sum(lane.transport.get_write_buffer_size() for lane in lanes)
