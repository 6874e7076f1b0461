"""The line between a session and its client: a WebSocket or a peer connection, as the session's owner sees it."""

from __future__ import annotations

from typing import Protocol

from gateway.fast_lane import Direct
from gateway.realtime.ingress import Ingress
from gateway.realtime.peer import Peer
from gateway.realtime.session_end import SessionEnd
from pipeline.engine import Engine
from pipeline.transport import Transport


class Line(Protocol):
    """The first reason to end stands; what was to be said until then is said, where there is still somebody."""

    peer: Peer
    """Whoever reads the events."""

    direct: Direct | None
    """The server's short way, if there is one."""

    @property
    def end(self) -> SessionEnd | None:
        """Why; None while it lives."""
        ...

    @property
    def transport(self) -> Transport:
        """What the session plays and tells on."""
        ...

    async def opened(self, engine: Engine) -> bool:
        """Wait for the client to be there. False: it never came."""
        ...

    def finish(self, why: SessionEnd) -> None:
        """It is to end."""
        ...

    async def read(self, ingress: Ingress) -> None:
        """Hear the client until it is gone. Its owner cancels it if the end comes from our side."""
        ...

    async def close(self, *, reason: str | None = None) -> None:
        """Write what waits, then close as the end demands; `reason` is for the close frame."""
        ...
