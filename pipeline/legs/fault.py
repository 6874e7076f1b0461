"""What the failure of a request means to its leg: a provider's fault is told as one, a fault of ours stays its own.

Pure but for the log of our own faults, which nobody would see if another provider makes up for them.
"""

from __future__ import annotations

import logging

from pipeline.legs.race import BrokeOff
from pipeline.provider import ProviderError

log = logging.getLogger(__name__)


def fault_of(error: Exception, provider: str) -> Exception:
    """The error as its leg passes it on. A time-out that no provider named is its provider's all the same."""
    match error:
        case TimeoutError():
            return ProviderError(provider, "its own time was up", retryable=True)
        case BrokeOff():
            return ProviderError(provider, str(error), retryable=True)
        case _:
            return error


def is_final(error: Exception) -> bool:
    """Whether asking the same again is of no use: a refusal, or a bug of ours."""
    return not (isinstance(error, ProviderError) and error.retryable)


def log_if_ours(error: Exception, provider: str) -> None:
    if not isinstance(error, ProviderError):
        log.error(
            "a request to %s failed by a fault of ours; another provider takes over", provider, exc_info=error
        )
