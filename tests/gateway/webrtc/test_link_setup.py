from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.realtime.ice_servers import IceServer
from gateway.webrtc.link_setup import LinkFailed, make_certificate
from tests.gateway.webrtc.support import SETUP

pytestmark = pytest.mark.anyio


def test_certificates_differ() -> None:
    first, second = make_certificate(), make_certificate()
    assert first.getFingerprints()[0].value != second.getFingerprints()[0].value


async def test_the_first_server_of_each_kind_is_asked() -> None:
    servers = (
        IceServer("stun:stun.example:3479"),
        IceServer(("turn:one.example", "turn:two.example"), username="u", credential="c"),
        IceServer("stun:other.example"),
    )
    connection = replace(SETUP, servers=servers).make_gatherer()._connection
    assert connection.stun_server == ("stun.example", 3479)
    assert connection.turn_server == ("one.example", 3478)
    assert (connection.turn_username, connection.turn_password) == ("u", "c")


async def test_without_servers_none_is_asked() -> None:
    connection = SETUP.make_gatherer()._connection
    assert (connection.stun_server, connection.turn_server) == (None, None)


async def test_a_server_that_aiortc_cannot_use_is_named() -> None:
    with pytest.raises(LinkFailed, match="server of the gateway cannot be used: malformed uri"):
        replace(SETUP, servers=(IceServer("stun:x?transport=udp"),)).make_gatherer()
