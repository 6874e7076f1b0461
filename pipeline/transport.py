"""The seam between a session and whoever is on its other end: a phone, a JSON socket, a WebRTC peer."""

from __future__ import annotations

from typing import Protocol

from pipeline.events.event import ServerEvent


class Transport(Protocol):
    """Three verbs and a flag. The engine calls them from the event loop; only `room` may wait."""

    plays: bool
    """It plays the sound itself: it can be flushed and reports `Played`. False: its client plays, and truncates."""

    def send(self, event: ServerEvent) -> None:
        """Pass an event on; `response.output_audio.delta` carries the sound. Never waits: see `room`."""
        ...

    def flush(self) -> int:
        """Throw away all sound not yet played, here and at the peer.

        Returns the position playback had then reached, in samples of output as `reports.Flushed` counts them.
        """
        ...

    async def room(self) -> None:
        """Wait until there is room for more sound. A voice speaks much faster than a phone plays."""
        ...


class _Nobody:
    plays = False

    def send(self, event: ServerEvent) -> None:
        pass

    def flush(self) -> int:
        return 0

    async def room(self) -> None:
        pass


NOBODY: Transport = _Nobody()
"""Who is at the other end of a session that is over."""
