"""The front desk: where calls are taken in, offered a stream, and signed out.

One place, so that the store, the metrics and the journal always tell the same story, whoever ends a call: Twilio's
status callback, the media socket or the way back. Knows no request and no response.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway import logs
from gateway.auth import SignatureCheck
from gateway.calls.call import Call, EndReason
from gateway.calls.store import CallStore
from gateway.errors import Outpaced, StoreUnavailable
from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.settings import Settings
from twiml.documents import connect_stream
from twiml.numbers import mask
from twiml.webhooks import VoiceRequest

MEDIA_PATH = "/twilio/media"
STREAM_STATUS_PATH = "/twilio/stream"
WAY_BACK_PATH = "/twilio/stream-ended"

TRIES = 3
"""How often a step is tried that other workers are quicker with: they answer the same webhook, at most twice."""

logger = logging.getLogger(__name__)


def _nobody_listens(call_sid: str) -> None:
    """The hook's default."""


@dataclass(slots=True, kw_only=True)
class FrontDesk:
    """What every route of Twilio's needs."""

    settings: Settings
    store: CallStore
    signatures: SignatureCheck
    metrics: Metrics
    now: Callable[[], float]
    """Unix seconds of a clock that does not jump."""
    gate: Gate
    """Who may come in."""
    on_completed: Callable[[str], None] = _nobody_listens
    """Told the CallSid, once, when Twilio or its silence ended a call; must not block."""

    def __post_init__(self) -> None:
        self.metrics.calls_active.set_function(lambda: self.store.here)

    async def open_call(self, request: VoiceRequest) -> Call:
        """Takes a call in. Raises `Outpaced` if another worker has it by now."""
        call = Call(
            call_sid=request.call_sid,
            from_=request.from_,
            to=request.to,
            agent=self.settings.agent,
            started_at_s=self.now(),
        )
        with self.gate.admission.given_back_on_failure(call.call_sid):
            await self._open(call)
        caller = mask(call.from_)
        await self.record(call.call_sid, "call.started", **{"from": caller, "to": call.to, "agent": call.agent})
        logger.info("call started", extra={"from": caller, "to": call.to, "agent": call.agent})
        return call

    async def recover(self, request: VoiceRequest, generation: int) -> Call:
        """A call of ours that no worker remembers: its stream of this number has ended, and it goes on.

        Raises `Outpaced`.
        """
        logger.error("a call goes on without its past: nobody remembers it", extra={"generation": generation})
        agent = self.settings.agent
        call = Call.forgotten(
            request.call_sid, generation, self.now(), from_=request.from_, to=request.to, agent=agent
        )
        await self._open(call)
        return call

    async def offer_stream(self, call: Call) -> str:
        """The document that connects the call to a new stream; every earlier token of the call is void.

        Raises `Outpaced`.
        """
        token = await self.store.issue_token(call, self.now())
        await self.record(call.call_sid, "stream.offered", generation=call.generation)
        way_back = self.way_back_url(call)
        facts = {"agent": call.agent, "generation": str(call.generation), "from": call.from_, "to": call.to}
        return connect_stream(
            stream_url=self.settings.ws_url(f"{MEDIA_PATH}/{token}"),
            parameters={name: value for name, value in facts.items() if value},
            action_url=way_back,
            redirect_url=way_back,
            status_callback_url=self.settings.http_url(STREAM_STATUS_PATH),
        )

    def way_back_url(self, call: Call) -> str:
        """Where Twilio asks when this stream has ended; names the stream, so that a late word is known as such."""
        return self.settings.http_url(f"{WAY_BACK_PATH}?generation={call.generation}")

    async def end_call(self, call_sid: str, reason: EndReason, *, generation: int | None = None) -> bool:
        """Signs a call out. True the first time only; a reason the call was given by `finish` stands.

        `generation`: it is the word of this stream, which counts only while no newer one was offered.
        """
        for _ in range(TRIES):
            try:
                call = await self.store.find(call_sid)
                if call is None or (generation is not None and call.generation > generation):
                    return False
                if not await self.store.end(call, reason, self.now()):
                    return False
            except Outpaced:
                continue
            except StoreUnavailable as error:
                logger.warning("the end of a call is not known to others: %s", error)
                return False
            self._sign_out(call)
            return True
        return False

    async def sweep(self) -> None:
        """Signs out the calls Twilio has forgotten, and forgets old ones; cheap, to be called often."""
        for call in await self.store.sweep(self.now()):
            self._sign_out(call)
            self.on_completed(call.call_sid)

    async def record(self, call_sid: str, event: str, **fields: object) -> None:
        """Writes an event into the call's journal; `at_s` is the desk's clock."""
        await self.store.note(call_sid, {"event": event, "at_s": round(self.now(), 3), **fields})

    async def _open(self, call: Call) -> None:
        try:
            await self.store.open(call)
        except KeyError:
            raise Outpaced(call.call_sid) from None

    def _sign_out(self, call: Call) -> None:
        assert call.end_reason is not None, "it has ended"
        self.gate.release(call.call_sid)
        reason, seconds = call.end_reason.value, round(call.seconds(self.now()), 3)
        self.metrics.calls_total.labels(reason).inc()
        self.metrics.call_duration_s.observe(seconds)
        with logs.about(call.call_sid):
            logger.info("call ended", extra={"reason": reason, "seconds": seconds})
