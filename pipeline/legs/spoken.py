"""What one attempt to speak an answer has sounded, to the word: where the next one goes on if it fails.

Times of words are believed; without them words are taken in proportion, as the playback ledger takes them. In doubt
a word counts as not sounded: to hear one twice is better than not at all. Words are counted over the whole answer.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.playback_ledger import SLOWEST_CHARS_PER_S, PlaybackLedger
from pipeline.provider import Speech

FASTEST_CHARS_PER_S: Final = 25.0
"""Letters, of a voice that people can follow. Words for which a voice has made less sound are not all said, even if
it ends as if they were."""

IMPOSSIBLE_PACE: Final = 4
"""Times the fastest: who asks for more after so little sound cannot be through, however quick it is."""

_ITEM: Final = "answer"


class Spoken:
    """Of one attempt, which begins at word `begins` and speaks `speed` times as fast as usual."""

    def __init__(self, begins: int, rate_hz: int, speed: float = 1.0) -> None:
        self.told = begins
        """The words before this one are those whose sound it has announced with `Speech.text`."""
        self.is_exact = True
        """What it announces are the clauses' own words; not so if it spells them in its own way."""
        self._fastest_chars_per_s = FASTEST_CHARS_PER_S * max(1.0, speed)
        self._begins = begins
        self._rate_hz = rate_hz
        self._ledger = PlaybackLedger(rate_hz)
        self._whole = begins
        """Words before this one are known to have been sounded."""
        self._through = begins
        """It seems to be through with the words before this one."""
        self.asks_ahead = False
        """It was caught at making sound of what it seemed to be through with."""
        self._last_begins = begins
        """The first word of the last text it announced."""
        self._last_text = ""
        self._begins_with_text = False
        """The piece with the last text was the first of its sound."""
        self._since_text = 0
        """Samples made since the last text was told."""
        self._last_word_ends: int | None = None
        """The sample before which the last word announced has been said at an ordinary pace; None without times."""
        self._samples = 0

    @property
    def has_sound(self) -> bool:
        return self._samples > 0

    def made(self, speech: Speech, samples: int) -> None:
        """A piece came, with so many samples of sound."""
        if samples and not speech.text and self._through == self.told > self._begins:
            self.asks_ahead = True
            self._through = self._whole = min(self._whole, self._last_begins)
        if speech.text:
            self._last_begins = self.told
            self.told += len(speech.text.split())
            self._last_text, self._since_text = speech.text, 0
            self._begins_with_text = samples > 0
            self._last_word_ends = self._end_of_last(speech)
        self._since_text += samples
        self._samples += samples
        self._ledger.write(_ITEM, samples, speech.text, speech.words)

    def skip_to(self, place: int) -> None:
        """Words before this one have no sound, such as a row of dots."""
        self.told = max(self.told, place)

    def asked_for_more(self, given: int) -> bool:
        """It was given the words before `given` and asks for the next: whether it is through with them.

        A voice that has announced all of them, and made sound, is; not one that asks ahead, which has not announced
        the last, or makes more sound of it afterwards. If its sound suffices for the last, it has said them all.
        """
        is_announced = self.told == given and self._since_text > 0 and not self.asks_ahead
        if is_announced and self._suffices(self._last_text, self._since_text, IMPOSSIBLE_PACE):
            self._through = given
            if self._suffices(self._last_text, self._since_text):
                self._whole = given
        return self._through == given

    @property
    def breaks_off(self) -> bool:
        """Whether its sound is too short for the last words it announced, where it announces them with it."""
        return self._begins_with_text and not self._suffices(self._last_text, self._since_text)

    def may_be_all(self, words: Sequence[str]) -> bool:
        """Whether its sound suffices for these words."""
        return self._suffices("".join(words), self._samples)

    def _suffices(self, text: str, samples: int, times_faster: int = 1) -> bool:
        spoken_chars = sum(map(str.isalnum, text))
        return samples * self._fastest_chars_per_s * times_faster >= spoken_chars * self._rate_hz

    def place(self, words: Sequence[str]) -> int:
        """The first word of the answer's `words` that it has not sounded to its end."""
        if self.told > self._begins:
            made = self._begins + len(self._ledger.made(_ITEM).text.split())
            if self._last_word_ends is not None and self._samples >= self._last_word_ends:
                made = self.told
        else:
            made = self._begins + self._by_length(words[self._begins :])
        return min(max(made, self._whole), len(words))

    def _end_of_last(self, speech: Speech) -> int | None:
        if not speech.words:
            return None
        last = speech.words[-1]
        ends_s = last.start_ms / 1000 + len(last.text) / SLOWEST_CHARS_PER_S
        return self._samples + int(ends_s * self._rate_hz)

    def _by_length(self, words: Sequence[str]) -> int:
        """Sound that was never announced: so many words at an ordinary pace."""
        chars = self._samples / self._rate_hz * SLOWEST_CHARS_PER_S
        for number, word in enumerate(words):
            chars -= len(word) + 1
            if chars < 0:
                return number
        return len(words)
