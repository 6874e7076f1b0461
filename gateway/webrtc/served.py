"""WebRTC as it is served: the endpoints, and the calls behind them once the application has started."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.routing import Route

from gateway.credentials.door import Door
from gateway.realtime.studio import Studio
from gateway.settings import Settings
from gateway.webrtc.calls import RtcCalls, open_calls
from gateway.webrtc.http import routes
from gateway.webrtc.setup import make_setup


@dataclass(slots=True)
class Served:
    """Use `opened` around the application's life."""

    settings: Settings
    door: Door
    calls: RtcCalls | None = None

    def routes(self) -> list[Route]:
        return routes(self._running, self.door.origins)

    @asynccontextmanager
    async def opened(self, studio: Studio) -> AsyncGenerator[None, None]:
        async with open_calls(studio, make_setup(self.settings)) as self.calls:
            yield

    def _running(self) -> RtcCalls:
        assert self.calls is not None, "no request comes before the application has started"
        return self.calls
