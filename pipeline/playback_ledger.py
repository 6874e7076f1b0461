"""The playback ledger: which samples of output carry which words of which item, and what of them was heard.

One line of samples runs through a session's whole output. Sound is written at its end as it is made; the
peer's loudspeaker moves `position` along it (marks on a phone, our own clock on WebRTC, the client's
`conversation.item.truncate` where it plays for itself). When playback is flushed the line is cut at the position,
so that what comes next begins there: positions count only sound that was not thrown away.

Knows no clock and no transport. Who estimates the position, and how well, is not its business.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from pipeline.provider import WordTime

MAX_ITEMS = 64
"""Older items have long been played; what was heard of them is already in the conversation."""

SLOWEST_CHARS_PER_S = 15.0
"""Pace assumed for a clause whose end is not made yet, if its voice gives no word times: ordinary speech.
Guessing faster than the truth would claim words that nobody heard."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What reached the listener of one item."""

    item_id: str
    ms: int
    text: str
    """Whole words only, each played to its end."""
    is_whole: bool
    """All that was made of the item has been heard."""


@dataclass(slots=True)
class _Clause:
    text: str
    begins: int
    """Samples into its item."""
    words: tuple[WordTime, ...]


@dataclass(slots=True)
class _Entry:
    """An item's stretch of the line."""

    begins: int
    """Position of its first sample."""
    samples: int = 0
    """Made so far."""
    is_finished: bool = False
    """Its last clause was spoken to its end."""
    clauses: list[_Clause] = field(default_factory=list)
    cut_at: int | None = None
    """Samples of it that were heard before a flush threw the rest away."""

    @property
    def kept(self) -> int:
        return self.samples if self.cut_at is None else self.cut_at


class PlaybackLedger:
    """See the module's docstring. All positions are samples of output at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.end = 0
        """Position after the last sample made."""
        self.position = 0
        """How far the loudspeaker has come."""
        self.spoken_end = 0
        """Position after the last sample of an item: sound behind it says nothing."""

    @property
    def is_drained(self) -> bool:
        """Everything made has been heard or thrown away."""
        return self.position >= self.end

    def write(self, item_id: str, samples: int, text: str = "", words: tuple[WordTime, ...] = ()) -> None:
        """Sound was made for an item; if a clause begins with it, `text` is what that clause says."""
        entry = self._entries.get(item_id)
        if entry is None:
            entry = self._entries[item_id] = _Entry(begins=self.end)
            if len(self._entries) > MAX_ITEMS:
                self._entries.popitem(last=False)
        if text:
            entry.clauses.append(self._clause(entry, text, words))
        entry.samples += samples
        self.end += samples
        self.spoken_end = self.end

    def write_murmur(self, samples: int) -> None:
        """Sound of no item was made. Only between items, never in the middle of one."""
        self.end += samples

    def _clause(self, entry: _Entry, text: str, words: tuple[WordTime, ...]) -> _Clause:
        """A clause begins with the next sample, or where its first word does: words may be timed before or after
        their sound is made."""
        offset_ms = words[0].start_ms if words else 0
        least = entry.clauses[-1].begins if entry.clauses else 0
        begins = max(least, entry.samples + offset_ms * self._rate_hz // 1000)
        shift_ms = (entry.samples - begins) * 1000 // self._rate_hz
        if shift_ms:
            words = tuple(WordTime(word.text, max(0, word.start_ms + shift_ms)) for word in words)
        return _Clause(text=text, begins=begins, words=words)

    def finish(self, item_id: str) -> None:
        """All of this item has been spoken; what was broken off is never finished."""
        if entry := self._entries.get(item_id):
            entry.is_finished = True

    def play(self, position: int) -> None:
        """The loudspeaker has come this far. It never goes back, and never past what was made."""
        self.position = max(self.position, min(position, self.end))

    def flush(self, position: int) -> list[Heard]:
        """Everything after `position` was thrown away: what was heard of each item that this cuts short."""
        self.play(position)
        cut: list[Heard] = []
        for item_id, entry in self._entries.items():
            if entry.cut_at is None and entry.begins + entry.samples > self.position:
                entry.cut_at = max(0, self.position - entry.begins)
                cut.append(self.heard(item_id))
        self.end = self.position
        self.spoken_end = min(self.spoken_end, self.end)
        return cut

    def truncate(self, item_id: str, audio_end_ms: int) -> Heard:
        """A client that plays for itself says how much of an item it has played. KeyError without sound."""
        entry = self._entries[item_id]
        entry.cut_at = min(entry.kept, audio_end_ms * self._rate_hz // 1000)
        return self.heard(item_id)

    def holds(self, item_id: str) -> bool:
        """Whether sound was made for this item."""
        return item_id in self._entries

    def kept_ms(self, item_id: str) -> int | None:
        """Length of an item's sound that was not thrown away; None for an item without sound."""
        entry = self._entries.get(item_id)
        return entry.kept * 1000 // self._rate_hz if entry else None

    def made(self, item_id: str) -> Heard:
        """All that can ever be heard of an item that was broken off: thoughts that got no sound are not in it."""
        entry = self._entries.get(item_id)
        return self._until(item_id, entry, entry.kept) if entry else Heard(item_id, 0, "", is_whole=False)

    def heard(self, item_id: str) -> Heard:
        """What of an item has reached the listener by now. Raises KeyError for an item without sound."""
        entry = self._entries[item_id]
        samples = entry.cut_at
        if samples is None:
            samples = min(entry.samples, max(0, self.position - entry.begins))
        return self._until(item_id, entry, samples)

    @property
    def unheard(self) -> list[str]:
        """The items whose sound is made, not thrown away, and not yet heard to its end; in order."""
        found: list[str] = []
        for item_id, entry in reversed(self._entries.items()):
            if entry.begins + entry.samples <= self.position:
                break  # what was written before it has been heard too
            if entry.cut_at is None:
                found.append(item_id)
        return found[::-1]

    def _until(self, item_id: str, entry: _Entry, samples: int) -> Heard:
        return Heard(
            item_id=item_id,
            ms=samples * 1000 // self._rate_hz,
            text=self._words_within(entry, samples),
            is_whole=samples >= entry.samples and entry.cut_at is None,
        )

    def _words_within(self, entry: _Entry, samples: int) -> str:
        heard: list[str] = []
        for index, clause in enumerate(entry.clauses):
            if clause.begins >= samples:
                break
            is_last = index + 1 == len(entry.clauses)
            ends = entry.samples if is_last else entry.clauses[index + 1].begins
            if samples >= ends and (entry.is_finished or not is_last):
                heard.append(clause.text)
            else:
                heard.append(self._words_of(clause, samples - clause.begins, ends - clause.begins))
        return " ".join(h for h in heard if h)

    def _words_of(self, clause: _Clause, samples: int, made: int) -> str:
        if clause.words:
            ms = samples * 1000 / self._rate_hz
            # A word has been heard when the next one begins; the last, when the clause is over.
            following = clause.words[1:]
            whole = [
                word.text for word, after in zip(clause.words, following, strict=False) if after.start_ms <= ms
            ]
            return " ".join(whole)
        least = int(len(clause.text) / SLOWEST_CHARS_PER_S * self._rate_hz)
        chars = len(clause.text) * samples // max(made, least, 1)
        heard = clause.text[:chars]
        if chars < len(clause.text) and not clause.text[chars].isspace():
            heard = heard.rpartition(" ")[0]
        return heard.strip()
