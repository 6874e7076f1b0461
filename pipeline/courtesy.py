"""Courtesy: something short for a client that waits for the first sound of an answer.

A phone has `patience.py`, which says phrases spoken beforehand; this is what a Realtime client asks for with
`providerData.responsiveness` (Realtime reference, section G.3). The filler is sound of the response under way, so
client, transcript and ledger know it as any other. It is dropped if the answer's own sound comes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pipeline.audio.formats import PCM_24K
from pipeline.audio.transcode import transcode
from pipeline.events.conversation import ConversationItemAdded
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import SpeechStarted
from pipeline.events.items import Message
from pipeline.events.response import ResponseCreated, ResponseDone
from pipeline.events.session import SessionCreated, SessionUpdated
from pipeline.legs.take import can_be_spoken
from pipeline.patience import Phrase
from pipeline.prompts import told
from pipeline.provider import Prompt, ProviderError
from pipeline.reports import AudioMade, Report
from pipeline.responder import Cascade
from pipeline.responsiveness import FILLERS, Ration, Responsiveness, responsiveness_in
from pipeline.session import Session
from pipeline.small_model import ask, tail_of

log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "The answer to the last message takes a moment. Say in a few words, in its language, that you are thinking about "
    "it. Do not answer it, and promise nothing."
)


class Courtesy:
    """Of one session of a cascade; used from the event loop only. `fill` plays a phrase, if somebody still waits."""

    def __init__(
        self, session: Session, cascade: Cascade, fill: Callable[[Phrase], None], now: Callable[[], float]
    ) -> None:
        self._session = session
        self._cascade = cascade
        self._fill = fill
        self._now = now
        self._settings = Responsiveness()
        self._ration = Ration(self._settings)
        self._tasks: asyncio.TaskGroup | None = None
        self._waits_for: str | None = None
        """The response under way, until its first sound."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        """The wait is over, and the response it is for has not begun."""
        self._making: asyncio.Task[None] | None = None
        self._next = 0

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The session runs."""
        self._tasks = tasks

    def see(self, event: ServerEvent) -> None:
        """An event of the session, as it leaves."""
        match event:
            case ResponseCreated(response=response) if response.conversation_id is not None:
                self._waits_for = response.id
            case ResponseDone(response=response) if response.id == self._waits_for:
                self._heard()
            case SpeechStarted():
                self._stop()
            case ConversationItemAdded(item=Message(role="user")):
                self._ration.renew()
            case SessionCreated() | SessionUpdated():
                self._settings = responsiveness_in(self._session.config.provider_data)
                self._ration.follow(self._settings)
            case _:
                pass

    def hear(self, report: Report) -> None:
        """What a worker did."""
        if isinstance(report, AudioMade) and report.response_id == self._waits_for:
            self._heard()

    def look(self) -> None:
        """Something has happened: somebody may be kept waiting now, or no longer."""
        if not self._settings.enabled:
            return
        if self._making is not None:
            return
        if not self._is_owed:
            self._stop()
        elif self._is_due:
            self._begin()
        elif self._timer is None:
            wait_s = self._ration.wait_s(self._now(), is_first_reply=self._is_first_reply)
            if wait_s is not None:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def leave(self) -> None:
        """The session ends."""
        self._settings = Responsiveness()
        self._stop()

    @property
    def _is_owed(self) -> bool:
        """Sound is, and none of it has come."""
        session = self._session
        if session.config.output_modality != "audio" or not session.is_keeping_waiting:
            return False
        return self._waits_for is not None or not self._has_answered

    @property
    def _is_first_reply(self) -> bool:
        items = self._session.conversation.items
        return not any(isinstance(item, Message) and item.role == "assistant" for item in items)
