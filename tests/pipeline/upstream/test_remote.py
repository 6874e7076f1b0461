"""A remote that misbehaves before a session is there, and sockets that fail; no network."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from pipeline.events.config import SessionConfig
from pipeline.provider import ProviderError
from pipeline.upstream.connection import CONNECT_LIMIT_S, Socket
from pipeline.upstream.far_session import FarSession, FarState
from pipeline.upstream.remote import RemoteRealtime
from pipeline.upstream.shape import Address
from tests.pipeline.upstream.support import source
from tests.virtual_time import VIRTUAL_TIME, VirtualTime, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> VirtualTime:
    return VIRTUAL_TIME


class Scripted:
    """A socket that says its script, then nothing; an exception in it is raised. After `session.created` it waits
    to be told something."""

    def __init__(self, *script: dict[str, Any] | Exception, reads: bool = True) -> None:
        self.script = deque(script)
        self._length = len(script)
        self.sent: list[dict[str, Any]] = []
        self.is_closed = False
        self._reads = reads
        self._is_told = asyncio.Event()
        self._has_more = asyncio.Event()

    async def send(self, message: bytes, *, text: bool) -> None:
        if not self._reads:
            await asyncio.Event().wait()
        self.sent.append(json.loads(message))
        self._is_told.set()

    async def recv(self) -> str:
        while not self.script:
            self._has_more.clear()
            await self._has_more.wait()
        if self.script[0] is not CREATED and len(self.script) < self._length:
            await self._is_told.wait()
        step = self.script.popleft()
        if isinstance(step, Exception):
            raise step
        return json.dumps(step)

    def tell(self, step: dict[str, Any]) -> None:
        """One more."""
        self.script.append(step)
        self._has_more.set()

    async def close(self) -> None:
        self.is_closed = True


CREATED: dict[str, Any] = {"type": "session.created", "session": {}}
UPDATED: dict[str, Any] = {"type": "session.updated", "session": {}}


async def opened(*script: dict[str, Any] | Exception) -> tuple[FarSession, Scripted]:
    socket = Scripted(*script)

    async def dial(address: Address) -> Socket:
        assert address.url == "ws://h/v1/realtime?model=stand-in"
        return socket

    remote = RemoteRealtime(source("h"), dial=dial)
    assert (remote.label, remote.takes_images, remote.hears_sound) == ("openai/stand-in", True, True)
    async with asyncio.TaskGroup() as tasks:
        try:
            far = await remote._open(SessionConfig(), tasks)
            assert far.state is FarState.READY
        finally:
            await settle()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if "FarSession" in repr(task.get_coro()):
                    task.cancel()
    return far, socket


async def test_a_session_is_ready_once_it_is_configured_and_closed_when_it_is_left() -> None:
    far, socket = await opened(CREATED, UPDATED)
    assert socket.sent[0]["type"] == "session.update"
    assert socket.is_closed
    assert far.state is FarState.LOST


def closed(code: int, reason: str = "") -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, reason), None)


@pytest.mark.parametrize(
    ("script", "reason", "retryable"),
    [
        ((), f"did not answer within {CONNECT_LIMIT_S:g} seconds", True),
        ((CREATED,), f"did not answer within {CONNECT_LIMIT_S:g} seconds", True),
        ((closed(1011, "oops"),), r"closed the connection \(1011 oops\)", True),
        ((closed(3000, "invalid_api_key"),), "3000", False),
        ((ConnectionClosedError(None, None),), "1006", True),
        ((OSError("wire cut"),), "cannot be reached any more: wire cut", True),
        (({"type": "error", "error": {"code": "invalid_api_key"}},), "refused the session: invalid_api_key", False),
        ((CREATED, {"type": "error", "error": {"code": "x"}}), "refused the configuration: x", False),
        (({"type": "session.created"},), "broke the protocol", True),
    ],
)
async def test_why_there_is_no_session_is_told_and_whether_to_try_again(
    script: tuple[dict[str, Any] | Exception, ...], reason: str, retryable: bool
) -> None:
    with pytest.raises(ExceptionGroup) as failed:
        await opened(*script)
    assert failed.group_contains(ProviderError, match=reason)
    assert [error.retryable for error in failed.value.exceptions if isinstance(error, ProviderError)] == [retryable]


@pytest.mark.parametrize("failure", [OSError("no route"), TimeoutError()])
async def test_nobody_at_the_other_end_may_be_tried_again(failure: Exception) -> None:
    async def dial(address: Address) -> Socket:
        raise failure

    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(ProviderError) as refused:
            await RemoteRealtime(source("h"), dial=dial)._open(SessionConfig(), tasks)
    assert refused.value.retryable
