"""Connections to Inworld: where it stands, how one proves who one is, and what its failures mean.

Its two streaming services speak alike: one WebSocket, JSON in both directions, every answer in a `result` that may
hold a gRPC `status`, or an `error` in its place (https://docs.inworld.ai/api-reference/introduction). What the
messages say is the business of those who send them.

    HTTP 408, 425, 429, 5xx at the handshake, no answer, a closed line, nonsense     again: it may pass
    gRPC 1, 2, 4, 8, 10, 13, 14, 15 (cancelled, exhausted, internal, unavailable)    again
    every other HTTP status, every other gRPC code                                   not: it is refused the same way
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.protocol import State

from pipeline.events.refusal import BadEvent
from pipeline.json_text import parsed
from pipeline.provider import ProviderError
from pipeline.providers.source import Source

BASE_URL: Final = "https://api.inworld.ai"

_frames: Final = logging.getLogger(f"{__name__}.frames")
_frames.setLevel(logging.WARNING)  # below, the library writes down every header, the key's too

SPEECH_OPTIONS: Final = ("delivery", "language")
ROUTER_OPTIONS: Final = ("body", "images", "max_tokens_field", "reasoning_effort", "temperature", "usage")
OPTIONS: Final = (*SPEECH_OPTIONS, *ROUTER_OPTIONS)
"""What its table in an agent's file may hold: one table for all three providers of this package."""

LARGEST_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""One minute of studio sound in base64. A service that sends more at once has lost its senses."""

DEEPEST: Final = 16
"""Levels of a message. Phonetic details of timed words lie seven deep."""

GOODBYE_LIMIT_S: Final = 0.5
"""To close a line. A peer that does not answer is not waited for."""

LONGEST_EXCUSE_CHARS: Final = 200
"""Of what the service says in its error."""

_PASSING_STATUSES: Final = frozenset({408, 425, 429})
"""Below 500, those that say "not now" (RFC 9110, RFC 6585, RFC 8470)."""

_PASSING_CODES: Final = frozenset({1, 2, 4, 8, 10, 13, 14, 15})
"""gRPC status codes that a second try need not meet again (https://grpc.io/docs/guides/status-codes/)."""

_HINTS: Final = {
    400: "refused the connection (HTTP 400); check {setting}",
    401: "refused the API key (HTTP 401); check {setting}",
    403: "does not allow this key to do that (HTTP 403); check what {setting} may use",
    404: "has nothing at this address (HTTP 404); check the base URL",
    429: "has too much to do, or too many connections of ours (HTTP 429)",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of the streaming services."""

    label: str
    setting: str
    """Where its key is set."""
    url: str
    authorization: str = field(repr=False)

    @classmethod
    def of(cls, source: Source, path: str) -> Self:
        """Raises `ProviderError` if the source has no key, or no address that makes sense."""
        return cls(source.label, key_setting(source), _socket_address(source) + path, authorization(source))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Line, None]:
        """A line, open; closed on the way out."""
        # Whoever calls bounds the handshake; a proxy of the environment stands between us and the network, never
        # between us and ourselves.
        is_here = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        with failures(self.label, self.setting):
            connection = await connect(
                self.url,
                additional_headers={"Authorization": self.authorization},
                user_agent_header="switchboard",
                logger=_frames,
                proxy=None if is_here else True,
                compression=None,  # base64 of sound does not get smaller, only slower
                max_size=LARGEST_MESSAGE_BYTES,
                close_timeout=GOODBYE_LIMIT_S,
            )
        try:
            yield Line(self, connection)
        finally:
            try:
                await connection.close()
            finally:
                connection.transport.abort()  # even where the goodbye itself was cut short


class Line:
    """One open connection. Whatever goes wrong on it is a `ProviderError`."""

    def __init__(self, endpoint: Endpoint, connection: ClientConnection) -> None:
        self.label = endpoint.label
        self._setting = endpoint.setting
        self._secret = endpoint.authorization.partition(" ")[2]
        self._connection = connection

    @property
    def is_open(self) -> bool:
        return self._connection.state is State.OPEN

    async def say(self, message: Mapping[str, Any]) -> None:
        with failures(self.label, self._setting):
            await self._connection.send(msgspec.json.encode(message), text=True)

    async def hear(self) -> dict[str, Any] | None:
        """The next result; `None` once the service has closed the line in good order."""
        try:
            with failures(self.label, self._setting):
                text = await self._connection.recv(decode=False)
        except ProviderError as error:
            if isinstance(error.__cause__, ConnectionClosedOK):
                return None
            raise
        return self._result(text)

    def nonsense(self, what: str) -> ProviderError:
        """What came is not what the wire allows."""
        return ProviderError(self.label, f"answered nonsense: {what}", retryable=True)

    def _result(self, text: bytes) -> dict[str, Any]:
        try:
            message = parsed(text, depth=DEEPEST)
        except BadEvent:
            raise self.nonsense("a message that is not JSON") from None
        if not isinstance(message, dict):
            raise self.nonsense("a message that is not an object")
        result = message.get("result", message)
        if not isinstance(result, dict):
            raise self.nonsense("a result that is not an object")
        for status in (message.get("error"), result.get("status")):
            self._judge(status)
        return result

    def _judge(self, status: object) -> None:
        """Raise what `status` says is wrong. A code of 0, or none, says that all is well."""
        if status is None or (isinstance(status, dict) and status.get("code", 0) == 0 and "message" not in status):
            return
        code, said = (status.get("code"), status.get("message")) if isinstance(status, dict) else (None, status)
        if code == 0:
            return
        is_passing = not isinstance(code, int) or code in _PASSING_CODES
        number = f" (gRPC {code})" if isinstance(code, int) else ""
        raise ProviderError(self.label, f"failed{number}{self._excuse(said)}", retryable=is_passing)

    def _excuse(self, said: object) -> str:
        if not isinstance(said, str) or not said.strip():
            return ""
        words = " ".join(said[: LONGEST_EXCUSE_CHARS * 2].split()).replace(self._secret, "…")
        return f": {words[:LONGEST_EXCUSE_CHARS]}"


@contextmanager
def failures(label: str, setting: str) -> Iterator[None]:
    """Within it, errors of the connection become `ProviderError`s; see the module's docstring.

    `setting` is where the key is set.
    """
    try:
        yield
    except InvalidStatus as error:
        status = error.response.status_code
        message = _HINTS.get(status, f"refused the connection (HTTP {status})").format(setting=setting)
        is_passing = status >= 500 or status in _PASSING_STATUSES
        raise ProviderError(label, message, retryable=is_passing) from error
    except ConnectionClosed as error:
        raise ProviderError(label, _closing(error), retryable=True) from error
    except (WebSocketException, OSError, EOFError, TimeoutError, ssl.SSLError) as error:
        # Names and addresses of the machine's network are in the cause; its class tells enough.
        message = f"cannot be reached ({type(error).__name__}); check its base URL"
        raise ProviderError(label, message, retryable=True) from error


def key_setting(source: Source) -> str:
    """Where the key of this source is set, for messages."""
    return "INWORLD_API_KEY" if source.name == "inworld" else f"SWITCHBOARD_PROVIDER_KEYS ({source.name}=…)"


def authorization(source: Source) -> str:
    """The header's value for a key as Inworld issues it, which is in base64 already, or for a JSON Web Token.

    Raises `ProviderError` if the source has no key, or something else in its place.
    """
    key = source.key(key_setting(source)).strip()
    scheme, _, bare = key.partition(" ")
    if scheme not in ("Basic", "Bearer"):
        # A token is three parts with dots between (RFC 7519); base64 has no dots.
        scheme, bare = ("Bearer" if key.count(".") == 2 else "Basic"), key
    if not bare or not bare.isascii() or not bare.isprintable() or " " in bare:
        message = f"the API key holds characters that no key has; check {key_setting(source)}"
        raise ProviderError(source.label, message, retryable=False)
    return f"{scheme} {bare}"


def http_address(source: Source) -> str:
    """Where the source's server stands, without a slash at its end. Raises `ProviderError`."""
    address = (source.base_url or BASE_URL).rstrip("/")
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_good = False
    if not is_good:
        message = f"expected a base URL like {BASE_URL}, got {address!r}"
        raise ProviderError(source.label, message, retryable=False)
    return address


def text_option(source: Source, name: str, *allowed: str) -> str | None:
    """An option that is a text, one of `allowed` if there are any. Raises `ProviderError`."""
    value = source.options.get(name)
    if value is None or (isinstance(value, str) and value and (not allowed or value in allowed)):
        return value
    expected = f"one of {', '.join(allowed)}" if allowed else "a text"
    raise ProviderError(source.label, f"option {name!r}: expected {expected}, got {value!r}", retryable=False)


def _socket_address(source: Source) -> str:
    return "ws" + http_address(source).removeprefix("http")


def _closing(error: ConnectionClosed) -> str:
    if error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
        return f"sent a message of more than {LARGEST_MESSAGE_BYTES // 1024 // 1024} MiB"
    code = error.rcvd.code if error.rcvd is not None else CloseCode.ABNORMAL_CLOSURE
    return f"the connection was closed ({int(code)})"
