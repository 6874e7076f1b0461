"""WebRTC as a part of the application's life."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.credentials.door import Door
from gateway.realtime.call_routes import OFFER_PATHS
from gateway.realtime.studio import Studio
from gateway.webrtc.calls import RtcCalls
from gateway.webrtc.served import Served
from tests.gateway.signed import SETTINGS

pytestmark = pytest.mark.anyio


async def test_its_calls_are_there_once_the_application_has_started() -> None:
    served = Served(SETTINGS, Door(SETTINGS, now=time.time))
    assert [route.path for route in served.routes()] == list(OFFER_PATHS)
    with pytest.raises(AssertionError, match="has started"):
        served._running()
    async with served.opened(cast(Studio, SimpleNamespace())):
        assert isinstance(served._running(), RtcCalls)
