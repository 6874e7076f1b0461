"""How a session of the Realtime protocol ends: why, and what the client is told with the close frame.

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
    HUNG_UP = "hung_up"
    """Somebody asked the hang-up endpoint for it."""
    SLOW_READER = "slow_reader"
    """The client does not take what it is sent."""
    TOO_LARGE = "too_large"
    """It sent a frame past the limit."""
    TOO_FAST = "too_fast"
    """It sent more than can be taken in, where it cannot be made to wait."""
    NEVER_CONNECTED = "never_connected"
    """An offer was answered, and nobody came."""
    CONNECTION_LOST = "connection_lost"
    """The client is silent, without a goodbye."""
    STOPPING = "stopping"
    """The gateway stops, and its time to drain is over."""
    FAULT = "fault"
    """Ours."""

    @property
    def is_final(self) -> bool:
        """Nobody will want to go on with the conversation."""
        return self in (SessionEnd.HUNG_UP, SessionEnd.NEVER_CONNECTED)


CLOSES: dict[SessionEnd, tuple[int, str]] = {
    SessionEnd.CLIENT_LEFT: (1000, ""),
    SessionEnd.EXPIRED: (1001, ""),  # its text names the limit
    SessionEnd.SESSION_OVER: (1000, "session_over"),
    SessionEnd.HUNG_UP: (1000, "hung_up"),
    SessionEnd.SLOW_READER: (1008, "slow_reader"),
    SessionEnd.TOO_LARGE: (1009, "message_too_big"),
    SessionEnd.TOO_FAST: (1008, "too_fast"),
    SessionEnd.NEVER_CONNECTED: (1001, "never_connected"),
    SessionEnd.CONNECTION_LOST: (1001, "connection_lost"),
    SessionEnd.STOPPING: (1001, "server_stopping"),
    SessionEnd.FAULT: (1011, "server_error.internal_error"),
}
"""Code and reason; what is over before we could close it needs neither."""

_BY_CODE = {1009: SessionEnd.TOO_LARGE, 1012: SessionEnd.STOPPING}


def of_disconnect(code: int | None) -> SessionEnd:
    """Why the server says the connection is gone. uvicorn gives the code it closed with, else the client's."""
    return _BY_CODE.get(code or 0, SessionEnd.CLIENT_LEFT)
