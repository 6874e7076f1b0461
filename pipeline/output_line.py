"""The output line: all sound a session makes, one after the other, and what became of it.

It keeps the playback ledger (what was heard), the playout (what the output buffer's events tell) and the sound of
items that may be retrieved. Pure; positions are samples of the session's output format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pipeline.audio.formats import AudioFormat
from pipeline.events import output_audio as wire
from pipeline.events.event import ServerEvent
from pipeline.kept_audio import KeptAudio
from pipeline.playback_ledger import PlaybackLedger
from pipeline.playout import Happened, Playout
from pipeline.reports import AudioMade


class OutputLine:
    """`plays`: our transport plays the sound, so it can be flushed, and its end can be waited for. `is_telephone`:
    if so, its listener hears nothing else, in the one format it has."""

    def __init__(
        self,
        format: AudioFormat,
        kept: KeptAudio,
        make_id: Callable[[str], str],
        *,
        plays: bool,
        is_telephone: bool = True,
    ) -> None:
        self.plays = plays
        self.is_telephone = plays and is_telephone
        self.ledger = PlaybackLedger(format.rate_hz)
        self.kept = kept
        self._format = format
        self._make_id = make_id
        self._playout = Playout()

    @property
    def format(self) -> AudioFormat:
        return self._format

    @property
    def is_sounding(self) -> bool:
        """Something we play is still to be heard; a murmur alone is nothing."""
        return self.plays and self.ledger.position < self.ledger.spoken_end

    def follow(self, format: AudioFormat) -> None:
        """Another format from now on; only before the first sound."""
        self._format = format
        self.ledger = PlaybackLedger(format.rate_hz)

    def write(self, response_id: str, item_id: str, made: AudioMade, format: AudioFormat) -> None:
        """Sound of an answer, in its own format."""
        begins = self.ledger.end
        samples = format.samples_in(made.audio) * self._format.rate_hz // format.rate_hz
        self.ledger.write(item_id, samples, made.text, made.words)
        if format == self._format:
            self.kept.write(item_id, made.audio)
        if self.plays:
            self._playout.write(response_id, begins, self.ledger.end)

    def murmur(self, audio: bytes) -> None:
        """Sound that belongs to no answer, in the session's format."""
        self.ledger.write_murmur(self._format.samples_in(audio))

    def play(self, position: int) -> list[ServerEvent]:
        """The loudspeaker has come this far."""
        self.ledger.play(position)
        return self._told(self._playout.play(self.ledger.position))

    def finish(self, response_id: str) -> list[ServerEvent]:
        """No more sound of this answer will be made."""
        return self._told(self._playout.finish(response_id, self.ledger.position))

    def flush(self) -> list[ServerEvent]:
        """Everything after the ledger's position was thrown away; the ledger is flushed first, and tells what that
        cuts."""
        return self._told(self._playout.flush(self.ledger.position))

    def _told(self, happened: list[Happened]) -> list[ServerEvent]:
        return [self._event(what, whose) for what, whose in happened]

    def _event(self, what: Literal["started", "stopped", "cleared"], response_id: str) -> ServerEvent:
        event_id = self._make_id("event")
        match what:
            case "started":
                return wire.OutputAudioBufferStarted(event_id=event_id, response_id=response_id)
            case "stopped":
                return wire.OutputAudioBufferStopped(event_id=event_id, response_id=response_id)
            case "cleared":
                return wire.OutputAudioBufferCleared(event_id=event_id, response_id=response_id)
