"""A remote Realtime service as the backend of sessions: one for all, a worker with its own connection for each.

See `pipeline.worker.Remote`, which this is one of. A session held by one is made with `hears_sound=True`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

from websockets.exceptions import WebSocketException

from pipeline.events.config import SessionConfig
from pipeline.prices import Prices
from pipeline.provider import ProviderError
from pipeline.providers.source import Source
from pipeline.upstream.connection import CONNECT_LIMIT_S, Connection, Dial, dial, dialling_error
from pipeline.upstream.far_session import FarSession
from pipeline.upstream.shape import address_of, upstream_of
from pipeline.upstream.worker import RemoteWorker
from pipeline.worker import Seat

KEY_CHARS: Final = 24


class RemoteRealtime:
    """`source` as of any provider: `name` is the shape, unless its options name one; see `shape.OPTIONS`.

    Raises `ProviderError` for a configuration that cannot work. `dial` connects; tests bring their own.
    """

    hears_sound = True

    def __init__(
        self,
        source: Source,
        *,
        prices: Prices | None = None,
        dial: Dial = dial,
        make_key: Callable[[], str] = lambda: uuid.uuid4().hex[:KEY_CHARS],
    ) -> None:
        self._upstream = upstream_of(source)
        self._prices = prices or Prices()
        self._dial = dial
        self._make_key = make_key
        self.takes_images = self._upstream.takes_images

    @property
    def label(self) -> str:
        """For metrics and messages."""
        return self._upstream.label

    def engage(self, seat: Seat) -> RemoteWorker:
        """A worker for a session that begins."""
        return RemoteWorker(self._upstream, seat, self._open, self._prices)

    async def _open(self, config: SessionConfig, tasks: asyncio.TaskGroup) -> FarSession:
        """A far session, ready. Raises `ProviderError`."""
        upstream = self._upstream
        far: FarSession | None = None
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                socket = await self._dial(address_of(upstream, self._make_key()))
                connection = Connection(upstream.label, socket, rewrites_words=upstream.rewrites_words)
                far = FarSession(upstream, connection)
                tasks.create_task(far.run())
                await far.open(config)
        except ProviderError:
            raise
        except (OSError, WebSocketException, TimeoutError) as error:
            if far is not None:
                far.give_up("did not open a session in time")
            raise dialling_error(upstream.label, error) from error
        return far
