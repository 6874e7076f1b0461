"""What goes wrong with a service's WebSocket, as `ProviderError`s: refused, closed, out of reach, not as agreed.

For services whose messages are JSON objects. Whose socket it is, and what its messages mean, is not its business.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from pipeline.provider import ProviderError

NO_SECOND_TRY: Final = frozenset({400, 401, 402, 403, 404, 422})
"""HTTP answers that stay what they are: a wrong key, no money, no such voice. 429 and 5xx may pass."""

MOST_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Half a minute of 24 kHz PCM16 in base64 and to spare; what sends more at once is broken."""

GOODBYE_LIMIT_S: Final = 0.2
"""Telling a service to stop must not hold up the next answer; the connection is closed anyway."""

_LONGEST_QUOTE_CHARS: Final = 200


@contextlib.contextmanager
def socket_faults(label: str, key: str) -> Iterator[None]:
    """Raise what the connection does as `ProviderError` of `label`; `key` is never in a message."""
    try:
        yield
    except InvalidStatus as error:
        status = error.response.status_code
        message = f"refused the connection with HTTP {status}"
        raise ProviderError(label, message, retryable=is_retryable(status)) from error
    except InvalidURI as error:
        raise ProviderError(label, "has a base_url that is no address", retryable=False) from error
    except ConnectionClosed as error:
        frame = error.rcvd or error.sent
        why = f"{frame.code} {quoted(frame.reason, key)}".rstrip() if frame else "without a goodbye"
        raise ProviderError(label, f"closed the connection ({why})", retryable=True) from error
    except (WebSocketException, OSError) as error:
        raise ProviderError(label, f"cannot be reached ({type(error).__name__})", retryable=True) from error


def is_retryable(status: int) -> bool:
    return status not in NO_SECOND_TRY


def quoted(text: object, key: str) -> str:
    """Words of a service's, for a message of ours: short and without the key."""
    words = str(text)
    return (words.replace(key, "***") if key else words)[:_LONGEST_QUOTE_CHARS]


def json_object(label: str, text: str | bytes) -> dict[str, Any]:
    """A message's content. Raises `ProviderError` for what is none."""
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise garbage(label, "a message that is no JSON object")
    return message


def sound_of(label: str, data: object) -> bytes:
    """Sound out of base64. Raises `ProviderError` for what is none."""
    try:
        return base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except ValueError:
        raise garbage(label, "sound that is no base64") from None


def garbage(label: str, what: str) -> ProviderError:
    return ProviderError(label, f"sent {what}", retryable=True)


async def say_goodbye(sending: Callable[[], Awaitable[None]]) -> None:
    """Send a last message if that is possible at once; whether it arrives is nobody's interest any more."""
    with contextlib.suppress(TimeoutError, OSError, ConnectionClosed):
        async with asyncio.timeout(GOODBYE_LIMIT_S):
            await sending()
