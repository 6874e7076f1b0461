"""WebRTC as a part of the application: there if it is wanted, and its libraries are installed.

Nothing of `gateway.webrtc` is imported before that is known: its libraries take a fifth of a second and 20 MB.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.routing import Route

from gateway.credentials.door import Door
from gateway.realtime.call_routes import absent_routes
from gateway.realtime.studio import Studio
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.webrtc.calls import RtcCalls

NOT_WANTED = "WebRTC is switched off here. Its operator sets SWITCHBOARD_WEBRTC=1."
NOT_INSTALLED = "WebRTC is not installed here. Its operator runs: pip install 'switchboard-voice[webrtc]'."


class WebRtc:
    """Use `opened` around the application's life."""

    def __init__(self, settings: Settings, door: Door) -> None:
        self._settings = settings
        self._door = door
        self._studio: Studio | None = None
        self._calls: RtcCalls | None = None

    @property
    def why_not(self) -> str:
        """Why it is not served; empty if it is."""
        if not self._settings.webrtc:
            return NOT_WANTED
        return "" if find_spec("aiortc") is not None else NOT_INSTALLED

    def routes(self) -> list[Route]:
        """The endpoints, to be mounted at the root."""
        if self.why_not:
            return absent_routes(self._door, self.why_not)
        from gateway.webrtc.http import routes

        return routes(self._open_studio, self._open_calls, self._door.origins)

    @asynccontextmanager
    async def opened(self, studio: Studio) -> AsyncGenerator[None, None]:
        """Offers are answered while inside. Sessions that are still there at the end are told that we stop."""
        if self.why_not:
            yield
            return
        from gateway.webrtc.calls import open_calls
        from gateway.webrtc.setup import make_setup

        self._studio = studio
        async with open_calls(studio, make_setup(self._settings)) as self._calls:
            yield

    def _open_studio(self) -> Studio:
        assert self._studio is not None, "no request comes before the application has started"
        return self._studio

    def _open_calls(self) -> RtcCalls:
        assert self._calls is not None, "no request comes before the application has started"
        return self._calls
