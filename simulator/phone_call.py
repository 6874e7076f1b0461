"""One phone call, from Twilio's side: webhook, TwiML verb by verb, media streams, status callback.

Above it stand the command line and the tests; below it the reader of TwiML, the media stream and the caller. It
keeps no rule of any of them: it only decides what comes next. Gateways that answer wrongly, stall or break are
what it is made for: they become complaints and an `EndReason`, never an exception.
"""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TypeAlias, assert_never

import aiohttp
import numpy as np
from websockets.asyncio.client import ClientConnection

from simulator.call_result import (
    CallResult,
    EndReason,
    Json,
    cuts_of,
    interruptions_of,
    turns_of,
    utterances_of,
)
from simulator.call_setup import CallSetup
from simulator.caller import Caller
from simulator.chronicle import Chronicle, Listener
from simulator.clock import Clock, SteadyClock
from simulator.errors import StreamRefused, TwimlRefused, WebhookFailed
from simulator.handset import Handset
from simulator.media_stream import EndedBy, MediaStream, StreamSetup
from simulator.noise import ComfortNoise
from simulator.recording import StreamSound, join_sounds, join_underruns
from simulator.twiml_reader import (
    Connect,
    Document,
    Hangup,
    Other,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    Stream,
    Verb,
    read_twiml,
)
from simulator.webhook import Asked, Webhooks, call_form

MAX_DOCUMENTS = 50
"""More documents in one call are a circle of redirects; Twilio ends such calls too."""
DIGIT_TONE_S = 0.5
"""One digit of `<Play digits>`, its pause included."""
_RUNS_ASIDE = frozenset({"Start", "Stop"})
"""Verbs of `Other` that take no time of the call."""

Next: TypeAlias = Asked | EndReason | None
"""What a verb leads to: another document, the end, or the next verb."""


class PhoneCall:
    """One call; `run` it once."""

    def __init__(
        self,
        setup: CallSetup,
        *,
        listener: Listener | None = None,
        clock: Clock | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """`listener` is called on the event loop as things happen, so it must be quick.

        `new_id` gives 32 hexadecimal digits, for the identifiers of the call and its streams.
        """
        self._setup = setup
        self._clock = clock or SteadyClock()
        self._new_id = new_id
        self._call_sid = f"CA{new_id()}"
        self._chronicle = Chronicle(self._clock.now_s, listener, keeps_media=setup.keeps_media)
        self._caller = Caller(setup.steps)
        self._rng = random.Random(setup.seed)
        self._noise: ComfortNoise | None = None
        if setup.noise_dbfs is not None:
            self._noise = ComfortNoise(setup.noise_dbfs, np.random.default_rng(setup.seed))
        self._status = "ringing"
        self._stream_sids: list[str] = []
        self._recorded: list[StreamSound] = []
        self._spoken_verbs: list[str] = []
        self._callbacks_in_order = asyncio.Lock()
        self._deadline_s = self._clock.now_s() + setup.max_call_s

    @property
    def call_sid(self) -> str:
        return self._call_sid

    async def run(self) -> CallResult:
        """The whole call, the last callback included."""
        async with aiohttp.ClientSession() as session:
            webhooks = Webhooks(session, self._setup.auth_token, timeout_s=self._setup.webhook_timeout_s)
            async with asyncio.TaskGroup() as callbacks:
                reason = await self._walk(webhooks, callbacks)
            duration_s = self._chronicle.duration_s
            self._chronicle.note("call.ended", {"reason": reason.value, "duration_s": round(duration_s, 3)})
            await self._tell_status(webhooks, duration_s)
        return self._result(reason, duration_s)

    async def _walk(self, webhooks: Webhooks, callbacks: asyncio.TaskGroup) -> EndReason:
        asked = Asked(self._setup.voice_url, self._setup.voice_method, {})
        for _ in range(MAX_DOCUMENTS):
            document = await self._document(webhooks, asked)
            if document is None:
                return EndReason.APPLICATION_ERROR
            following = await self._play(document, webhooks, callbacks)
            if isinstance(following, EndReason):
                return following
            asked = following
        return EndReason.TOO_MANY_DOCUMENTS

    async def _document(self, webhooks: Webhooks, asked: Asked) -> Document | None:
        """The document at `asked`, else the one at the fallback URL, else None. Both failures are complaints."""
        document, code = await self._ask(webhooks, asked)
        if document is None and self._setup.fallback_url is not None:
            fields = {"ErrorCode": str(code), "ErrorUrl": asked.url}
            document, _ = await self._ask(webhooks, Asked(self._setup.fallback_url, "POST", fields))
        return document

    async def _ask(self, webhooks: Webhooks, asked: Asked) -> tuple[Document | None, int]:
        began_s = self._clock.now_s()
        try:
            answer = await webhooks.ask(asked.url, asked.method, {**self._form(), **asked.fields})
            document = read_twiml(answer.body, content_type=answer.content_type, base_url=answer.url)
        except (WebhookFailed, TwimlRefused) as failure:
            self._chronicle.note("webhook", {"url": asked.url, "method": asked.method, "error": failure.code})
            self._chronicle.complain(failure.code, str(failure))
            return None, failure.code
        took_ms = round((self._clock.now_s() - began_s) * 1000, 3)
        webhook: dict[str, Json] = {"url": asked.url, "method": asked.method, "status": answer.status}
        self._chronicle.note("webhook", {**webhook, "took_ms": took_ms})
        self._chronicle.note("twiml", {"text": answer.body.decode(errors="replace")})
        for warning in document.warnings:
            self._chronicle.complain(warning.code, warning.message)
        return document, 0

    async def _play(
        self, document: Document, webhooks: Webhooks, callbacks: asyncio.TaskGroup
    ) -> Asked | EndReason:
        for verb in document.verbs:
            if self._clock.now_s() >= self._deadline_s:
                return EndReason.TOO_LONG
            following = await self._do(verb, webhooks, callbacks)
            if following is not None:
                return following
        return EndReason.DOCUMENT_ENDED

    async def _do(self, verb: Verb, webhooks: Webhooks, callbacks: asyncio.TaskGroup) -> Next:
        if isinstance(verb, Reject) and self._status == "ringing":
            self._note_verb("Reject", {"reason": verb.reason})
            self._status = "busy" if verb.reason == "busy" else "no-answer"
            return EndReason.REJECTED
        self._status = "in-progress"
        match verb:
            case Connect():
                return await self._connect(verb, webhooks, callbacks)
            case Redirect(url=url, method=method):
                self._note_verb("Redirect", {"url": url})
                return Asked(url, method, {})
            case Say(text=text):
                self._note_verb("Say", {"text": text})
                self._spoken_verbs.append(text)
                await self._pass_time(len(text.split()) * self._setup.word_ms / 1000)
            case Pause(length_s=length_s):
                self._note_verb("Pause", {"length_s": length_s})
                await self._pass_time(length_s)
            case Play(url=url, digits=digits):
                self._note_verb("Play", {"url": url, "digits": digits})
                await self._pass_time(len(digits or "") * DIGIT_TONE_S)
            case Hangup():
                self._note_verb("Hangup", {})
                return EndReason.HANGUP_VERB
            case Reject():
                self._note_verb("Reject", {"reason": verb.reason})
                return EndReason.HANGUP_VERB
            case Other(name=name, attributes=attributes):
                self._note_verb(name, {"attributes": dict(attributes)})
                return None if name in _RUNS_ASIDE else EndReason.UNPLAYABLE_VERB
            case _:
                assert_never(verb)
        return None

    def _note_verb(self, name: str, detail: dict[str, Json]) -> None:
        self._chronicle.note("verb", {"verb": name, **detail})

    async def _pass_time(self, duration_s: float) -> None:
        left_s = self._deadline_s - self._clock.now_s()
        await self._clock.wait(asyncio.Event(), min(duration_s / self._setup.verb_speed, max(left_s, 0.0)))

    async def _connect(self, connect: Connect, webhooks: Webhooks, callbacks: asyncio.TaskGroup) -> Next:
        """One stream, then what follows it: `action` if there is one, else the next verb.

        "The rest of the TwiML runs only after your server closes the WebSocket": a socket that never opened has
        also completed the verb.
        """
        stream = connect.stream
        self._note_verb("Connect", {"url": stream.url, "parameters": dict(stream.parameters)})
        stream_sid = f"MZ{self._new_id()}"
        media_stream = MediaStream(self._stream_setup(stream, stream_sid), self._chronicle, self._clock, self._rng)

        def tell(event: str, error: str | None = None) -> None:
            if stream.status_callback is not None:
                callbacks.create_task(self._tell_stream(webhooks, stream, stream_sid, event, error))

        try:
            socket = await media_stream.open()
        except StreamRefused as refused:
            http_status = refused.http_status
            self._chronicle.note("stream.refused", {"code": refused.code, "http_status": http_status})
            self._chronicle.complain(refused.code, str(refused))
            tell("stream-error", str(refused))
            return Asked(connect.action, connect.method, {}) if connect.action is not None else None
        self._stream_sids.append(stream_sid)
        self._chronicle.note("stream.opened", {"stream_sid": stream_sid, "url": stream.url})
        tell("stream-started")
        end = await self._stream(media_stream, socket)
        tell("stream-stopped")
        match end:
            case EndedBy.CALLER:
                return EndReason.CALLER_HUNG_UP
            case EndedBy.TIME_LIMIT:
                return EndReason.TOO_LONG
            case EndedBy.GATEWAY:
                return Asked(connect.action, connect.method, {}) if connect.action is not None else None
            case _:
                assert_never(end)

    async def _stream(self, media_stream: MediaStream, socket: ClientConnection) -> EndedBy:
        def pick_up(start_s: float, opened_ms: int) -> Handset:
            codec = self._setup.codec
            return Handset(self._caller, codec, self._noise, start_s=start_s, opened_ms=opened_ms)

        end, handset = await media_stream.run(socket, pick_up, until_s=self._deadline_s)
        self._recorded.append(handset.sound())
        return end.by

    def _stream_setup(self, stream: Stream, stream_sid: str) -> StreamSetup:
        return StreamSetup(
            url=stream.url,
            track=stream.track,
            parameters=stream.parameters,
            account_sid=self._setup.account_sid,
            call_sid=self._call_sid,
            stream_sid=stream_sid,
            auth_token=self._setup.auth_token,
            codec=self._setup.codec,
            network=self._setup.network,
        )

    def _form(self) -> dict[str, str]:
        return call_form(
            call_sid=self._call_sid,
            account_sid=self._setup.account_sid,
            from_number=self._setup.from_number,
            to_number=self._setup.to_number,
            status=self._status,
        )

    async def _tell_stream(
        self, webhooks: Webhooks, stream: Stream, stream_sid: str, event: str, error: str | None
    ) -> None:
        """The stream's own status callback; started always before stopped."""
        assert stream.status_callback is not None
        fields = {
            "AccountSid": self._setup.account_sid,
            "CallSid": self._call_sid,
            "StreamSid": stream_sid,
            "StreamName": stream.name or stream_sid,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        if error is not None:
            fields["StreamError"] = error
        async with self._callbacks_in_order:
            await self._tell(webhooks, Asked(stream.status_callback, stream.status_callback_method, fields))

    async def _tell_status(self, webhooks: Webhooks, duration_s: float) -> None:
        """The number's status callback: once, when the call is over."""
        if self._setup.status_url is None:
            return
        if self._status in ("ringing", "in-progress"):
            self._status = "completed" if self._status == "in-progress" else "failed"
        fields = {
            **self._form(),
            "CallDuration": str(math.ceil(duration_s)),
            "Duration": str(math.ceil(duration_s / 60)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        await self._tell(webhooks, Asked(self._setup.status_url, "POST", fields))

    async def _tell(self, webhooks: Webhooks, asked: Asked) -> None:
        """A callback whose answer nobody reads; its failure is a complaint."""
        told: dict[str, Json] = {"url": asked.url, "fields": dict(asked.fields)}
        try:
            answer = await webhooks.ask(asked.url, asked.method, asked.fields)
        except WebhookFailed as failure:
            self._chronicle.note("callback", {**told, "error": failure.code})
            self._chronicle.complain(failure.code, str(failure))
        else:
            self._chronicle.note("callback", {**told, "status": answer.status})

    def _result(self, reason: EndReason, duration_s: float) -> CallResult:
        happenings = self._chronicle.happenings
        caller_sound, agent_sound = join_sounds(self._recorded)
        return CallResult(
            call_sid=self._call_sid,
            stream_sids=tuple(self._stream_sids),
            happenings=happenings,
            turns=turns_of(happenings),
            interruptions=interruptions_of(happenings),
            cuts=cuts_of(happenings),
            agent_utterances=utterances_of(happenings),
            complaints=self._chronicle.complaints,
            underruns=join_underruns(self._recorded),
            spoken_verbs=tuple(self._spoken_verbs),
            end_reason=reason,
            duration_s=duration_s,
            received_bytes=sum(one.received_bytes for one in self._recorded),
            heard_bytes=sum(one.heard_bytes for one in self._recorded),
            caller_sound=caller_sound,
            agent_sound=agent_sound,
        )
