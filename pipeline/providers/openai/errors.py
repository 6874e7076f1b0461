"""What goes wrong between us and the server, as `ProviderError`s: what it is, how to mend it, whether to try again.

    openai.APITimeoutError, httpx2.TimeoutException     again: it may be faster next time
    openai.APIConnectionError, httpx2.RequestError      again: nobody there, or cut off
    openai.APIStatusError  408 409 425 429 5xx          again: it says itself that it will pass
                           429 insufficient_quota       not: no second try is paid for
                           every other 4xx              not: the same request is refused the same way
    anything else of the SDK's                          again: what came makes no sense

The key is never in a message, though some servers repeat it in theirs.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import httpx2
import openai

from pipeline.provider import ProviderError

PASSING: Final = frozenset({408, 409, 425, 429})
"""Statuses below 500 that say "not now" (RFC 9110, RFC 6585, RFC 8470)."""

LONGEST_EXCUSE_CHARS: Final = 200
"""Of what a server says in its error."""

_HINTS: Final = {
    400: "refused the request (HTTP 400); check the model's name and the options",
    401: "refused the API key (HTTP 401); check {setting}",
    403: "does not allow this key to do that (HTTP 403); check what {setting} may use",
    404: "has no such model, or no such path (HTTP 404); check the model's name and the base URL",
    413: "finds the request too large (HTTP 413)",
    422: "refused the request (HTTP 422); check the model's name and the options",
    429: "has too much to do, or too many requests of ours (HTTP 429)",
}


@contextmanager
def refusals(label: str, setting: str, secret: str) -> Iterator[None]:
    """See the module's docstring. `setting` is where the key is set, `secret` the key itself."""
    try:
        yield
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise ProviderError(label, "did not answer in time", retryable=True) from error
    except openai.APIStatusError as error:
        raise _refused(label, setting, secret, error) from error
    except (openai.APIConnectionError, httpx2.RequestError, ssl.SSLError, anyio.EndOfStream) as error:
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
        # The cause may name addresses of the machine's network; its class is enough to tell one from another.
        is_nobody = isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol)
        what = "cannot be reached; check its base URL, and that it runs" if is_nobody else "cut the connection"
        message = f"{what} ({type(cause).__name__})"
        raise ProviderError(label, message, retryable=True) from error
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderError(label, f"answered nonsense ({type(error).__name__})", retryable=True) from error


def _refused(label: str, setting: str, secret: str, error: openai.APIStatusError) -> ProviderError:
    status = error.status_code
    if error.code == "insufficient_quota":
        message = "has no credit left for this key (HTTP 429); see the account's billing page"
        return ProviderError(label, message, retryable=False)
    hint = _HINTS.get(status, f"failed (HTTP {status})").format(setting=setting)
    # Refusing a key, servers like to repeat parts of it.
    excuse = "" if status in (401, 403) else excuse_of(error.body, secret)
    return ProviderError(label, hint + excuse, retryable=status >= 500 or status in PASSING)


def excuse_of(body: object, secret: str = "") -> str:
    """What the server says about it, short and without the key: `: model not loaded`; empty if it says nothing."""
    said = body.get("message") if isinstance(body, dict) else body
    if not isinstance(said, str) or not said.strip():
        return ""
    words = " ".join(said[: LONGEST_EXCUSE_CHARS * 2].split())
    if secret:
        words = words.replace(secret, "…")
    return f": {words[:LONGEST_EXCUSE_CHARS]}"
