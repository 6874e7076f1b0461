"""The gateway's own connections with an echo behind them."""

from __future__ import annotations

import asyncio

import pytest

from gateway.cli import bench_webrtc_echo
from gateway.cli.bench_webrtc_echo import Echoes
from tests.gateway.cli.webrtc_echoed import LIMIT_S, echoed

pytestmark = pytest.mark.anyio


async def test_sound_and_messages_come_back_and_a_peer_that_left_is_let_go() -> None:
    echoes = Echoes()
    before = asyncio.all_tasks()
    async with asyncio.timeout(2 * LIMIT_S), echoes.opened(None):
        await echoed(echoes.take, least_ms=26.0)
        # What is left is the task that keeps the group open.
        while len(asyncio.all_tasks() - before) > 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def test_it_is_reached_as_a_session_is() -> None:
    paths = [getattr(route, "path", None) for route in bench_webrtc_echo.app.routes]
    assert paths == ["/readyz", "/v1/realtime/calls"]
