"""One WebSocket of the Deepgram stand-in, and all that can go wrong on it: what is said passes through here.

It knows faults and messages, not what they mean: those who listen (`deepgram_v1`, `deepgram_flux`) decide what to
say, and tell how far the utterance has come.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from simulator.standins.fault import Fault
from simulator.standins.latency import Latency, seconds_of
from simulator.standins.serving import cut

BIG_CHUNK_BYTES: Final = 10 * 1024 * 1024
"""Ten times what a careful client takes in one message."""

GARBAGE: Final = '{"type": "Resul'

DRIP_S: Final = 2.0
"""Before each message of a slow drip: words come at a tenth of the pace of speech."""


@dataclass(slots=True)
class Heard:
    """What one connection was sent, for whoever wants to know afterwards."""

    path: str
    query: dict[str, list[str]]
    authorization: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Text messages, in order."""
    audio: bytearray = field(default_factory=bytearray)


class Wire:
    """See the module's docstring. `begin` an utterance with its fault; then `say` whatever there is to say."""

    def __init__(self, websocket: WebSocket, heard: Heard, *, delay_s: float | Latency, drip_s: float) -> None:
        self._websocket = websocket
        self._heard = heard
        self._delay_s = delay_s
        self._drip_s = drip_s
        self._fault = Fault.NONE
        self._is_mute = False

    def begin(self, fault: Fault) -> None:
        """An utterance begins, and goes wrong as `fault` says."""
        self._fault = fault
        self._is_mute = self._is_mute or fault is Fault.HANG

    async def receive(self, idle_s: float | None) -> bytes | dict[str, Any] | None:
        """Sound, a message, or `None` at the end. Raises `TimeoutError` if nothing comes for `idle_s`."""
        async with asyncio.timeout(idle_s):
            message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        if (sound := message.get("bytes")) is not None:
            self._heard.audio += sound
            return bytes(sound)
        return self._read(message["text"])

    async def wait(self, text: str = "") -> None:
        """As long as a final result takes, of this text."""
        await asyncio.sleep(seconds_of(self._delay_s, text))

    async def say(self, message: dict[str, Any], *, is_half_way: bool = False) -> None:
        """Send `message`, or what the fault of this utterance makes of it; some strike once it `is_half_way`."""
        if self._is_mute or self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        text = json.dumps(message)
        match self._fault:
            case Fault.SLOW_DRIP:
                await asyncio.sleep(self._drip_s)
            case Fault.GARBAGE:
                text = GARBAGE
            case Fault.BIG_CHUNK:
                text = json.dumps({**message, "padding": "x" * BIG_CHUNK_BYTES})
            case Fault.CLOSE_1006 if is_half_way:
                self._is_mute = True
                cut(self._websocket.scope)
                return
            case Fault.CLOSE_1011 if is_half_way:
                await self.close(1011, "NET-0000")
                return
            case Fault.STALL if is_half_way:
                self._is_mute = True
        await self._send(text)

    async def close(self, code: int, reason: str = "") -> None:
        if not self._is_mute and self._websocket.application_state is WebSocketState.CONNECTED:
            self._is_mute = True
            await self._websocket.close(code, reason)

    async def _send(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            self._is_mute = True  # the peer has gone while this was on its way

    def _read(self, text: str) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            message = {"type": None, "text": text}
        self._heard.messages.append(message)
        return message
