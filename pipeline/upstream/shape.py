"""Where a remote Realtime service stands, how it wants to be called, and in what it differs from the others. Pure.

Four shapes, in one table. All speak the Realtime protocol's GA names, but for Azure's older previews, which speak
the beta's (Realtime reference, sections A.1 and A.3).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pipeline.provider import ProviderError
from pipeline.providers.source import Source


class Shape(enum.Enum):
    OPENAI = "openai"
    AZURE = "azure"
    INWORLD = "inworld"
    SWITCHBOARD = "switchboard"


@dataclass(frozen=True, slots=True)
class _Traits:
    base_url: str
    """Empty: it has to be told."""
    path: str
    transcriber: str
    """What it is asked to write down the caller's words with."""
    session_s: float
    """How long a session may last, where `session.created` does not say."""
    takes_images: bool = False
    rewrites_words: bool = False
    """Its transcription deltas replace what came before (Realtime reference, section G.4)."""


TRAITS: Final[Mapping[Shape, _Traits]] = {
    Shape.OPENAI: _Traits(
        "wss://api.openai.com", "/v1/realtime", "gpt-4o-mini-transcribe", 60 * 60, takes_images=True
    ),
    Shape.AZURE: _Traits("", "/openai/v1/realtime", "gpt-4o-mini-transcribe", 30 * 60, takes_images=True),
    Shape.INWORLD: _Traits(
        "wss://api.inworld.ai", "/api/v1/realtime/session", "inworld/inworld-stt-1", 15 * 60, rewrites_words=True
    ),
    Shape.SWITCHBOARD: _Traits("", "/v1/realtime", "default", 60 * 60),
}

PREVIEW_PATH: Final = "/openai/realtime"
"""Azure's, before GA: with `api-version` and `deployment`."""

OPTIONS: Final = ("shape", "api_version", "transcription_model", "max_session_s", "voice")
SHORTEST_SESSION_S: Final = 30.0

_SECURE: Final = {"https": "wss", "http": "ws", "wss": "wss", "ws": "ws"}


@dataclass(frozen=True, slots=True)
class Address:
    """What is dialled."""

    url: str
    headers: dict[str, str] = field(repr=False)

    @property
    def is_loopback(self) -> bool:
        """No proxy stands between us and it."""
        return (urlsplit(self.url).hostname or "") in ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One remote service, as the configuration names it."""

    label: str
    """For metrics and messages: `openai/gpt-realtime`."""
    shape: Shape
    base_url: str
    model: str
    api_key: str = field(repr=False)
    api_version: str = ""
    """Azure's older previews alone have one."""
    transcriber: str
    voice: str | None = None
    """Of answers for which the session names none."""
    session_s: float

    @property
    def takes_images(self) -> bool:
        return TRAITS[self.shape].takes_images

    @property
    def rewrites_words(self) -> bool:
        return TRAITS[self.shape].rewrites_words

    @property
    def speaks_beta(self) -> bool:
        """It names events and fields as the beta did."""
        return bool(self.api_version)


def upstream_of(source: Source) -> Upstream:
    """The service that a configuration's table means. Raises `ProviderError` if it cannot be meant so."""
    source.no_options(*OPTIONS)
    shape = _shape_of(source)
    traits = TRAITS[shape]
    base_url = source.base_url or traits.base_url
    if not base_url:
        raise ProviderError(source.label, "has no address; set its base_url (wss://…)", retryable=False)
    if urlsplit(base_url).scheme not in _SECURE:
        expected = f"expected an address that begins with {', '.join(_SECURE)}"
        raise ProviderError(source.label, f"base_url: {expected}; got {base_url[:80]!r}", retryable=False)
    return Upstream(
        label=source.label,
        shape=shape,
        base_url=base_url,
        model=source.model,
        api_key=source.key(f"the API key of {source.name}"),
        api_version=_text(source, "api_version"),
        transcriber=_text(source, "transcription_model") or traits.transcriber,
        voice=_text(source, "voice") or source.agent.voice,
        session_s=_session_s(source, traits.session_s),
    )


def _shape_of(source: Source) -> Shape:
    name = source.options.get("shape", source.name)
    known = ", ".join(shape.value for shape in Shape)
    try:
        return Shape(name)
    except ValueError:
        message = f"is of no known shape; give its table `shape`, one of {known}"
        raise ProviderError(source.label, message, retryable=False) from None


def _text(source: Source, option: str) -> str:
    value = source.options.get(option, "")
    if not isinstance(value, str):
        raise ProviderError(source.label, f"{option}: expected a string, got {value!r}", retryable=False)
    return value


def _session_s(source: Source, usual_s: float) -> float:
    value = source.options.get("max_session_s", usual_s)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < SHORTEST_SESSION_S:
        expected = f"expected seconds, at least {SHORTEST_SESSION_S:g}"
        raise ProviderError(source.label, f"max_session_s: {expected}; got {value!r}", retryable=False)
    return float(value)


def address_of(upstream: Upstream, session_key: str) -> Address:
    """What is dialled for one session; `session_key` is one of our own choosing, which Inworld wants to be told."""
    scheme, host, path, query, _ = urlsplit(upstream.base_url)
    usual = PREVIEW_PATH if upstream.speaks_beta else TRAITS[upstream.shape].path
    if path.rstrip("/").endswith("/v1"):  # where an HTTP client of the same service is pointed
        path = f"{path.rstrip('/')}/realtime"
    asked = dict(parse_qsl(query)) | _query(upstream, session_key)
    url = urlunsplit((_SECURE[scheme], host, path if path.strip("/") else usual, urlencode(asked), ""))
    return Address(url, _headers(upstream))


def _query(upstream: Upstream, session_key: str) -> dict[str, str]:
    match upstream.shape:
        case Shape.INWORLD:
            return {"key": session_key, "protocol": "realtime"}
        case Shape.AZURE if upstream.speaks_beta:
            return {"api-version": upstream.api_version, "deployment": upstream.model}
        case _:
            return {"model": upstream.model} if upstream.model else {}


def _headers(upstream: Upstream) -> dict[str, str]:
    key = upstream.api_key
    match upstream.shape:
        case Shape.AZURE:
            return {"api-key": key}
        case Shape.INWORLD if key.count(".") != 2:
            return {"Authorization": f"Basic {key}"}  # a JSON Web Token alone has two dots
        case _:
            return {"Authorization": f"Bearer {key}"}
