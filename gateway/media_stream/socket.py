"""The media socket: where Twilio's Media Streams come in, as a bare ASGI application.

Who may come in is decided before the handshake is answered: Twilio's signature over the URL, and a token that
opens one stream of one call once. Bare ASGI because fifty frames a second and call arrive here, and every layer
between is paid for as often.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.types import Receive, Scope, Send

from gateway.errors import SignatureRefused, TokenRefused
from gateway.fast_lane import EXTENSION
from gateway.logs import about
from gateway.media_stream.exchange import Exchange
from gateway.media_stream.stream import Stream

log = logging.getLogger(__name__)


class MediaSocket:
    """The endpoint of `/twilio/media/{token}`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._streams: dict[str, Stream] = {}
        """The last stream begun of each call, by CallSid, for as long as it lives."""
        self._here: set[Stream] = set()
        """All that were let in, those too that have not begun."""

    def stream_of(self, call_sid: str) -> Stream | None:
        """The stream of a call, if one is open here."""
        stream = self._streams.get(call_sid)
        return stream if stream is not None and stream.is_open else None

    @property
    def coming(self) -> int:
        """Streams that were let in, and whose conversation has not begun."""
        return sum(stream.is_coming for stream in self._here)

    async def move_all(self, *, at_once: bool) -> None:
        """Until other workers have all calls that stream here, or nobody has; also those that come in meanwhile."""
        while streams := [stream for stream in self._here if not stream.is_superseded]:
            async with asyncio.TaskGroup() as moves:
                for stream in streams:
                    moves.create_task(stream.move(at_once=at_once))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._exchange
        await receive()  # websocket.connect
        signature = dict(scope["headers"]).get(b"x-twilio-signature")
        try:
            shown = signature.decode("latin-1") if signature is not None else None
            exchange.signature.check_handshake(scope["path"], shown)
            call = await exchange.store.claim(scope["path_params"]["token"], exchange.now())
        except (SignatureRefused, TokenRefused) as refusal:
            exchange.metrics.webhook_rejected.labels(f"media_{refusal.reason}").inc()
            # Anybody can knock by the thousand; those are counted, and no line is written for each.
            level = logging.DEBUG if refusal.reason == "no_signature" else logging.WARNING
            log.log(level, "media socket refused: %s", refusal)
            await send({"type": "websocket.close", "code": 1008})  # before accept: HTTP 403, no 101
            return
        with about(call.call_sid):
            await send({"type": "websocket.accept"})
            # Taken out: the connection holds its scope, and would hold itself by it for ever.
            direct = scope.get("extensions", {}).pop(EXTENSION, None)
            stream = Stream(exchange, self._streams, call, receive, send, direct)
            self._here.add(stream)
            try:
                await stream.run()
            finally:
                self._here.discard(stream)
