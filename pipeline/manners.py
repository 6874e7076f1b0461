"""Manners: what a session says unasked. Fillers while somebody waits, murmurs while somebody speaks.

It joins the three that know when (`patience.py`, `courtesy.py`, `attention.py`) to the engine, which tells it
everything once. The last two need the providers of a cascade; a session held by a remote service has neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from pipeline.attention import Attention
from pipeline.courtesy import Courtesy
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import SpeechStarted
from pipeline.observations import FillerPlayed, Observation
from pipeline.patience import Patience, Phrase
from pipeline.phrasebook import Phrasebook
from pipeline.reports import AudioMade, Report
from pipeline.responder import Cascade
from pipeline.session import Output, Session


class Manners:
    """Of one session; used from the event loop only. `chance` draws a number from 0 up to 1."""

    def __init__(
        self,
        session: Session,
        cascade: Cascade | None,
        phrasebook: Phrasebook | None,
        *,
        perform: Callable[[list[Output]], None],
        observe: Callable[[Observation], None],
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._session = session
        self._phrasebook = phrasebook
        # Not a method: those it is given to are held here.
        self._fill = partial(_fill, session, perform, observe)
        self._patience = Patience(lambda: session.is_keeping_waiting, self._fill)
        self._courtesy: Courtesy | None = None
        self._attention: Attention | None = None
        if cascade is not None:
            self._courtesy = Courtesy(session, cascade, self._fill, now)
            self._attention = Attention(session, cascade, perform, observe, now, chance)

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The session is about to open; what takes time runs in `tasks`."""
        if self._phrasebook is not None:
            self._patience.have(self._phrasebook.phrases(self._session.config.output_format))
        if self._courtesy is not None:
            self._courtesy.begin(tasks)
        if self._attention is not None:
            self._attention.begin(tasks)

    def see(self, event: ServerEvent) -> None:
        """An event of the session, as it leaves."""
        if type(event) is SpeechStarted:
            self._patience.answered()
        if self._courtesy is not None:
            self._courtesy.see(event)
        if self._attention is not None:
            self._attention.see(event)

    @property
    def are_attentive(self) -> bool:
        """Whether somebody who speaks is listened to for a place to say "mm-hm": then scores matter too."""
        return self._attention is not None and self._attention.is_on

    def hear(self, report: Report) -> None:
        """What a worker did, once the session knows."""
        if type(report) is AudioMade:
            self._patience.answered()
            if self._courtesy is not None:
                self._courtesy.hear(report)
        elif self._attention is not None:
            self._attention.hear(report)

    def look(self) -> None:
        """Something has happened: somebody may be kept waiting now, or no longer."""
        self._patience.look()
        if self._courtesy is not None:
            self._courtesy.look()

    def leave(self) -> None:
        """The session ends."""
        self._patience.leave()
        if self._courtesy is not None:
            self._courtesy.leave()
        if self._attention is not None:
            self._attention.leave()


def _fill(
    session: Session,
    perform: Callable[[list[Output]], None],
    observe: Callable[[Observation], None],
    phrase: Phrase,
) -> None:
    outputs = session.fill(phrase.text, phrase.sound)
    if outputs:
        perform(outputs)
        observe(FillerPlayed(phrase.text))
