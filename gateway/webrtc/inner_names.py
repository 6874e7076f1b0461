"""The inner names of aiortc and aioice that this package stands on, all in one place, and how one is replaced.

Neither library promises them, so each is checked here: an upgrade that moves one fails a test, not a session.
Knows nothing of what they are replaced by.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from aioice.ice import CandidatePair, Connection, StunProtocol
from aiortc import RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCSctpTransport
from aiortc.rtcsctptransport import InboundStream

METHODS: Final[Mapping[type, Mapping[str, tuple[str, ...]]]] = {
    Connection: {
        "build_request": ("pair", "nominate"),
        "check_complete": ("pair",),
        "check_incoming": ("message", "addr", "protocol"),
        "close": (),
        "data_received": ("data", "component"),
        "get_component_candidates": ("component", "addresses", "timeout"),
        "query_consent": (),
        "respond_error": ("request", "addr", "protocol", "error_code"),
    },
    StunProtocol: {
        "datagram_received": ("data", "addr"),
        "error_received": ("exc",),
        "request": ("request", "addr", "integrity_key", "retransmissions"),
    },
    RTCIceTransport: {"start": ("remoteParameters",), "stop": ()},
    RTCDtlsTransport: {
        "_send_data": ("data",),
        "_set_role": ("role",),
        "start": ("remoteParameters",),
        "stop": (),
    },
    RTCSctpTransport: {
        "_handle_data": ("data",),
        "_receive": ("stream_id", "pp_id", "data"),
        "_receive_chunk": ("chunk",),
        "start": ("remoteCaps", "remotePort"),
        "stop": (),
    },
}
"""Called or replaced, with their parameters in order."""

ATTRIBUTES: Final[Mapping[type, tuple[str, ...]]] = {
    Connection: (
        "ice_controlling",
        "remote_password",
        "_nominated",
        "_protocols",
        "_query_consent_task",
        "_queue",
        "_remote_candidates",
    ),
    CandidatePair: ("protocol", "state"),
    RTCIceGatherer: ("_connection",),
    RTCDtlsTransport: ("_rx_srtp", "_ssl", "_task", "_tx_srtp"),
    RTCSctpTransport: (
        "_advertised_rwnd",
        "_association_state",
        "_data_channels",
        "_inbound_streams",
        "_last_received_tsn",
        "_outbound_queue",
        "_sack_misordered",
        "_sack_needed",
        "_sent_queue",
    ),
    InboundStream: ("reassembly",),
}
"""Read or set on instances."""


def replace(owner: object, name: str, by: Callable[..., Any]) -> None:
    """Let `owner`, and no other of its class, have `by` for its method `name`.

    Raises `AttributeError` if the class has no such method, or one with other parameters than we know.
    """
    found = getattr(type(owner), name, None)
    wanted = METHODS[type(owner)][name]
    if found is None or tuple(inspect.signature(found).parameters)[1:] != wanted:
        raise AttributeError(
            f"{type(owner).__name__}.{name}({', '.join(wanted)}) is not there in the installed aiortc or aioice; "
            "install aiortc 1.16"
        )
    setattr(owner, name, by)
