"""Attention: shows a caller who speaks at length that somebody listens, with a short "mm-hm" now and then.

The cue says when it is time to consider one; here a rule or the model decides what is said, the voice says it, and
the session lets it be heard if it still may. All of it is bounded by the settings' deadline: an acknowledgement
that comes late is worse than none. Off unless `providerData.backchannel` says otherwise (Realtime reference,
section G.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pipeline.audio.formats import PCM_24K
from pipeline.audio.gain import scaled
from pipeline.backchannel import Backchannel, backchannel_in
from pipeline.cue import Cue
from pipeline.events.backchannel import SkipReason
from pipeline.events.event import ServerEvent
from pipeline.events.input_audio import (
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    SpeechStarted,
    SpeechStopped,
)
from pipeline.events.session import SessionCreated, SessionUpdated
from pipeline.observations import Backchannelled
from pipeline.prompts import told
from pipeline.provider import Prompt, ProviderError
from pipeline.reports import Report, SpeechScored, Transcribed
from pipeline.responder import Cascade
from pipeline.session import Output, Session
from pipeline.small_model import ask, spoken, tail_of

log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "You listen to somebody who is still speaking. Reply with exactly one of these acknowledgements, the one that "
    "fits best, and nothing else: {allowed_phrases}. If none fits now, reply: none."
)
UNKNOWN_WORDS = "(still speaking; the words are not known yet)"

LONGEST_MURMUR_MS = 1_500
"""Of sound: what is longer would still be heard when the answer is due."""


class Attention:
    """Of one session of a cascade; used from the event loop only. `chance` draws a number from 0 up to 1."""

    def __init__(
        self,
        session: Session,
        cascade: Cascade,
        perform: Callable[[list[Output]], None],
        observe: Callable[[Backchannelled], None],
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._session = session
        self._cascade = cascade
        self._perform = perform
        self._observe = observe
        self._now = now
        self._chance = chance
        self._settings = Backchannel()
        self._cue: Cue | None = None
        """None while it is off."""
        self._rate_hz = 0
        self._item_id = ""
        self._words = ""
        """Of the turn under way, as far as they are known."""
        self._tasks: asyncio.TaskGroup | None = None
        self._attempt: tuple[str, asyncio.Task[None]] | None = None

    @property
    def is_on(self) -> bool:
        return self._cue is not None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The session runs."""
        self._tasks = tasks

    def see(self, event: ServerEvent) -> None:
        """An event of the session, as it leaves."""
        match event:
            case SpeechStarted(item_id=item_id) if self._cue is not None:
                self._item_id, self._words = item_id, ""
                heard = self._session.heard - round(self._session.s_since_voice * self._rate_hz)
                self._cue.begin(heard)
            case SpeechStopped() | InputAudioBufferCommitted() | InputAudioBufferCleared():
                self._end_turn()
            case SessionCreated() | SessionUpdated():
                self._follow()
            case _:
                pass

    def hear(self, report: Report) -> None:
        """What a worker did. The hot path: almost always nothing follows."""
        if self._cue is None:
            return
        if isinstance(report, Transcribed):
            if report.item_id == self._item_id:
                self._words = report.text
        elif isinstance(report, SpeechScored):
            verdict = self._cue.hear(report.end, report.probability, is_busy=self._attempt is not None)
            if verdict == "consider":
                self._consider(self._settings)
            elif verdict is not None:
                self._skip(verdict)

    def leave(self) -> None:
        """The session ends."""
        self._cue = None
        self._drop()

    def _follow(self) -> None:
        config = self._session.config
        self._settings = backchannel_in(config.provider_data)
        is_on = self._settings.enabled and config.type == "realtime" and config.output_modality == "audio"
        if not is_on:
            self._cue = None
            self._drop()
        elif self._cue is None or self._rate_hz != config.input_format.rate_hz:
            self._rate_hz = config.input_format.rate_hz
            self._cue = Cue(self._settings, self._rate_hz)
        else:
            self._cue.follow(self._settings)

    def _end_turn(self) -> None:
        if self._cue is not None:
            self._cue.end()
        if id := self._drop():
            self._skip("turn_over", id)

    def _drop(self) -> str | None:
        """Stop the attempt under way; its id, if there was one."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return None
        attempt[1].cancel()
        return attempt[0]

    def _consider(self, settings: Backchannel) -> None:
        if not self._session.murmurs.is_welcome:
            self._skip("answer_under_way")
            return
        if settings.decider_kind == "rule" and self._chance() >= settings.rule_fire_probability:
            self._skip("rule_not_fired")
            return
        assert self._tasks is not None, "sound is heard by a running session only"
        id = self._session.murmurs.begin()
        self._attempt = (id, self._tasks.create_task(self._try(id, settings)))

    async def _try(self, id: str, settings: Backchannel) -> None:
        began_s = self._now()
        reason: SkipReason = "no_phrase"
        phrase, sound = "", b""
        try:
            async with asyncio.timeout(settings.hard_deadline_ms / 1000):
                phrase = await self._choose(settings)
                sound = await self._speak(phrase) if phrase else b""
        except TimeoutError:
            reason = "deadline_missed"
        except ProviderError as error:
            log.info("no acknowledgement: %s", error)
            reason = "provider_failed"
        except Exception:
            log.exception("an acknowledgement failed by a fault of ours")
            reason = "provider_failed"
        self._attempt = None
        if sound:
            self._say(id, phrase, scaled(sound, settings.volume_gain), began_s)
        else:
            self._skip(reason, id)

    async def _choose(self, settings: Backchannel) -> str:
        """What to say; empty if nothing that may be said was found."""
        phrases = settings.allowed_phrases
        if settings.decider_kind == "rule":
            return phrases[int(self._chance() * len(phrases))]
        instructions = settings.prompt_template or INSTRUCTIONS
        tail = tail_of(told(self._session.conversation.items), settings.history_tail_items)
        prompt = Prompt(
            instructions=instructions.replace("{allowed_phrases}", ", ".join(phrases)),
            items=(*tail, spoken(self._words or UNKNOWN_WORDS)),
            max_output_tokens=settings.max_tokens,
            temperature=settings.temperature,
        )
        return allowed(await ask(self._cascade.model, prompt), phrases)

    async def _speak(self, phrase: str) -> bytes:
        config, cascade = self._session.config, self._cascade
        sound = await cascade.phrases.say(
            cascade.voice, phrase, own_name=cascade.voice_name, asked=config.voice, speed=config.speed
        )
        return sound[: PCM_24K.bytes_in(LONGEST_MURMUR_MS)]

    def _say(self, id: str, phrase: str, sound: bytes, began_s: float) -> None:
        outputs = self._session.murmurs.say(id, phrase, sound)
        if not outputs:
            self._skip("answer_under_way", id)
            return
        assert self._cue is not None, "an attempt ends when it is turned off"
        self._cue.said(self._session.heard)
        self._perform([*outputs])
        self._observe(Backchannelled(phrase, self._now() - began_s))

    def _skip(self, reason: SkipReason, id: str | None = None) -> None:
        self._perform([*self._session.murmurs.skip(reason, id)])


def allowed(answer: str, phrases: tuple[str, ...]) -> str:
    """The phrase that the answer is, as `phrases` spells it, whatever its case and stops; empty if it is none."""
    said = _plain(answer)
    return next((phrase for phrase in phrases if _plain(phrase) == said), "")


def _plain(words: str) -> str:
    return " ".join(words.casefold().split()).strip(" .,!?;:'\"“”‘’…")
