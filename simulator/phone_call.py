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
from typing import assert_never

import aiohttp
import numpy as np
from websockets.asyncio.client import ClientConnection

from simulator.call_result import (
    CallResult,
    EndReason,
    cuts_of,
    interruptions_of,
    turns_of,
    utterances_of,
)
from simulator.call_setup import CallSetup
from simulator.caller import Caller
from simulator.chronicle import Chronicle, Listener
from simulator.clock import Clock, SteadyClock
from simulator.errors import StreamRefused
from simulator.handset import Handset
from simulator.media_stream import EndedBy, MediaStream, StreamSetup
from simulator.noise import ComfortNoise
from simulator.recording import StreamSound, join_sounds, join_underruns
from simulator.verb import (
    Connect,
    Dial,
    Document,
    Enqueue,
    Gather,
    Hangup,
    Leave,
    Other,
    Pause,
    Play,
    Record,
    Redirect,
    Reject,
    Say,
    Stream,
    Verb,
)
from simulator.verbs.dial import dial
from simulator.verbs.enqueue import enqueue
from simulator.verbs.gather import gather
from simulator.verbs.hand import CallerHungUp, Hand
from simulator.verbs.record import record
from simulator.verbs.stage import Next, Stage
from simulator.webhook import Asked, Webhooks

MAX_DOCUMENTS = 50
"""More documents in one call are a circle of redirects; Twilio ends such calls too."""
_RUNS_ASIDE = frozenset({"Start", "Stop"})
"""Verbs of `Other` that take no time of the call."""


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
        self._stream_sids: list[str] = []
        self._recorded: list[StreamSound] = []
        self._callbacks_in_order = asyncio.Lock()
        self._deadline_s = self._clock.now_s() + setup.max_call_s

    @property
    def call_sid(self) -> str:
        return self._call_sid

    async def run(self) -> CallResult:
        """The whole call, the last callback included."""
        async with aiohttp.ClientSession() as session:
            setup = self._setup
            webhooks = Webhooks(
                session,
                setup.auth_token,
                timeout_s=setup.webhook_timeout_s,
                copies=setup.copies,
                has_same_token=setup.has_same_token,
            )
            async with asyncio.TaskGroup() as callbacks:
                stage = self._stage(webhooks, callbacks)
                reason = await self._walk(stage)
            duration_s = self._chronicle.duration_s
            self._chronicle.note("call.ended", {"reason": reason.value, "duration_s": round(duration_s, 3)})
            await self._tell_status(stage, duration_s)
        return self._result(stage, reason, duration_s)

    def _stage(self, webhooks: Webhooks, callbacks: asyncio.TaskGroup) -> Stage:
        return Stage(
            setup=self._setup,
            call_sid=self._call_sid,
            clock=self._clock,
            chronicle=self._chronicle,
            hand=Hand(self._caller),
            webhooks=webhooks,
            callbacks=callbacks,
            deadline_s=self._deadline_s,
            new_id=self._new_id,
        )

    async def _walk(self, stage: Stage) -> EndReason:
        asked = Asked(self._setup.voice_url, self._setup.voice_method, {})
        for _ in range(MAX_DOCUMENTS):
            document = await stage.document(asked)
            if document is None:
                return EndReason.APPLICATION_ERROR
            try:
                following = await self._play(document, stage)
            except CallerHungUp:
                return EndReason.CALLER_HUNG_UP
            if isinstance(following, EndReason):
                return following
            asked = following
        return EndReason.TOO_MANY_DOCUMENTS

    async def _play(self, document: Document, stage: Stage) -> Asked | EndReason:
        for verb in document.verbs:
            if stage.is_too_long:
                return EndReason.TOO_LONG
            following = await self._do(verb, stage)
            if following is not None:
                return following
        return EndReason.DOCUMENT_ENDED

    async def _do(self, verb: Verb, stage: Stage) -> Next:
        if isinstance(verb, Reject) and stage.status == "ringing":
            stage.note_verb("Reject", {"reason": verb.reason})
            stage.status = "busy" if verb.reason == "busy" else "no-answer"
            return EndReason.REJECTED
        stage.status = "in-progress"
        match verb:
            case Connect():
                return await self._connect(verb, stage)
            case Redirect(url=url, method=method):
                stage.note_verb("Redirect", {"url": url})
                return Asked(url, method, {})
            case Say() | Pause() | Play():
                await stage.prompt(verb)
                return None
            case Hangup():
                stage.note_verb("Hangup", {})
                return EndReason.HANGUP_VERB
            case Reject():
                stage.note_verb("Reject", {"reason": verb.reason})
                return EndReason.HANGUP_VERB
            case Enqueue():
                return await enqueue(stage, verb)
            case Gather():
                return await gather(stage, verb)
            case Record():
                return await record(stage, verb)
            case Dial():
                return await dial(stage, verb)
            case Leave():
                stage.note_verb("Leave", {})  # in no queue: nothing to leave
                return None
            case Other(name=name, attributes=attributes):
                stage.note_verb(name, {"attributes": dict(attributes)})
                return None if name in _RUNS_ASIDE else EndReason.UNPLAYABLE_VERB
            case _:
                assert_never(verb)

    async def _connect(self, connect: Connect, stage: Stage) -> Next:
        """One stream, then what follows it: `action` if there is one, else the next verb.

        "The rest of the TwiML runs only after your server closes the WebSocket": a socket that never opened has
        also completed the verb.
        """
        stream = connect.stream
        stage.note_verb("Connect", {"url": stream.url, "parameters": dict(stream.parameters)})
        stream_sid = f"MZ{self._new_id()}"
        media_stream = MediaStream(self._stream_setup(stream, stream_sid), self._chronicle, self._clock, self._rng)

        def tell(event: str, error: str | None = None) -> None:
            if stream.status_callback is not None:
                stage.callbacks.create_task(self._tell_stream(stage, stream, stream_sid, event, error))

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
            dropped_after_s=self._drop_s(),
        )

    def _drop_s(self) -> float:
        """Of the stream that is about to begin."""
        at, drops = len(self._stream_sids), self._setup.dropped_after_s
        return drops[at] if at < len(drops) else math.inf

    async def _tell_stream(
        self, stage: Stage, stream: Stream, stream_sid: str, event: str, error: str | None
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
            await stage.tell(Asked(stream.status_callback, stream.status_callback_method, fields))

    async def _tell_status(self, stage: Stage, duration_s: float) -> None:
        """The number's status callback: once, when the call is over."""
        if self._setup.status_url is None:
            return
        if stage.status in ("ringing", "in-progress"):
            stage.status = "completed" if stage.status == "in-progress" else "failed"
        fields = {
            **stage.form(),
            "CallDuration": str(math.ceil(duration_s)),
            "Duration": str(math.ceil(duration_s / 60)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        await stage.tell(Asked(self._setup.status_url, "POST", fields))

    def _result(self, stage: Stage, reason: EndReason, duration_s: float) -> CallResult:
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
            spoken_verbs=tuple(stage.spoken),
            end_reason=reason,
            duration_s=duration_s,
            received_bytes=sum(one.received_bytes for one in self._recorded),
            heard_bytes=sum(one.heard_bytes for one in self._recorded),
            caller_sound=caller_sound,
            agent_sound=agent_sound,
        )
