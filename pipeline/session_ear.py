"""The ear of a session: its sound into the shared speech-activity model, while turns are to be found in it.

Follows the session's configuration: the format, and whether anybody listens at all.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.audio.formats import AudioFormat
from pipeline.reports import SpeechScored
from pipeline.session import Session
from pipeline.turn.speech_activity import Ear, SpeechActivity


class SessionEar:
    """Of one session. Scores go to `report`."""

    def __init__(self, session: Session, activity: SpeechActivity, report: Callable[[SpeechScored], None]) -> None:
        self._session = session
        self._activity = activity
        self._report = report
        self._ear: Ear | None = None
        self._format: AudioFormat | None = None

    def hear(self, audio: bytes) -> None:
        """Sound in the session's input format. The hot path."""
        if self._ear is not None:
            self._ear.hear(audio)

    def open(self) -> None:
        """Listen as the configuration wants it: in its format, and only where turns are to be found."""
        config = self._session.config
        wanted = config.input_format if config.turn_detection is not None else None
        if wanted == self._format:
            return
        self.close()
        self._format = wanted
        if wanted is not None:
            self._ear = self._activity.open(wanted, self._reporter(self._session.heard))
            self._ear.is_urgent = False

    def hurry(self, *, is_heard: bool) -> None:
        """While the agent is heard, every moment that speech goes unnoticed it talks over the caller."""
        if self._ear is not None:
            self._ear.is_urgent = is_heard

    def close(self) -> None:
        if self._ear is not None:
            self._ear.close()
        self._ear, self._format = None, None

    def _reporter(self, begins: int) -> Callable[[SpeechScored], None]:
        """For an ear that is opened in the middle of the input: its positions count from there."""
        if not begins:
            return self._report
        return lambda score: self._report(
            SpeechScored(begins + score.end, score.probability, begins + score.loud_until)
        )
