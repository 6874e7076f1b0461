"""How a link ends."""

from __future__ import annotations

import enum


class LinkEnd(enum.StrEnum):
    """Few enough to be a metric's label."""

    NEVER_CONNECTED = "never_connected"
    """ICE, DTLS or SCTP failed, or were not done in time."""
    CONNECTION_LOST = "connection_lost"
    """The peer no longer answers: its consent to be sent to has expired (RFC 7675)."""
    PEER_LEFT = "peer_left"
    """It closed DTLS, SCTP or the channel, or speaks an SCTP that cannot be read."""
    TOO_LARGE = "message_too_large"
    """It sent a message past the limit, or wants more held than it was given room for."""
