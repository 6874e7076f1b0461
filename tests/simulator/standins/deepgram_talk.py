"""One whole connection to the Deepgram stand-in: what is sent, and everything that comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from simulator.standins.deepgram import deepgram_app
from simulator.standins.fault import Faults
from simulator.standins.serving import served
from simulator.standins.tone import hum_ulaw

TIMEOUT_S = 30

CLOSE = {"type": "CloseStream"}


def voice(words: int) -> bytes:
    """As much µ-law sound as the stand-in needs to hear `words` words."""
    return hum_ulaw(words)


def silence(ms: int) -> bytes:
    return b"\xff" * (8 * ms)


async def talk(
    path: str, script: Sequence[str], *sent: bytes | dict[str, Any], **query: str
) -> tuple[list[dict[str, Any]], int | None]:
    """All messages until the connection is closed, and the code it is closed with."""
    query = {"encoding": "mulaw", "sample_rate": "8000", **query}
    received: list[dict[str, Any]] = []
    async with served(deepgram_app(script, Faults())) as at, asyncio.timeout(TIMEOUT_S):
        url = f"ws://{at}{path}?{urlencode(query)}"
        async with connect(url, additional_headers={"Authorization": "Token k"}) as websocket:
            for thing in sent:
                await websocket.send(thing if isinstance(thing, bytes) else json.dumps(thing))
            try:
                while True:
                    received.append(json.loads(await websocket.recv()))
            except ConnectionClosed:
                return received, websocket.close_code
