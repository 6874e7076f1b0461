"""One WebSocket of the Inworld stand-in: JSON in, results out, and the ways in which a line can end.

It knows neither speech nor faults; those who listen (`inworld_stt`) and speak (`inworld_tts`) decide what to say.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from simulator.standins.fault import Fault
from simulator.standins.serving import cut

BIG_CHUNK_BYTES: Final = 10 * 1024 * 1024

GARBAGE: Final = '{"result": {"contextId": "answer-1", "audioChu'

DRIP_S: Final = 0.5
"""Before each piece of a slow drip."""

INVALID_ARGUMENT: Final = 3
NOT_FOUND: Final = 5
RESOURCE_EXHAUSTED: Final = 8
"""gRPC status codes, which Inworld puts into its results (https://grpc.io/docs/guides/status-codes/)."""

REFUSALS: Final = {
    Fault.REFUSE: (16, "the credentials are not valid"),
    Fault.TOO_MANY: (RESOURCE_EXHAUSTED, "too many requests"),
    Fault.BROKEN: (13, "internal error"),
}
"""How what is usually said at the handshake is said on a line that is open already."""


@dataclass(slots=True)
class Heard:
    """What one connection was sent, for whoever wants to know afterwards."""

    path: str
    authorization: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    """In order; sound is in `audio` instead."""
    audio: bytearray = field(default_factory=bytearray)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the connection has ended."""

    def kinds(self) -> list[str]:
        """What each message is: `create`, `send_text` …"""
        return [next((key for key in message if key != "contextId"), "") for message in self.messages]


class Wire:
    """See the module's docstring. What is said after the peer has gone is said to nobody."""

    def __init__(self, websocket: WebSocket, heard: Heard) -> None:
        self._websocket = websocket
        self.heard = heard

    async def receive(self) -> dict[str, Any] | None:
        """The next message; `None` at the end. What is no JSON object is an empty one."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        try:
            value = json.loads(message.get("text") or "")
        except ValueError:
            value = None
        return value if isinstance(value, dict) else {}

    async def say(self, result: dict[str, Any]) -> None:
        await self.say_text(json.dumps({"result": result}))

    async def say_text(self, text: str) -> None:
        if self._is_open:
            try:
                await self._websocket.send_text(text)
            except (WebSocketDisconnect, RuntimeError):
                pass  # the peer has gone while this was on its way

    async def fail(self, code: int, message: str) -> None:
        """An error of the whole connection."""
        await self.say_text(json.dumps({"error": {"code": code, "message": message, "details": []}}))

    async def close(self, code: int = 1000) -> None:
        if self._is_open:
            await self._websocket.close(code)

    async def break_off(self, fault: Fault) -> None:
        """`CLOSE_1006` or `CLOSE_1011`."""
        if fault is Fault.CLOSE_1006:
            cut(self._websocket.scope)
        else:
            await self.close(1011)

    @property
    def _is_open(self) -> bool:
        states = (self._websocket.application_state, self._websocket.client_state)
        return all(state is WebSocketState.CONNECTED for state in states)
