"""A transcript read from the subtitles of the sound: a recogniser that is late, and makes no mistakes.

Pure. It is what `ScriptedWords` is, for sound that says by itself what is said in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from simulator.standins.energy import FRAME_MS
from simulator.subtitles import SubtitleReader


class SubtitledWords:
    """One utterance being heard. `texts` are the words of each utterance by its number; `lag_ms` tells how late
    partial transcripts of one are, counted in its sound; `ended` is told its text at the end."""

    def __init__(
        self,
        texts: Mapping[int, str],
        *,
        lag_ms: Callable[[str], float] = lambda _: 0.0,
        ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._texts = texts
        self._lag_ms = lag_ms
        self._ended = ended
        self._reader = SubtitleReader()
        self._utterance: int | None = None
        self._words: list[str] = []
        self._late_ms = 0.0
        self._heard_ms = 0
        self._due: deque[tuple[float, int]] = deque()
        """When how many words may be shown."""
        self.voice_ms = 0
        self.silence_ms = 0
        self.shown = 0

    def listen(self, sound: bytes) -> None:
        """Sound, before its frames are judged."""
        for utterance, said in self._reader.read(sound):
            if utterance != self._utterance:
                self._utterance = utterance
                self._words = self._texts[utterance].split()
                self._late_ms = self._lag_ms(self._texts[utterance])
            self._due.append((self._heard_ms + self._late_ms, said))

    def hear(self, is_voice: bool) -> bool:
        """One frame. Says whether more was understood."""
        self._heard_ms += FRAME_MS
        self.silence_ms = 0 if is_voice else self.silence_ms + FRAME_MS
        self.voice_ms += FRAME_MS if is_voice else 0
        before = self.shown
        while self._due and self._due[0][0] <= self._heard_ms:
            self.shown = self._due.popleft()[1]
        return self.shown > before

    def show_all(self) -> None:
        """The speaker is done: what was said is known, all of it."""
        while self._due:
            self.shown = self._due.popleft()[1]
        self._ended(self.text())

    @property
    def is_half_way(self) -> bool:
        return self.shown * 2 >= len(self._words)

    def text(self, start: int = 0) -> str:
        """The words understood, from number `start` on."""
        return " ".join(self._words[start : self.shown])

    def entries(self, start: int, began_ms: int) -> list[dict[str, Any]]:
        """The same as the wire has them; their times nobody needs."""
        return [
            {"word": word, "start": began_ms / 1000, "end": began_ms / 1000, "confidence": 0.99}
            for word in self._words[start : self.shown]
        ]
