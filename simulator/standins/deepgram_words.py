"""A scripted transcript that comes out word by word, as voice goes in: how the Deepgram stand-in understands.

Pure. It hears frames, voice or not, and tells how much of the script was said by then; which messages that makes is
for the two wires to decide.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from simulator.standins.energy import FRAME_MS

WORD_MS: Final = 200
"""Voice a word takes: 300 words a minute, a fast speaker, so that no script is longer than its sound."""


class Words(Protocol):
    """What was understood of one utterance so far. Times are milliseconds of its sound."""

    voice_ms: int
    silence_ms: int
    """Since the last voice."""
    shown: int
    """Words understood so far."""

    def listen(self, sound: bytes) -> None:
        """The sound itself, before `hear` is told of its frames."""
        ...

    def hear(self, is_voice: bool) -> bool: ...
    def show_all(self) -> None: ...
    @property
    def is_half_way(self) -> bool: ...
    def text(self, start: int = 0) -> str: ...
    def entries(self, start: int, began_ms: int) -> list[dict[str, Any]]: ...


class ScriptedWords:
    """One transcript being said. Times are milliseconds of this sound."""

    def __init__(self, text: str) -> None:
        self._words = text.split()
        self.voice_ms = 0
        self.silence_ms = 0
        """Since the last voice."""
        self.shown = 0
        """Words understood so far."""

    def listen(self, sound: bytes) -> None:
        """It is all the same what is said."""

    def hear(self, is_voice: bool) -> bool:
        """One frame. Says whether one more word was understood."""
        if not is_voice:
            self.silence_ms += FRAME_MS
            return False
        self.silence_ms = 0
        self.voice_ms += FRAME_MS
        if self.shown < min(len(self._words), self.voice_ms // WORD_MS):
            self.shown += 1
            return True
        return False

    def show_all(self) -> None:
        """The speaker is done: what is missing was said too, if anything was said at all."""
        if self.voice_ms:
            self.shown = len(self._words)

    @property
    def is_empty(self) -> bool:
        """There is nothing to understand."""
        return not self._words

    @property
    def is_half_way(self) -> bool:
        return self.shown * 2 >= len(self._words)

    def text(self, start: int = 0) -> str:
        """The words understood, from number `start` on."""
        return " ".join(self._words[start : self.shown])

    def entries(self, start: int, began_ms: int) -> list[dict[str, Any]]:
        """The same with times in seconds, for sound that began at `began_ms`."""
        return [
            {
                "word": word,
                "start": (began_ms + number * WORD_MS) / 1000,
                "end": (began_ms + (number + 1) * WORD_MS) / 1000,
                "confidence": 0.99,
            }
            for number, word in enumerate(self._words[start : self.shown], start)
        ]
