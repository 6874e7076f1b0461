"""A transcript as it grows: what of it is certain enough to be told, while the recogniser still changes its mind.

What was told is never taken back, because clients join the pieces (Realtime reference, rule 10). So a word is told
once two guesses in a row agree on it and on all before it, and the rest with the final text.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class GrowingTranscript:
    """Of one utterance."""

    _last: list[str] = field(default_factory=list)
    _agreed: list[str] = field(default_factory=list)
    _told: str = ""

    def guess(self, text: str) -> None:
        """The recogniser's present idea of all that was said."""
        words = text.split()
        agreed = 0
        for before, now in zip(self._last, words, strict=False):
            if before != now:
                break
            agreed += 1
        self._last = words
        if agreed > len(self._agreed) and words[: len(self._agreed)] == self._agreed:
            self._agreed = words[:agreed]

    @property
    def latest(self) -> str:
        """The recogniser's present idea, certain or not."""
        return " ".join(self._last)

    def news(self) -> str:
        """What is certain and was not told before; now it counts as told."""
        certain = " ".join(self._agreed)
        return self._tell(certain) if certain.startswith(self._told) else ""

    def rest(self, final: str) -> str:
        """What is still to be told of the final text; nothing if it is not what was told."""
        return self._tell(final) if final.startswith(self._told) else ""

    def _tell(self, text: str) -> str:
        news, self._told = text[len(self._told) :], text
        return news
