"""The media socket: one Twilio Media Stream from its handshake to its end, as a bare ASGI application.

Who may come in is decided before the handshake is answered: Twilio's signature over the URL, and a token that
opens one stream of one call once. No provider is opened before `start` has said that the stream is that call's.
After that no frame ends the call by itself; only a lost socket, `stop`, or the conversation's own end.

Bare ASGI because fifty frames a second and call arrive here, and every layer between is paid for as often.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from gateway.auth import SignatureCheck
from gateway.calls.call import Call, EndReason
from gateway.calls.chronicle import Chronicle
from gateway.calls.store import CallStore
from gateway.credentials.door import OPERATOR
from gateway.errors import IllegalStep, SignatureRefused, TokenRefused
from gateway.fast_lane import EXTENSION, Direct
from gateway.logs import about
from gateway.media_stream import messages
from gateway.media_stream.messages import StreamWriter
from gateway.media_stream.pacer import Pacer
from gateway.media_stream.phone import Phone
from gateway.media_stream.playback import Playback
from gateway.media_stream.reader import Reader, StreamEnd
from gateway.media_stream.timeline import Timeline
from gateway.metrics import Metrics
from gateway.realtime.directory import Directory, LiveSession
from pipeline.agent import Agent
from pipeline.audio.formats import AudioFormat
from pipeline.backchannel import provider_data_of
from pipeline.commands import HangUp
from pipeline.engine import Engine
from pipeline.events.config import SessionConfig, Transcription
from pipeline.limits import Limits
from pipeline.phrasebook import Phrasebook
from pipeline.responder import Cascade
from pipeline.session import Session
from pipeline.toolbox import Toolbox
from pipeline.turn.end_of_turn import EndOfTurn
from pipeline.turn.speech_activity import SpeechActivity
from pipeline.worker import Remote

log = logging.getLogger(__name__)

START_LIMIT_S = 2.0
"""`start` follows the handshake at once; a socket that only sits there is not Twilio's."""

CLOSE_LIMIT_S = 2.0
"""A peer that does not even read our close is cut off."""

GIVE_WAY_LIMIT_S = 1.0
"""How long a new stream of a call waits, in silence, for what was heard on the one before."""


PHONE_LIMITS = Limits(buffered_bytes=60 * 8_000, kept_audio_bytes=0)
"""A minute of telephone sound: nobody says more in one breath, and a stuck open line must not grow without bound.
Nothing is kept to be retrieved: there are hundreds of calls."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What all media streams of a process share."""

    store: CallStore
    signature: SignatureCheck
    metrics: Metrics
    activity: SpeechActivity
    pacer: Pacer
    agent: Agent
    backend: Cascade | Remote
    toolbox: Toolbox
    make_id: Callable[[str], str]
    lead_ms: int
    end_call: Callable[[str, EndReason], Awaitable[None]]
    """A call is over though no webhook has said so yet."""
    directory: Directory = field(default_factory=Directory)
    """Where calls that are streaming can be joined by side-bands, under their CallSid."""
    end_of_turn: EndOfTurn | None = None
    anticipates: bool = False
    """Whether answers are begun before it is certain that the caller has finished."""
    phrasebook: Phrasebook | None = None
    """What is said while an answer is slow."""


class MediaSocket:
    """The endpoint of `/twilio/media/{token}`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._streams: dict[str, _Stream] = {}
        """The last stream begun of each call, by CallSid, for as long as it lives."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._exchange
        await receive()  # websocket.connect
        signature = dict(scope["headers"]).get(b"x-twilio-signature")
        try:
            shown = signature.decode("latin-1") if signature is not None else None
            exchange.signature.check_handshake(scope["path"], shown)
            call = await exchange.store.claim(scope["path_params"]["token"], exchange.pacer.now())
        except (SignatureRefused, TokenRefused) as refusal:
            exchange.metrics.webhook_rejected.labels(f"media_{refusal.reason}").inc()
            # Anybody can knock by the thousand; those are counted, and no line is written for each.
            level = logging.DEBUG if refusal.reason == "no_signature" else logging.WARNING
            log.log(level, "media socket refused: %s", refusal)
            await send({"type": "websocket.close", "code": 1008})  # before accept: HTTP 403, no 101
            return
        with about(call.call_sid):
            await send({"type": "websocket.accept"})
            direct = scope.get("extensions", {}).get(EXTENSION)
            await _Stream(exchange, self._streams, call, receive, send, direct).run()


class _Stream:
    """One accepted stream."""

    def __init__(
        self,
        exchange: Exchange,
        streams: dict[str, _Stream],
        call: Call,
        receive: Receive,
        send: Send,
        direct: Direct | None,
    ) -> None:
        self._exchange = exchange
        self._streams = streams
        self._call = call
        self._generation = call.generation
        self._receive = receive
        self._send = send
        self._direct = direct
        self._engine: Engine | None = None
        self._is_over = asyncio.Event()
        """What was heard stands in the call's history."""
        self._is_late = False
        """A newer stream could not wait for that, and has begun without it."""

    @property
    def _is_superseded(self) -> bool:
        return self._call.generation != self._generation

    async def run(self) -> None:
        start = await self._await_start()
        if start is None:
            await self._close(1008)
            return
        try:
            self._call.begin_stream(self._generation)
        except IllegalStep as refusal:
            log.warning("stream refused: %s", refusal)
            await self._close(1008)
            return
        if self._generation == 1:
            self._exchange.metrics.call_setup_s.observe(self._exchange.pacer.now() - self._call.started_at_s)
        with about(self._call.call_sid, start.stream_sid):
            log.info("= stream begins: %s", start.audio_format.encoding.value)
            earlier = self._streams.get(self._call.call_sid)
            self._streams[self._call.call_sid] = self
            try:
                if earlier is not None:
                    await earlier.give_way()
                hang_up, end = await self._converse(start)
            finally:
                if self._streams[self._call.call_sid] is self:
                    del self._streams[self._call.call_sid]
            await self._settle(hang_up, end)

    async def give_way(self) -> None:
        """A newer stream of the call has begun, so this one is dead at its other end: end it, for the history."""
        if self._engine is not None:
            self._engine.stop()
        try:
            async with asyncio.timeout(GIVE_WAY_LIMIT_S):
                await self._is_over.wait()
        except TimeoutError:
            log.warning("the stream before did not end within %g s; what was heard on it is lost", GIVE_WAY_LIMIT_S)
            self._is_late = True

    async def _await_start(self) -> messages.Start | None:
        """The `start` of our call; None if the socket brings anything else in its first moments."""
        try:
            async with asyncio.timeout(START_LIMIT_S):
                while True:
                    received = await self._receive()
                    if received["type"] == "websocket.disconnect":
                        return None
                    message = messages.decode(received.get("text") or "")
                    if isinstance(message, messages.Start):
                        break
        except TimeoutError:
            log.warning("no start within %g s of the handshake", START_LIMIT_S)
            return None
        if message.call_sid != self._call.call_sid:
            log.warning("start names another call than the token")
            return None
        return message

    async def _converse(self, start: messages.Start) -> tuple[HangUp | None, StreamEnd | None]:
        """Hold the conversation; how we ended it, or how the stream did."""
        if self._is_superseded:
            return None, None
        exchange, call, pacer = self._exchange, self._call, self._exchange.pacer
        journal = await exchange.store.journal(call.call_sid)
        chronicle = Chronicle(journal, exchange.metrics, pacer.now, call_sid=call.call_sid, tally=call.tally)
        session = Session(
            _session_config(exchange.agent, exchange.toolbox, start.audio_format),
            exchange.make_id,
            plays=True,
            own_tools=exchange.toolbox.names,
            patient_tools=exchange.toolbox.patient,
            apology=exchange.agent.apology,
            history=call.history,
            limits=PHONE_LIMITS,
            hears_sound=exchange.backend.hears_sound,
            anticipates=exchange.anticipates,
        )
        playback = Playback(start.audio_format, exchange.lead_ms)
        phone = Phone(
            StreamWriter(start.stream_sid),
            playback,
            pacer,
            exchange.metrics,
            self._send_text,
            lambda: engine.stop(),
            self._direct,
        )
        engine = self._engine = Engine(
            session,
            exchange.backend,
            phone,
            activity=exchange.activity,
            toolbox=exchange.toolbox,
            observe=chronicle.note,
            now=pacer.now,
            end_of_turn=exchange.end_of_turn,
            facts=call.facts,
            phrasebook=exchange.phrasebook,
        )
        phone.report_to(engine.report)
        timeline = Timeline(start.audio_format)
        reader = Reader(engine, phone, timeline, pacer, exchange.metrics, self._receive, self._direct)
        chronicle.begin(start.stream_sid)
        greeting = exchange.agent.welcome_back if call.history else exchange.agent.greeting
        hang_up, end = None, None
        live = LiveSession(id=call.call_sid, owner=OPERATOR, engine=engine, opened_at_s=time.time())
        try:
            with exchange.directory.listed(live):
                async with asyncio.TaskGroup() as tasks:
                    writing = tasks.create_task(phone.write())
                    reading = tasks.create_task(reader.read())
                    hang_up = await engine.run(greeting)
                    end = reader.end
                    writing.cancel()
                    reading.cancel()
        except Exception:
            log.exception("the conversation failed by a fault of ours")
            hang_up = HangUp(reason="error", farewell=exchange.agent.apology)
        phone.close()
        if not self._is_late:
            call.history = session.conversation.items
        self._is_over.set()
        chronicle.end(hang_up.reason if hang_up else end.value if end else "stalled")
        return hang_up, end

    async def _settle(self, hang_up: HangUp | None, end: StreamEnd | None) -> None:
        """What becomes of the call now that its stream is over."""
        exchange, call, now = self._exchange, self._call, self._exchange.pacer.now()
        log.info("= stream over: %s", hang_up.reason if hang_up else end)
        if self._is_superseded:
            await self._close(1008)  # what it came to concerns nobody: the call goes on elsewhere
        elif hang_up is not None:
            # Twilio comes back for the next verb; it is told to say the farewell, if there is one, and hang up.
            call.finish(EndReason(hang_up.reason), now, hang_up.farewell or None, hang_up.transfer_to or None)
            await self._close(1000)
        elif end is StreamEnd.STOPPED:
            await exchange.end_call(call.call_sid, EndReason.CALLER_HUNG_UP)
        else:
            call.lose_stream(self._generation, now)
            await self._close(1003 if end is StreamEnd.ABUSED else 1011)

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def _close(self, code: int) -> None:
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._send({"type": "websocket.close", "code": code})
        except TimeoutError:  # an OSError too, so this comes first
            if self._direct is not None:
                self._direct.cut()  # a mere close would wait for what was written to be read
        except (RuntimeError, OSError):
            pass  # it is closed already


def _session_config(agent: Agent, toolbox: Toolbox, line: AudioFormat) -> SessionConfig:
    """A phone call's session: the line's own format both ways, so that nothing is transcoded needlessly."""
    return SessionConfig(
        instructions=agent.instructions,
        voice=agent.voice,
        input_format=line,
        output_format=line,
        transcription=Transcription(),
        turn_detection=agent.turn_detection,
        tools=toolbox.described,
        language=agent.language,
        provider_data=provider_data_of(agent.backchannel),
    )
