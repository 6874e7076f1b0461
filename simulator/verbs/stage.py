"""What every verb is played on: the clock, the chronicle, the webhooks and the caller's hand.

Above it stand the call and its verbs; it decides nothing about what comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from simulator.call_result import EndReason, Json
from simulator.call_setup import CallSetup
from simulator.chronicle import Chronicle
from simulator.clock import Clock
from simulator.errors import TwimlRefused, WebhookFailed
from simulator.twiml_reader import read_twiml
from simulator.verb import Document, Pause, Play, Prompt, Say
from simulator.verbs.hand import Hand
from simulator.webhook import Asked, Webhooks, call_form

DIGIT_TONE_S = 0.5
"""One digit of `<Play digits>`, its pause included."""

SOUND_S = 1.0
"""What a sound of `<Play>` takes while a caller may do something meanwhile; it is not fetched."""

Next: TypeAlias = Asked | EndReason | None
"""What a verb leads to: another document, the end, or the next verb."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """One call's."""

    setup: CallSetup
    call_sid: str
    clock: Clock
    chronicle: Chronicle
    hand: Hand
    webhooks: Webhooks
    callbacks: asyncio.TaskGroup
    """What is told to the gateway beside the call."""
    deadline_s: float
    new_id: Callable[[], str]
    """32 hexadecimal digits."""
    status: str = "ringing"
    spoken: list[str] = field(default_factory=list)
    """Texts of the `<Say>` verbs so far."""
    dialled: int = 0
    """How often somebody else was called."""

    @property
    def is_too_long(self) -> bool:
        return self.clock.now_s() >= self.deadline_s

    def note_verb(self, name: str, detail: dict[str, Json]) -> None:
        self.chronicle.note("verb", {"verb": name, **detail})

    async def prompt(self, verb: Prompt, *, attends: bool = False, takes_keys: bool = False) -> str | None:
        """Something is heard. The key that cut it short, if keys are taken; else see `pass_time`."""
        match verb:
            case Say(text=text):
                self.note_verb("Say", {"text": text})
                self.spoken.append(text)
                duration_s = len(text.split()) * self.setup.word_ms / 1000
            case Pause(length_s=length_s):
                self.note_verb("Pause", {"length_s": length_s})
                duration_s = length_s
            case Play(url=url, digits=digits):
                self.note_verb("Play", {"url": url, "digits": digits})
                duration_s = len(digits or "") * DIGIT_TONE_S + (SOUND_S if attends and url else 0.0)
            case _:
                assert_never(verb)
        return await self.pass_time(duration_s, attends=attends, takes_keys=takes_keys)

    async def pass_time(self, duration_s: float, *, attends: bool = False, takes_keys: bool = False) -> str | None:
        """Time of the verbs, `verb_speed` times as quick as the clock's, at most until the call's limit.

        With `attends` the caller's script goes on meanwhile: gives the key that is pressed, then without waiting
        for the rest. Raises `CallerHungUp`.
        """
        left_s = duration_s
        while True:
            due_s = self.hand.due_in_s(takes_keys=takes_keys) if attends else None
            step_s = left_s if due_s is None else min(left_s, due_s)
            await self._sleep(step_s)
            left_s -= step_s
            if attends:
                self.hand.wait(step_s)
            if due_s is None or due_s > step_s or self.is_too_long:
                return None
            key = self.hand.act()
            if key is not None:
                self.chronicle.note("key", {"digit": key})
                return key

    async def _sleep(self, duration_s: float) -> None:
        left_s = max(self.deadline_s - self.clock.now_s(), 0.0)
        await self.clock.wait(asyncio.Event(), min(duration_s / self.setup.verb_speed, left_s))

    def form(self) -> dict[str, str]:
        """The fields of every webhook of the call, as it stands."""
        return call_form(
            call_sid=self.call_sid,
            account_sid=self.setup.account_sid,
            from_number=self.setup.from_number,
            to_number=self.setup.to_number,
            status=self.status,
        )

    async def document(self, asked: Asked) -> Document | None:
        """The document at `asked`, else the one at the fallback URL, else None. Both failures are complaints."""
        document, code = await self._ask(asked)
        if document is None and self.setup.fallback_url is not None:
            fields = {"ErrorCode": str(code), "ErrorUrl": asked.url}
            document, _ = await self._ask(Asked(self.setup.fallback_url, "POST", fields))
        return document

    async def _ask(self, asked: Asked) -> tuple[Document | None, int]:
        began_s = self.clock.now_s()
        try:
            answer = await self.webhooks.ask(asked.url, asked.method, {**self.form(), **asked.fields})
            document = read_twiml(answer.body, content_type=answer.content_type, base_url=answer.url)
        except (WebhookFailed, TwimlRefused) as failure:
            self.chronicle.note("webhook", {"url": asked.url, "method": asked.method, "error": failure.code})
            self.chronicle.complain(failure.code, str(failure))
            return None, failure.code
        took_ms = round((self.clock.now_s() - began_s) * 1000, 3)
        webhook: dict[str, Json] = {"url": asked.url, "method": asked.method, "status": answer.status}
        self.chronicle.note("webhook", {**webhook, "took_ms": took_ms})
        self.chronicle.note("twiml", {"text": answer.body.decode(errors="replace")})
        for warning in document.warnings:
            self.chronicle.complain(warning.code, warning.message)
        return document, 0

    async def tell(self, asked: Asked) -> None:
        """A callback whose answer nobody reads; its failure is a complaint."""
        told: dict[str, Json] = {"url": asked.url, "fields": dict(asked.fields)}
        try:
            answer = await self.webhooks.ask(asked.url, asked.method, asked.fields)
        except WebhookFailed as failure:
            self.chronicle.note("callback", {**told, "error": failure.code})
            self.chronicle.complain(failure.code, str(failure))
        else:
            self.chronicle.note("callback", {**told, "status": answer.status})
