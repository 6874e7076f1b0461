"""The time a provider takes for one request: from asking it to the first thing of use that comes back."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.observations import ProviderTimed
from pipeline.provider import ProviderError


class Timing:
    """Of one request that begins now: `came()` when something of use has come, then one of `done`, `failed` and
    `stalled`.

    A request that is given up for another reason ends in none of them: nobody knows how long it would have taken.
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

    def asked(self) -> None:
        """The request is complete only now: a transcriber's, when the caller has stopped."""
        self._asked = self._now()

    def came(self) -> None:
        if self._came is None:
            self._came = self._now()

    @property
    def seconds(self) -> float:
        """From the request to the first thing of use; until that has come, to now."""
        came = self._came if self._came is not None else self._now()
        return max(0.0, came - self._asked)

    @property
    def first_s(self) -> float | None:
        """As `seconds`; None until something of use has come."""
        return None if self._came is None else self.seconds

    def done(self) -> None:
        self._end(None)

    def stalled(self) -> None:
        self._end("stalled")

    def failed(self, error: Exception) -> None:
        if isinstance(error, ProviderError):
            self._end("retryable" if error.retryable else "final")
        else:
            self._end("internal")

    def _end(self, failure: str | None) -> None:
        self._tell(ProviderTimed(self._provider, self._kind, failure, self.seconds))
