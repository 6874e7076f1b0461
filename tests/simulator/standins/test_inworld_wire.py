"""What is said on a line of the Inworld stand-in after its peer has gone is said to nobody."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from simulator.standins.fault import Fault
from simulator.standins.inworld_wire import Heard, Wire
from simulator.standins.serving import served

pytestmark = pytest.mark.anyio

TIMEOUT_S = 20


@pytest.mark.parametrize("ending", [Fault.CLOSE_1006, Fault.CLOSE_1011, Fault.NONE])
async def test_a_line_that_has_ended_takes_no_more_words_and_no_second_goodbye(ending: Fault) -> None:
    is_done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        wire = Wire(websocket, Heard("/", ""))
        assert await wire.receive() == {}
        if ending is not Fault.NONE:
            await wire.break_off(ending)
        assert await wire.receive() is None
        await wire.say({"contextClosed": {}})
        await wire.fail(13, "too late")
        await wire.close()
        is_done.set()

    async with served(app) as address, asyncio.timeout(TIMEOUT_S):
        async with connect(f"ws://{address}/", proxy=None) as line:
            await line.send(b"\0")
            if ending is not Fault.NONE:
                with pytest.raises(ConnectionClosed):
                    await line.recv()
        await is_done.wait()


async def test_a_peer_that_goes_while_something_is_on_its_way_is_no_fault() -> None:
    class Gone:
        """A socket whose peer has left unseen."""

        def __init__(self) -> None:
            self.tried = 0

        async def send(self, _message: object) -> None:
            self.tried += 1
            raise OSError("broken pipe")

    gone = Gone()

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    websocket = WebSocket({"type": "websocket", "headers": [], "path": "/"}, receive, gone.send)
    websocket.application_state = websocket.application_state.CONNECTED
    websocket.client_state = websocket.client_state.CONNECTED
    await Wire(websocket, Heard("/", "")).say({})
    assert gone.tried == 1
