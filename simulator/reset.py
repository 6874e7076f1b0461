"""How a network breaks a WebSocket: without a close, without an end, by a reset of its TCP connection."""

from __future__ import annotations

import socket
import struct
from typing import Final

from websockets.asyncio.client import ClientConnection

NO_LINGER: Final = struct.pack("ii", 1, 0)
"""With a linger time of zero the system sends RST and forgets what was not sent (socket(7), SO_LINGER)."""


def reset(connection: ClientConnection) -> None:
    """At once; the peer's next read fails."""
    raw = connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    connection.transport.abort()
