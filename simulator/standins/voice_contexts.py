"""The contexts of a voice's stand-in on one WebSocket: they speak side by side, and each goes wrong as it is told.

How a service writes down sound, words and ends is its stand-in's business (`Wording`); when they are sent, and what
a fault makes of them, is decided here:

* `hang`: nothing comes; `zero-audio`: the end comes, and no sound; `stall`, `close-1006`, `close-1011`: in the
  middle of the first text; `garbage`: broken JSON instead of each chunk; `slow-drip`: 20 ms of sound every half
  second; `odd-pcm`: chunks end in the middle of samples; `big-chunk`: a text and ten megabytes more in one message.
* `refuse`, `too-many`, `broken` are the handshake's, and strike when a connection is opened.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final, Protocol

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from simulator.standins.fault import HANDSHAKE_STATUS, Fault, Faults
from simulator.standins.recital import CHUNK_MS, Chunk, Recital, TimedText
from simulator.standins.serving import cut

DRIP_S: Final = 0.5
"""Between chunks of a slow drip: a 25th of the pace of speech."""

PACE: Final = 20.0
"""How many times faster than speech sound is sent."""

TEXTS_AHEAD: Final = 64
"""Texts that wait to be spoken; then the connection is not read any further."""

GARBAGE: Final = '{"type": "chu'

_HALF_WAY: Final = frozenset({Fault.STALL, Fault.CLOSE_1006, Fault.CLOSE_1011})


class Wording(Protocol):
    """How a service says things in one context."""

    def chunk(self, chunk: Chunk) -> list[dict[str, Any]]: ...
    def words(self, words: list[TimedText]) -> list[dict[str, Any]]:
        """Sent after the first chunk of each text."""
        ...

    def text_is_spoken(self) -> list[dict[str, Any]]: ...
    def end(self) -> list[dict[str, Any]]: ...


def refusal_at_handshake(faults: Faults) -> JSONResponse | None:
    """The answer to a handshake whose fault is due; any other fault stays for the context to come."""
    due = faults.take_at_handshake()
    if due is None:
        return None
    return JSONResponse({"detail": f"this stand-in was told to be {due.value}"}, HANDSHAKE_STATUS[due])


class SpokenSocket:
    """A WebSocket whose peer may be gone by the time something is said. JSON objects both ways."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self.is_cut = False

    async def receive(self, idle_s: float | None = None) -> dict[str, Any] | None:
        """A message, empty if it is no JSON object; `None` at the end. Raises `TimeoutError` after `idle_s`."""
        async with asyncio.timeout(idle_s):
            received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            return None
        try:
            message = json.loads(received.get("text") or "")
        except ValueError:
            return {}
        return message if isinstance(message, dict) else {}

    async def say(self, message: dict[str, Any] | str) -> None:
        if self.is_cut or self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            await self._websocket.send_text(message if isinstance(message, str) else json.dumps(message))
        except (WebSocketDisconnect, RuntimeError):
            self.is_cut = True  # it has gone while this was on its way

    async def close(self, code: int, reason: str = "") -> None:
        if not self.is_cut and self._websocket.application_state is WebSocketState.CONNECTED:
            self.is_cut = True
            await self._websocket.close(code, reason)

    def cut(self) -> None:
        self.is_cut = True
        cut(self._websocket.scope)


class VoiceContext:
    """One context: texts in by `tell`, messages out while `speak` runs. `None` is told at the end."""

    def __init__(
        self, socket: SpokenSocket, wording: Wording, recital: Recital, fault: Fault, *, delay_s: float, pace: float
    ) -> None:
        self._socket = socket
        self._wording = wording
        self._recital = recital
        self._fault = fault
        self._is_mute = fault is Fault.HANG
        """Whatever it is told, nothing comes any more."""
        self._delay_s = delay_s
        self._pace = pace
        self._texts: asyncio.Queue[str | None] = asyncio.Queue(TEXTS_AHEAD)
        self.is_over = False
        """It was spoken to its end, or will never be."""
        self.has_expired = False
        """It ended because nothing more was told for too long."""

    async def tell(self, text: str | None) -> None:
        if not self.is_over:
            await self._texts.put(text)

    async def speak(self, *, expires_s: float | None = None) -> None:
        """Say what is told. Ends by itself `expires_s` after its last sound."""
        wait_s: float | None = None
        while (text := await self._next(wait_s)) is not None:
            if self._is_mute:
                continue
            if wait_s is None and self._delay_s:
                await asyncio.sleep(self._delay_s)
            if self._fault is not Fault.ZERO_AUDIO and not await self._say_text(text):
                return
            wait_s = None if self._is_mute else expires_s
        self.is_over = True
        if not self._is_mute:
            await self._say_all(self._wording.end())

    async def _next(self, wait_s: float | None) -> str | None:
        try:
            async with asyncio.timeout(wait_s):
                return await self._texts.get()
        except TimeoutError:
            self.has_expired = True
            return None

    async def _say_text(self, text: str) -> bool:
        """Whether there is anything to follow."""
        chunks, words = self._recital.recite(text)
        for number, chunk in enumerate(chunks):
            if self._fault in _HALF_WAY and 2 * number >= len(chunks):
                return await self._break_off()
            if self._fault is Fault.GARBAGE:
                await self._socket.say(GARBAGE)
            else:
                await self._say_all(self._wording.chunk(chunk))
            if number == 0:
                await self._say_all(self._wording.words(words))
            await asyncio.sleep(DRIP_S if self._fault is Fault.SLOW_DRIP else CHUNK_MS / 1000 / self._pace)
        await self._say_all(self._wording.text_is_spoken())
        return True

    async def _break_off(self) -> bool:
        """Whether the connection stays."""
        if self._fault is Fault.STALL:
            self._is_mute = True
            return True
        self.is_over = True
        if self._fault is Fault.CLOSE_1006:
            self._socket.cut()
        else:
            await self._socket.close(1011, "an error of the stand-in's own")
        return False

    async def _say_all(self, messages: Iterable[dict[str, Any]]) -> None:
        for message in messages:
            await self._socket.say(message)
