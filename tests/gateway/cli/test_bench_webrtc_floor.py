"""The floor: stock aiortc that echoes sound and messages, and lets go of who has left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.cli import bench_webrtc_floor
from tests.gateway.cli.webrtc_echoed import LIMIT_S, echoed

pytestmark = pytest.mark.anyio


async def test_sound_and_messages_come_back_and_a_peer_that_left_is_let_go() -> None:
    await echoed(bench_webrtc_floor.answer, least_ms=60.0)
    async with asyncio.timeout(LIMIT_S):
        while bench_webrtc_floor._peers:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def test_it_is_reached_as_a_session_is() -> None:
    paths: list[Any] = [getattr(route, "path", None) for route in bench_webrtc_floor.app.routes]
    assert paths == ["/readyz", "/v1/realtime/calls"]
