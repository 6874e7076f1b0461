"""The one error of the egress guard: why something was not sent, or an answer not read.

A message names the host and the setting that would allow it. It never has the path, the query or the addresses a
name resolved to: a client reads it, and neither a secret in a URL nor the inside of a network is for its eyes.
"""

from __future__ import annotations

import enum

ALLOW_SETTING = "SWITCHBOARD_EGRESS_ALLOW"
CLIENT_SETTING = "SWITCHBOARD_MCP_CLIENT_SERVERS"


class Reason(enum.StrEnum):
    """Short enough for the label of a metric."""

    URL = "url"
    """It cannot be read as the address of a web server without doubt."""
    SCHEME = "scheme"
    PORT = "port"
    ADDRESS = "address"
    """The host stands, or may stand, inside."""
    LOOKUP = "lookup"
    """The host's name could not be resolved in time, or at all."""
    CLIENT = "client"
    """Clients may not name this server."""
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    ENCODED = "encoded"
    """The answer is compressed, which was not asked for: a small answer may unfold into a large one."""


class EgressRefused(Exception):
    """Nothing was sent, or the answer was not read to its end."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
