"""What a worker process is given when it is started: its name, its place, and three open files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Numbers of file descriptors are the same in both processes. Nothing here is secret: `ps` shows it."""

    worker_id: str
    place: int
    """In the tally, from 0."""
    listener: int
    """The descriptor of the socket that all workers accept connections from."""
    channel: int
    """The descriptor of the worker's end of the channel."""
    tally: int
    """The descriptor of the tally's memory."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        return self.listener, self.channel, self.tally

    def options(self) -> tuple[str, ...]:
        """The command line that says this."""
        return (
            *("--worker-id", self.worker_id),
            *("--place", str(self.place)),
            *("--listener", str(self.listener)),
            *("--channel", str(self.channel)),
            *("--tally", str(self.tally)),
        )
