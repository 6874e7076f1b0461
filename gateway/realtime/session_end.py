"""How a connection of the Realtime protocol ends: why, and what the client is told with the close frame.

Codes are RFC 6455's (section 7.4.1) and the Realtime reference's (section A.5).
"""

from __future__ import annotations

import enum


class SessionEnd(enum.StrEnum):
    """Few enough to be a metric's label."""

    CLIENT_LEFT = "client_left"
    EXPIRED = "expired"
    """It had its longest life."""
    SESSION_OVER = "session_over"
    """Of a side-band: the session it joined has ended."""
    SLOW_READER = "slow_reader"
    """The client does not take what it is sent."""
    TOO_LARGE = "too_large"
    """It sent a frame past the limit."""
    STOPPING = "stopping"
    """The gateway stops, and its time to drain is over."""
    FAULT = "fault"
    """Ours."""


CLOSES: dict[SessionEnd, tuple[int, str]] = {
    SessionEnd.CLIENT_LEFT: (1000, ""),
    SessionEnd.EXPIRED: (1001, ""),  # its text names the limit
    SessionEnd.SESSION_OVER: (1000, "session_over"),
    SessionEnd.SLOW_READER: (1008, "slow_reader"),
    SessionEnd.TOO_LARGE: (1009, "message_too_big"),
    SessionEnd.STOPPING: (1001, "server_stopping"),
    SessionEnd.FAULT: (1011, "server_error.internal_error"),
}
"""Code and reason; what is over before we could close it needs neither."""

_BY_CODE = {1009: SessionEnd.TOO_LARGE, 1012: SessionEnd.STOPPING}


def of_disconnect(code: int | None) -> SessionEnd:
    """Why the server says the connection is gone. uvicorn gives the code it closed with, else the client's."""
    return _BY_CODE.get(code or 0, SessionEnd.CLIENT_LEFT)
