"""WebRTC as a part of the application: there if it is wanted, and its libraries are installed.

Nothing of `gateway.webrtc` is imported before that is known: its libraries take a fifth of a second and 20 MB.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.util import find_spec
from typing import Protocol

from starlette.routing import Route

from gateway.credentials.door import Door
from gateway.realtime.call_routes import absent_routes
from gateway.realtime.studio import Studio
from gateway.settings import Settings

NOT_WANTED = "WebRTC is switched off here. Its operator sets SWITCHBOARD_WEBRTC=1."
NOT_INSTALLED = "WebRTC is not installed here. Its operator runs: pip install 'switchboard-voice[webrtc]'."


class WebRtc(Protocol):
    """What the application needs of it."""

    def routes(self) -> list[Route]:
        """The endpoints, to be mounted at the root."""
        ...

    def opened(self, studio: Studio) -> AbstractAsyncContextManager[None]:
        """Offers are answered while inside. Sessions that are still there at the end are told that we stop."""
        ...


def web_rtc(settings: Settings, door: Door) -> WebRtc:
    """As the settings and the environment have it."""
    if not settings.webrtc:
        return Absent(door, NOT_WANTED)
    if find_spec("aiortc") is None:
        return Absent(door, NOT_INSTALLED)
    from gateway.webrtc.served import Served

    return Served(settings, door)


class Absent:
    """It is not served, and `why`."""

    def __init__(self, door: Door, why: str) -> None:
        self._door = door
        self.why = why

    def routes(self) -> list[Route]:
        return absent_routes(self._door, self.why)

    def opened(self, studio: Studio) -> AbstractAsyncContextManager[None]:
        return nullcontext()
