"""The time a provider takes for one request: from asking it to the first thing of use that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pipeline.observations import ProviderTimed
from pipeline.provider import ProviderError


class Timing:
    """`with Timing(…) as timing:` around a request; `timing.came()` when something of use has come.

    One that is given up by us is not told: nobody knows how long it would have taken.
    """

    def __init__(
        self, provider: str, kind: str, now: Callable[[], float], tell: Callable[[ProviderTimed], None]
    ) -> None:
        self._provider = provider
        self._kind = kind
        self._now = now
        self._tell = tell
        self._asked = now()
        self._came: float | None = None
        self._is_dropped = False

    def asked(self) -> None:
        """The request is complete only now: a transcriber's, when the caller has stopped."""
        self._asked = self._now()

    def drop(self) -> None:
        """There was nothing to ask after all."""
        self._is_dropped = True

    def came(self) -> None:
        if self._came is None:
            self._came = self._now()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_dropped or isinstance(error, asyncio.CancelledError | GeneratorExit):
            return
        failure: str | None = None
        if isinstance(error, TimeoutError):
            failure = "stalled"
        elif isinstance(error, ProviderError):
            failure = "retryable" if error.retryable else "final"
        elif error is not None:
            failure = "internal"
        came = self._came if self._came is not None else self._now()
        self._tell(ProviderTimed(self._provider, self._kind, failure, max(0.0, came - self._asked)))
