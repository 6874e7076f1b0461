from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair, Connection, StunProtocol
from aiortc import RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCSctpTransport
from aiortc.rtcsctptransport import InboundStream

from gateway.webrtc.inner_names import ATTRIBUTES, METHODS, replace
from tests.gateway.webrtc.support import CERTIFICATE

pytestmark = pytest.mark.anyio

EVERY_METHOD = [(owner, name) for owner, names in METHODS.items() for name in names]


@pytest.mark.parametrize(("owner", "name"), EVERY_METHOD)
def test_every_method_is_there_with_the_parameters_we_know(owner: type, name: str) -> None:
    parameters = tuple(inspect.signature(getattr(owner, name)).parameters)
    assert parameters == ("self", *METHODS[owner][name])


def one_of_each() -> Iterator[object]:
    gatherer = RTCIceGatherer(iceServers=[])
    ice = RTCIceTransport(gatherer)
    dtls = RTCDtlsTransport(ice, [CERTIFICATE])
    protocol = StunProtocol(gatherer._connection)
    remote = Candidate.from_sdp("1 1 udp 1 192.0.2.1 4000 typ host")
    yield from (gatherer, ice, dtls, RTCSctpTransport(dtls), gatherer._connection, protocol, InboundStream())
    yield CandidatePair(protocol, remote)


async def test_every_attribute_is_there() -> None:
    by_class = {type(thing): thing for thing in one_of_each()}
    missing = [
        f"{owner.__name__}.{name}"
        for owner, names in ATTRIBUTES.items()
        for name in names
        if not hasattr(by_class[owner], name)
    ]
    assert missing == []


async def test_the_attributes_have_the_shapes_we_use() -> None:
    things = {type(thing): thing for thing in one_of_each()}
    connection, sctp = things[Connection], things[RTCSctpTransport]
    assert isinstance(connection, Connection) and isinstance(sctp, RTCSctpTransport)
    assert isinstance(connection._queue, asyncio.Queue) and connection._queue.maxsize == 0
    assert connection._nominated == {} and connection._protocols == [] and connection._remote_candidates == []
    assert connection._early_checks.maxlen == 100  # before `connect`, of strangers' too
    assert sctp._last_received_tsn is None and sctp._sack_misordered == set() and sctp._inbound_streams == {}
    assert sctp._association_state is sctp.State.CLOSED


async def test_one_instance_is_changed_and_no_other() -> None:
    first, second = (RTCIceGatherer(iceServers=[])._connection for _ in range(2))
    seen: list[bytes] = []
    replace(first, "data_received", lambda data, component: seen.append(data))
    first.data_received(b"one", 1)
    second.data_received(b"two", 1)
    assert seen == [b"one"]
    assert (first._queue.qsize(), second._queue.qsize()) == (0, 1)


async def test_a_method_that_has_changed_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = RTCIceGatherer(iceServers=[])._connection
    monkeypatch.setattr(Connection, "data_received", lambda self, datagram: None)
    with pytest.raises(AttributeError, match=r"Connection.data_received\(data, component\) is not there"):
        replace(connection, "data_received", print)
    monkeypatch.delattr(Connection, "data_received")
    with pytest.raises(AttributeError, match="install aiortc 1.16"):
        replace(connection, "data_received", print)
