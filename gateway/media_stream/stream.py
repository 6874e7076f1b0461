"""One media stream, from its acceptance to its end: the conversation held on it, and what then becomes of the call.

No provider is opened before `start` has said that the stream is that call's. After that no frame ends the call by
itself; only a lost socket, `stop`, the conversation's own end, or another worker that is to go on with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import nullcontext
from typing import Final

from starlette.types import Receive, Send

from gateway.calls.call import Call, EndReason
from gateway.calls.chronicle import Chronicle
from gateway.calls.store import Attended
from gateway.credentials.door import OPERATOR
from gateway.errors import IllegalStep
from gateway.fast_lane import Direct
from gateway.logs import about
from gateway.media_stream import messages
from gateway.media_stream.exchange import Exchange
from gateway.media_stream.messages import StreamWriter
from gateway.media_stream.past import PHONE_LIMITS, past_of
from gateway.media_stream.phone import Phone
from gateway.media_stream.playback import Playback
from gateway.media_stream.reader import Reader, StreamEnd
from gateway.media_stream.second_chance import second_chance
from gateway.media_stream.steering import Steering, destinations_of
from gateway.media_stream.taps import Taps
from gateway.media_stream.timeline import Timeline
from gateway.realtime.directory import LiveSession
from gateway.recordings.recording import Recording
from gateway.recordings.switch import Switch
from pipeline.audio.formats import PCMU
from pipeline.commands import HangUp
from pipeline.engine import Engine
from pipeline.events import conversation, response
from pipeline.events.session import SessionUpdated
from pipeline.session import Session
from pipeline.snapshot import Snapshot

log = logging.getLogger(__name__)

START_LIMIT_S = 2.0
"""`start` follows the handshake at once; a socket that only sits there is not Twilio's."""

CLOSE_LIMIT_S = 2.0
"""A peer that does not even read our close is cut off."""

MOVE_LOOK_S = 0.02
"""How often it is looked whether a call that is to be moved is quiet."""

GIVE_WAY_LIMIT_S = 1.0
"""How long a new stream of a call waits, in silence, for what was heard on the one before."""

WORTH_KEEPING: Final = frozenset(
    (
        conversation.ConversationItemAdded,
        conversation.ConversationItemDone,
        conversation.ConversationItemTruncated,
        conversation.ConversationItemDeleted,
        conversation.TranscriptionCompleted,
        response.ResponseDone,
        SessionUpdated,
    )
)
"""Events after which the spare copy of a conversation is written at once, not only when it is looked at next."""


class Stream:
    """One accepted stream."""

    def __init__(
        self,
        exchange: Exchange,
        streams: dict[str, Stream],
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
        self.steering: Steering | None = None
        """Carries out what is asked of the call from outside; None before a conversation is held."""
        self.switch: Switch | None = None
        """Pauses the recording; None where calls are not recorded."""
        self._recording: Recording | None = None
        self.taps = Taps()
        self.line = PCMU
        """How the sound is written that those hear."""
        self._is_over = asyncio.Event()
        """What was heard stands in the call's history."""
        self._is_settled = asyncio.Event()
        self._is_moving = False
        self._is_late = False
        """A newer stream could not wait for that, and has begun without it."""

    @property
    def is_open(self) -> bool:
        """A conversation is held on it."""
        return self._engine is not None and self._engine.is_running

    @property
    def is_coming(self) -> bool:
        """It was let in, and no conversation has been held on it so far."""
        return self._engine is None and not self._is_settled.is_set()

    @property
    def is_superseded(self) -> bool:
        """A newer one was offered: this one has nothing more to say."""
        return self._call.generation != self._generation

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            self._is_settled.set()

    async def _run(self) -> None:
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
            self._exchange.metrics.call_setup_s.observe(self._exchange.now() - self._call.started_at_s)
        with about(self._call.call_sid, start.stream_sid):
            log.info("= stream begins: %s", start.audio_format.encoding.value)
            earlier = self._streams.get(self._call.call_sid)
            self._streams[self._call.call_sid] = self
            self._exchange.gate.resume(self._call.call_sid, line=self._call.to)
            try:
                if earlier is not None:
                    await earlier.give_way()
                async with self._exchange.store.attend(self._call, self._snapshot, self._stop) as attended:
                    hang_up, end = await self._converse(start, attended)
                    await self._settle(hang_up, end)
            finally:
                if self._streams.get(self._call.call_sid) is self:
                    del self._streams[self._call.call_sid]
                    self._exchange.gate.release(self._call.call_sid)

    async def over(self) -> None:
        """Until the conversation on it has ended."""
        await self._is_over.wait()

    async def give_way(self) -> None:
        """A newer stream of the call has begun, so this one is dead at its other end: end it, for the history."""
        self._stop()
        try:
            async with asyncio.timeout(GIVE_WAY_LIMIT_S):
                await self._is_over.wait()
        except TimeoutError:
            log.warning("the stream before did not end within %g s; what was heard on it is lost", GIVE_WAY_LIMIT_S)
            self._is_late = True

    async def move(self, *, at_once: bool) -> None:
        """Let another worker go on with the call: when nobody speaks and nothing is owed, or at once."""
        # Silence is many things at once, and none of them is an event; few calls are moved in a process's life.
        while not self._is_settled.is_set() and not (self.is_open and (at_once or self._is_quiet)):  # noqa: ASYNC110
            await asyncio.sleep(MOVE_LOOK_S)
        if self.is_open:
            self._is_moving = True
            self._stop()
        await self._is_settled.wait()

    @property
    def _is_quiet(self) -> bool:
        return self._engine is not None and self._engine.session.is_quiet

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.stop()

    def _snapshot(self) -> Snapshot | None:
        if self._recording is not None:  # whoever goes on with the call must not record what nobody may keep
            self._call.is_recording_paused = self._recording.is_paused_from_outside
        return self._call.snapshot if self._engine is None else self._engine.session.snapshot()

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
        if self._call.is_forgotten:
            # The store is away: what Twilio was told with the token, it tells us again.
            told = message.parameters
            known = self._call
            known.from_, known.to, known.agent = told.get("from", ""), told.get("to", ""), told.get("agent", "")
        return message

    async def _converse(self, start: messages.Start, attended: Attended) -> tuple[HangUp | None, StreamEnd | None]:
        """Hold the conversation; how we ended it, or how the stream did."""
        if self.is_superseded:
            return None, None
        recorder, call, now = self._exchange.recorder, self._call, self._exchange.pacer.now
        if recorder is None:
            return await self._talk(start, attended, None)
        age_s = call.seconds(self._exchange.now())
        switch = self.switch = Switch(call, self._exchange.store, attended, self._exchange.now)
        with recorder.recorded(
            call.call_sid, self._generation, start.stream_sid, start.audio_format, age_s, now, switch.note
        ) as recording:
            self._recording = recording
            switch.take(recording)
            with self.taps.attached(recording):
                return await self._talk(start, attended, recording)

    async def _talk(
        self, start: messages.Start, attended: Attended, recording: Recording | None
    ) -> tuple[HangUp | None, StreamEnd | None]:
        exchange, call, pacer = self._exchange, self._call, self._exchange.pacer
        chronicle = Chronicle(
            attended.journal, exchange.metrics, exchange.now, call_sid=call.call_sid, tally=call.tally
        )
        past = past_of(call, exchange.agent, exchange.toolbox, start.audio_format, exchange.now())
        session = Session(
            past.config,
            exchange.make_id,
            plays=True,
            own_tools=exchange.toolbox.names,
            patient_tools=exchange.toolbox.patient,
            apology=exchange.agent.apology,
            history=past.history,
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
            self.taps,
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
            hush=self.switch.hushed if self.switch is not None and recording is not None else nullcontext,
        )
        phone.report_to(engine.report)
        engine.watch(lambda event: attended.touch() if type(event) in WORTH_KEEPING else None)
        timeline = Timeline(start.audio_format)
        reader = Reader(engine, phone, timeline, pacer, exchange.metrics, self._receive, self._direct, self.taps)
        chronicle.begin(start.stream_sid)
        hang_up, end = None, None
        live = LiveSession(id=call.call_sid, owner=OPERATOR, engine=engine, opened_at_s=time.time())
        steering = Steering(engine, live.floor, destinations_of(exchange.agent), chronicle.note)
        self.line, self.steering = start.audio_format, steering
        try:
            with exchange.directory.listed(live):
                async with asyncio.TaskGroup() as tasks:
                    writing = tasks.create_task(phone.write())
                    reading = tasks.create_task(reader.read())
                    steered = tasks.create_task(steering.run())
                    asking = tasks.create_task(second_chance(engine, past.opening))
                    hang_up = await engine.run(past.opening)
                    end = reader.end
                    writing.cancel()
                    reading.cancel()
                    asking.cancel()
                    steered.cancel()
        except Exception:
            log.exception("the conversation failed by a fault of ours")
            hang_up = HangUp(reason="error", farewell=exchange.agent.apology)
        phone.close()
        if not self._is_late:
            call.snapshot = self._snapshot()
        self._is_over.set()
        usual = "moved" if self._is_moving else "stalled"
        chronicle.end(hang_up.reason if hang_up else end.value if end else usual)
        return hang_up, end

    async def _settle(self, hang_up: HangUp | None, end: StreamEnd | None) -> None:
        """What becomes of the call now that its stream is over. Others know of it before Twilio asks them."""
        exchange, call, now_s = self._exchange, self._call, self._exchange.now()
        log.info("= stream over: %s", hang_up.reason if hang_up else "moved" if self._is_moving else end)
        if self.is_superseded:
            await self._close(1008)  # what it came to concerns nobody: the call goes on elsewhere
        elif not call.is_live:
            await self._close(1000)  # its end was told already, here or to another worker
        elif hang_up is not None:
            # Twilio comes back for the next verb; it is told to say the farewell, if there is one, and hang up.
            call.finish(EndReason(hang_up.reason), now_s, hang_up.farewell or None, hang_up.transfer_to or None)
            await exchange.store.keep(call)
            await self._close(1000)
        elif end is StreamEnd.STOPPED:
            await exchange.end_call(call.call_sid, EndReason.CALLER_HUNG_UP, self._generation)
        elif end is None and self._is_moving:
            call.leave_stream(self._generation, now_s)
            await exchange.store.keep(call)
            exchange.metrics.calls_moved.inc()
            await self._close(1001)
        else:
            call.lose_stream(self._generation, now_s)
            await exchange.store.keep(call)
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
