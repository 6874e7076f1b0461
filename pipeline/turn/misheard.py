"""Speech in which no words were found: asked about once, so that nobody who spoke is met with silence. Pure."""

from __future__ import annotations

LEAST_SPEECH_MS = 1_000
"""Of voice; coughs and clicks are shorter."""

UNINTELLIGIBLE = "[unintelligible]"
"""What the model reads of it."""


class Misheard:
    """Of one session. To ask again and again would be to answer a loud room: only the first in a row counts."""

    def __init__(self) -> None:
        self._was_last = False

    def is_to_be_asked(self, text: str, voiced_ms: int) -> bool:
        """Whether to ask about this utterance, whose transcript is `text`."""
        is_misheard = not text and voiced_ms >= LEAST_SPEECH_MS
        is_first, self._was_last = is_misheard and not self._was_last, is_misheard
        return is_first
