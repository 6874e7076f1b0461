"""Who has the floor: which of several peers of a session is being listened to at this moment.

What a peer did wrong is told to that peer alone: stock clients take an `error` they did not cause for the end
(Realtime reference, rule 8).
"""

from __future__ import annotations


class Floor:
    """Set around each event of a peer, for as long as the session takes to answer it."""

    __slots__ = ("speaker",)

    def __init__(self) -> None:
        self.speaker: object | None = None
        """The peer; None while nobody is being listened to."""

    def concerns(self, peer: object) -> bool:
        """Whether an `error` that comes now is this peer's."""
        return self.speaker is None or self.speaker is peer
