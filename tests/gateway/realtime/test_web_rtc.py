"""WebRTC is there where it is wanted and installed, and costs nothing where it is not."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from typing import cast

import pytest

from gateway.credentials.door import Door
from gateway.realtime import web_rtc as module
from gateway.realtime.call_routes import OFFER_PATHS
from gateway.realtime.studio import Studio
from gateway.realtime.web_rtc import NOT_INSTALLED, NOT_WANTED, Absent, web_rtc
from gateway.webrtc.served import Served
from tests.gateway.signed import SETTINGS

pytestmark = pytest.mark.anyio

DOOR = Door(SETTINGS, now=time.time)


def test_it_is_served_where_it_is_wanted_and_installed() -> None:
    served = web_rtc(replace(SETTINGS, webrtc=True), DOOR)
    assert isinstance(served, Served)
    assert [route.path for route in served.routes()] == list(OFFER_PATHS)


async def test_where_it_is_not_wanted_it_says_so() -> None:
    absent = web_rtc(replace(SETTINGS, webrtc=False), DOOR)
    assert isinstance(absent, Absent)
    assert absent.why == NOT_WANTED
    assert [route.path for route in absent.routes()] == list(OFFER_PATHS)
    async with absent.opened(cast(Studio, None)):
        pass


def test_where_it_is_not_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(module, "find_spec", asked.append)
    absent = web_rtc(replace(SETTINGS, webrtc=True), DOOR)
    assert isinstance(absent, Absent)
    assert (absent.why, asked) == (NOT_INSTALLED, ["aiortc"])


def test_a_gateway_without_it_does_not_load_its_libraries() -> None:
    code = (
        "import sys; from gateway.app import create_gateway; from gateway.settings import read_settings; "
        "create_gateway(read_settings(environ={'SWITCHBOARD_WEBRTC': '0', 'TWILIO_AUTH_TOKEN': '0' * 32})); "
        "print({'aiortc', 'aioice', 'av'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.strip().endswith("set()"), told.stderr
