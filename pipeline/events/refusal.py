"""What a peer asked and cannot have: the reason in the Realtime reference's words (section H.2)."""

from __future__ import annotations


class BadEvent(Exception):
    """The peer's mistake. It becomes one `error` event, or one HTTP refusal, and changes nothing."""

    def __init__(self, code: str, message: str, param: str | None = None, *, event_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        """Path of the field at fault, as `session.audio.input.format`."""
        self.event_id = event_id
        """Of the client's event at fault, if it was told."""
