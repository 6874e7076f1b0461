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
from gateway.metrics import Metrics
from gateway.settings import Settings
from twiml.documents import connect_stream
from twiml.numbers import mask
from twiml.webhooks import VoiceRequest

MEDIA_PATH = "/twilio/media"
STREAM_STATUS_PATH = "/twilio/stream"
WAY_BACK_PATH = "/twilio/stream-ended"

logger = logging.getLogger(__name__)


def _always() -> bool:
    return True


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
    """Seconds of a monotonic clock."""
    admits: Callable[[], bool] = _always
    """False while no new call may come in, as when the gateway is about to stop."""
    on_completed: Callable[[str], None] = _nobody_listens
    """Told the CallSid, once, when Twilio or its silence ended a call; must not block."""

    async def is_full(self) -> bool:
        limit = self.settings.max_calls
        return not self.admits() or (0 < limit <= await self.store.live_count())

    async def open_call(self, request: VoiceRequest) -> Call:
        """Takes a call in."""
        call = Call(
            call_sid=request.call_sid,
            from_=request.from_,
            to=request.to,
            agent=self.settings.agent,
            started_at_s=self.now(),
        )
        await self.store.open(call)
        self.metrics.calls_active.inc()
        caller = mask(call.from_)
        await self.record(call.call_sid, "call.started", **{"from": caller, "to": call.to, "agent": call.agent})
        logger.info("call started", extra={"from": caller, "to": call.to, "agent": call.agent})
        return call

    async def offer_stream(self, call: Call) -> str:
        """The document that connects the call to a new stream; every earlier token of the call is void."""
        token = await self.store.issue_token(call.call_sid, self.now())
        await self.record(call.call_sid, "stream.offered", generation=call.generation)
        way_back = self.way_back_url(call)
        return connect_stream(
            stream_url=self.settings.ws_url(f"{MEDIA_PATH}/{token}"),
            parameters={"agent": call.agent, "generation": str(call.generation)},
            action_url=way_back,
            redirect_url=way_back,
            status_callback_url=self.settings.http_url(STREAM_STATUS_PATH),
        )

    def way_back_url(self, call: Call) -> str:
        """Where Twilio asks when this stream has ended; names the stream, so that a late word is known as such."""
        return self.settings.http_url(f"{WAY_BACK_PATH}?generation={call.generation}")

    async def end_call(self, call_sid: str, reason: EndReason) -> bool:
        """Signs a call out. True the first time only; a reason the call was given by `finish` stands."""
        call = await self.store.find(call_sid)
        if call is None or not call.is_live:
            return False
        await self._sign_out(call, call.end_reason or reason)
        await self.store.end(call_sid, reason, self.now())
        return True

    async def sweep(self) -> None:
        """Signs out the calls Twilio has forgotten, and forgets old ones; cheap, to be called often."""
        for call in await self.store.sweep(self.now()):
            await self._sign_out(call, call.end_reason or EndReason.ABANDONED)
            self.on_completed(call.call_sid)

    async def record(self, call_sid: str, event: str, **fields: object) -> None:
        """Writes an event into the call's journal; `at_s` is the desk's clock."""
        journal = await self.store.journal(call_sid)
        if journal is not None:
            journal.append({"event": event, "at_s": round(self.now(), 3), **fields})

    async def _sign_out(self, call: Call, reason: EndReason) -> None:
        seconds = round(call.seconds(self.now()), 3)
        await self.record(call.call_sid, "call.ended", reason=reason.value, seconds=seconds)
        self.metrics.calls_active.dec()
        self.metrics.calls_total.labels(reason.value).inc()
        self.metrics.call_duration_s.observe(seconds)
        with logs.about(call.call_sid):
            logger.info("call ended", extra={"reason": reason.value, "seconds": seconds})
