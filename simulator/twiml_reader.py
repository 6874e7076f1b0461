"""TwiML as Twilio reads it: a document becomes a list of verbs, or an error of Twilio's dictionary.

Pure. Verbs the simulator plays are typed; every other known verb is an `Other` with its attributes, for tests to
look at. What Twilio would only warn about (12200) comes back in `Document.warnings` and the rest is run, as
Twilio does. Sources: https://www.twilio.com/docs/voice/twiml and https://www.twilio.com/docs/api/errors

On loopback the public address of a gateway is `http://127.0.0.1:PORT`, so the stream's address is `ws://…`. Twilio
itself refuses anything but `wss://` (31922); `media_stream.py` makes that one exception for loopback hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit, urlunsplit
from xml.etree import ElementTree

from simulator.errors import TwimlRefused
from simulator.messages import Complaint

PARSE_FAILURE = 12100
SCHEMA_WARNING = 12200
WRONG_CONTENT_TYPE = 12300
TOO_LARGE = 11750
MAX_DOCUMENT_BYTES = 64_000
"""Twilio reads TwiML of up to 64 kB."""
PARAMETER_CHARACTERS = 500
"""A `<Parameter>`'s name and value together stay below this."""
_XML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})

_ATTRIBUTES: dict[str, frozenset[str]] = {
    "Connect": frozenset({"action", "method"}),
    "Redirect": frozenset({"method"}),
    "Say": frozenset({"voice", "language", "loop"}),
    "Pause": frozenset({"length"}),
    "Hangup": frozenset(),
    "Play": frozenset({"loop", "digits"}),
    "Reject": frozenset({"reason"}),
    "Stream": frozenset(
        "url name track statusCallback statusCallbackMethod connectorName audioFormat sampleRate".split()
    ),
    "Parameter": frozenset({"name", "value"}),
}
_OTHER_VERBS = frozenset("Dial Enqueue Record Gather Leave Refer Start Stop Queue Pay Prompt".split())


@dataclass(frozen=True, slots=True)
class Stream:
    url: str
    """Absolute, without the query: Twilio strips it."""
    name: str
    track: str
    status_callback: str | None
    status_callback_method: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connect:
    action: str | None
    method: str
    stream: Stream


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    length_s: float


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Play:
    url: str | None
    digits: str | None


@dataclass(frozen=True, slots=True)
class Reject:
    reason: str


@dataclass(frozen=True, slots=True)
class Other:
    """A verb Twilio knows and the simulator does not play."""

    name: str
    attributes: Mapping[str, str]


Verb: TypeAlias = Connect | Redirect | Say | Pause | Hangup | Play | Reject | Other


@dataclass(frozen=True, slots=True)
class Document:
    verbs: tuple[Verb, ...]
    warnings: tuple[Complaint, ...]


def read_twiml(body: bytes, *, content_type: str, base_url: str) -> Document:
    """The document in an HTTP answer. `base_url` is where it came from; relative addresses are resolved on it.

    Raises `TwimlRefused` 12300 (content type), 11750 (too large), 12100 (not XML), 12200 (not a `<Response>`).
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _XML_TYPES:
        shown = repr(content_type) if content_type else "no content type"
        raise TwimlRefused(WRONG_CONTENT_TYPE, f"{base_url} answered {shown}; TwiML is text/xml")
    if len(body) > MAX_DOCUMENT_BYTES:
        raise TwimlRefused(TOO_LARGE, f"{base_url} answered {len(body)} bytes; Twilio reads {MAX_DOCUMENT_BYTES}")
    if b"<!DOCTYPE" in body:
        raise TwimlRefused(PARSE_FAILURE, f"{base_url} answered a document with a DOCTYPE; TwiML has none")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise TwimlRefused(PARSE_FAILURE, f"{base_url} answered what is not well-formed XML: {error}") from error
    if root.tag != "Response":
        raise TwimlRefused(SCHEMA_WARNING, f"{base_url}: the root is <{root.tag}>, expected <Response>")
    return _Reading(base_url).document(root)


class _Reading:
    """One document being read: where it came from, and what was odd about it."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._warnings: list[Complaint] = []

    def document(self, root: ElementTree.Element) -> Document:
        verbs = [verb for element in root if (verb := self._verb(element)) is not None]
        return Document(tuple(verbs), tuple(self._warnings))

    def _warn(self, message: str) -> None:
        self._warnings.append(Complaint(SCHEMA_WARNING, message))

    def _verb(self, element: ElementTree.Element) -> Verb | None:
        if element.tag in _OTHER_VERBS:
            return Other(element.tag, dict(element.attrib))
        if element.tag not in _ATTRIBUTES or element.tag in ("Stream", "Parameter"):
            self._warn(f"<{element.tag}> is not a verb; it is left out")
            return None
        self._check_attributes(element)
        match element.tag:
            case "Connect":
                return self._connect(element)
            case "Redirect":
                return Redirect(self._resolve(_text(element)), self._method(element, "method"))
            case "Say":
                return Say(_text(element))
            case "Pause":
                return Pause(self._length_s(element))
            case "Play":
                return self._play(element)
            case "Reject":
                return Reject(element.get("reason", "rejected"))
            case _:
                return Hangup()

    def _connect(self, element: ElementTree.Element) -> Verb | None:
        nouns = list(element)
        if len(nouns) != 1:
            self._warn(f"<Connect> holds one noun, found {len(nouns)}; it is left out")
            return None
        if nouns[0].tag != "Stream":
            return Other(f"Connect/{nouns[0].tag}", dict(nouns[0].attrib))
        action = element.get("action")
        stream = self._stream(nouns[0])
        resolved = None if action is None else self._resolve(action)
        return Connect(resolved, self._method(element, "method"), stream)

    def _stream(self, element: ElementTree.Element) -> Stream:
        self._check_attributes(element)
        callback = element.get("statusCallback")
        return Stream(
            url=self._stream_url(element.get("url", "")),
            name=element.get("name", ""),
            track=element.get("track", "inbound_track"),
            status_callback=None if callback is None else self._resolve(callback),
            status_callback_method=self._method(element, "statusCallbackMethod"),
            parameters=self._parameters(element),
        )

    def _parameters(self, stream: ElementTree.Element) -> dict[str, str]:
        parameters: dict[str, str] = {}
        for element in stream:
            if element.tag != "Parameter":
                self._warn(f"<{element.tag}> does not belong into <Stream>; it is left out")
                continue
            self._check_attributes(element)
            name, value = element.get("name", ""), element.get("value", "")
            if not name:
                self._warn("a <Parameter> without a name is left out")
            elif (length := len(name) + len(value)) >= PARAMETER_CHARACTERS:
                self._warn(f"<Parameter> {name!r} has {length} characters with its value, 499 are allowed")
            else:
                parameters[name] = value
        return parameters

    def _stream_url(self, url: str) -> str:
        """Absolute and without a query: "query string parameters are not supported", Twilio sends none."""
        absolute = urlsplit(self._resolve(url))
        if absolute.query:
            self._warn("<Stream url>: the query string is stripped; pass values as <Parameter> or in the path")
        is_relative = not urlsplit(url).scheme
        scheme = {"http": "ws", "https": "wss"}.get(absolute.scheme) if is_relative else None
        return urlunsplit((scheme or absolute.scheme, absolute.netloc, absolute.path, "", ""))

    def _play(self, element: ElementTree.Element) -> Play:
        url = _text(element)
        return Play(self._resolve(url) if url else None, element.get("digits"))

    def _length_s(self, element: ElementTree.Element) -> float:
        length = element.get("length", "1")
        if not length.isdecimal() or int(length) == 0:
            self._warn(f"<Pause length> is a whole number of seconds from 1 on, got {length!r}; 1 is taken")
            return 1.0
        return float(length)

    def _method(self, element: ElementTree.Element, attribute: str) -> str:
        method = element.get(attribute, "POST").upper()
        if method not in ("GET", "POST"):
            self._warn(f"<{element.tag} {attribute}> is GET or POST, got {method!r}; POST is taken")
            return "POST"
        return method

    def _check_attributes(self, element: ElementTree.Element) -> None:
        for name in sorted(element.attrib.keys() - _ATTRIBUTES[element.tag]):
            self._warn(f"<{element.tag}> has no attribute {name!r}")

    def _resolve(self, url: str) -> str:
        return urljoin(self._base_url, url.strip())


def _text(element: ElementTree.Element) -> str:
    """All words inside, those of speech mark-up (SSML) included, with single spaces."""
    return " ".join("".join(element.itertext()).split())
