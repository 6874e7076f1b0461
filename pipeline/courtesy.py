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
from pipeline.events.response import ResponseCreated, ResponseDone, ResponseSnapshot
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
    "The answer to the last message takes a moment. Say in a few words, in its language, that you are thinking "
    "about it. Do not answer it, and promise nothing."
)


class Courtesy:
    """Of one session of a cascade; used from the event loop only. `fill` plays a phrase if somebody still waits."""

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
        self._is_first_reply = False
        """Nothing was said by the agent before that response began."""
        self._since_s: float | None = None
        """When the client began to wait."""
        self._timer: asyncio.TimerHandle | None = None
        self._making: asyncio.Task[None] | None = None
        self._next = 0
        """Which of the phrases comes next."""

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The session runs."""
        self._tasks = tasks

    def see(self, event: ServerEvent) -> None:
        """An event of the session, as it leaves."""
        match event:
            case ResponseCreated(response=response) if self._may_hold(response):
                self._waits_for = response.id
                self._is_first_reply = self._has_not_replied
            case ResponseDone(response=response) if response.id == self._waits_for:
                self._heard()
            case SpeechStarted():
                self._stop()
            case ConversationItemAdded(item=Message(role="user")):
                self._ration.renew()
            case SessionCreated() | SessionUpdated():
                self._settings = responsiveness_in(self._session.config.provider_data)
                self._ration.follow(self._settings)
                if not self._settings.enabled:
                    self._stop()
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
        if not self._session.is_keeping_waiting:
            self._since_s = None
            self._stop()
            return
        if self._since_s is None:
            self._since_s = self._now()
        if self._waits_for is None or self._timer is not None or self._making is not None:
            return
        wait_s = self._ration.wait_s(self._since_s, self._now(), is_first_reply=self._is_first_reply)
        if wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._begin)

    def leave(self) -> None:
        """The session ends."""
        self._settings = Responsiveness()
        self._stop()

    def _may_hold(self, response: ResponseSnapshot) -> bool:
        """A filler is in the session's format: a response that asked for another, or for text, has none."""
        is_spoken = response.conversation_id is not None and response.output_modality == "audio"
        return is_spoken and response.output_format == self._session.config.output_format

    @property
    def _has_not_replied(self) -> bool:
        items = self._session.conversation.items
        return not any(isinstance(item, Message) and item.role == "assistant" for item in items)

    def _heard(self) -> None:
        """The answer sounds, or is over."""
        self._waits_for = None
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._making is not None:
            self._making.cancel()
            self._making = None

    def _begin(self) -> None:
        assert self._tasks is not None, "only a running session keeps anybody waiting"
        self._timer = None
        self._ration.take(self._now())
        self._making = self._tasks.create_task(self._make(self._settings))

    async def _make(self, settings: Responsiveness) -> None:
        phrase: Phrase | None = None
        try:
            async with asyncio.timeout(settings.hard_deadline_ms / 1000):
                phrase = await self._phrase(settings)
        except TimeoutError:
            log.info("no filler: it was not ready within %d ms", settings.hard_deadline_ms)
        except ProviderError as error:
            log.info("no filler: %s", error)
        except Exception:
            log.exception("a filler failed by a fault of ours")
        self._making = None
        if phrase is not None:
            self._fill(phrase)

    async def _phrase(self, settings: Responsiveness) -> Phrase | None:
        config, cascade = self._session.config, self._cascade
        text = await self._think(settings) if settings.small_model is not None else self._next_filler()
        if not can_be_spoken(text):
            return None
        sound = await cascade.phrases.say(
            cascade.voice, text, own_name=cascade.voice_name, asked=config.voice, speed=config.speed
        )
        return Phrase(text, transcode(sound, PCM_24K, config.output_format)) if sound else None

    async def _think(self, settings: Responsiveness) -> str:
        prompt = Prompt(
            instructions=settings.prompt_template or INSTRUCTIONS,
            items=tail_of(told(self._session.conversation.items), settings.history_tail_items),
            max_output_tokens=settings.max_tokens,
            temperature=settings.temperature,
        )
        return await ask(self._cascade.model, prompt)

    def _next_filler(self) -> str:
        language = self._session.config.language
        if language is not None and not language.lower().startswith("en"):
            return ""  # better nothing than another language
        self._next += 1
        return FILLERS[(self._next - 1) % len(FILLERS)]
