"""TwiML as Twilio reads it: a document becomes a list of verbs, or an error of Twilio's dictionary.

Pure. Verbs the simulator plays are typed; every other known verb is an `Other` with its attributes, for tests to
look at. What Twilio would only warn about (12200) comes back in `Document.warnings` and the rest is run, as
Twilio does. Sources: https://www.twilio.com/docs/voice/twiml and https://www.twilio.com/docs/api/errors

On loopback the public address of a gateway is `http://127.0.0.1:PORT`, so the stream's address is `ws://…`. Twilio
itself refuses anything but `wss://` (31922); `media_stream.py` makes that one exception for loopback hosts.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit, urlunsplit
from xml.etree import ElementTree

from simulator.errors import TwimlRefused
from simulator.messages import Complaint
from simulator.verb import (
    Connect,
    Dial,
    Document,
    Enqueue,
    Gather,
    Hangup,
    Leave,
    Other,
    Pause,
    Play,
    Prompt,
    Record,
    Redirect,
    Reject,
    Say,
    Stream,
    Verb,
)

__all__ = ["Connect", "read_twiml"]

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
    "Enqueue": frozenset("action method waitUrl waitUrlMethod workflowSid maxQueueSize".split()),
    "Leave": frozenset(),
    "Gather": frozenset(
        "input action method timeout speechTimeout maxSpeechTime finishOnKey numDigits partialResultCallback "
        "partialResultCallbackMethod language hints bargeIn speechModel enhanced profanityFilter debug "
        "actionOnEmptyResult".split()
    ),
    "Record": frozenset(
        "action method timeout finishOnKey maxLength playBeep trim recordingStatusCallback "
        "recordingStatusCallbackMethod recordingStatusCallbackEvent transcribe transcribeCallback".split()
    ),
    "Dial": frozenset(
        "action method timeout hangupOnStar timeLimit callerId record trim recordingStatusCallback "
        "recordingStatusCallbackMethod recordingStatusCallbackEvent recordingTrack answerOnBridge ringTone "
        "sequential referUrl referMethod events passports".split()
    ),
    "Number": frozenset(
        "sendDigits url method statusCallback statusCallbackEvent statusCallbackMethod byoc".split()
    ),
}
_OTHER_VERBS = frozenset("Refer Start Stop Queue Pay Prompt".split())
_NOUNS = frozenset({"Stream", "Parameter", "Number"})
GATHER_TIMEOUT_S, RECORD_TIMEOUT_S, DIAL_TIMEOUT_S = 5.0, 5.0, 30.0
RECORD_LENGTH_S = 3600.0
QUEUE_SIZE = 1000
"""Twilio's defaults."""


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
        if element.tag not in _ATTRIBUTES or element.tag in _NOUNS:
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
            case "Enqueue" | "Gather" | "Record" | "Dial":
                return self._call_centre(element)
            case "Leave":
                return Leave()
            case _:
                return Hangup()

    def _call_centre(self, element: ElementTree.Element) -> Verb | None:
        method = self._method(element, "method")
        match element.tag:
            case "Enqueue":
                return Enqueue(
                    name=_text(element),
                    action=self._address(element, "action"),
                    method=method,
                    wait_url=self._address(element, "waitUrl"),
                    wait_method=self._method(element, "waitUrlMethod"),
                    max_size=int(self._number(element, "maxQueueSize", QUEUE_SIZE)),
                )
            case "Gather":
                digits = int(self._number(element, "numDigits", 0))
                return Gather(
                    prompts=self._prompts(element),
                    action=self._address(element, "action") or self._base_url,
                    method=method,
                    timeout_s=self._number(element, "timeout", GATHER_TIMEOUT_S),
                    num_digits=digits or None,
                    finish_on_key=element.get("finishOnKey", "#"),
                    action_on_empty=element.get("actionOnEmptyResult") == "true",
                )
            case "Record":
                return Record(
                    action=self._address(element, "action") or self._base_url,
                    method=method,
                    timeout_s=self._number(element, "timeout", RECORD_TIMEOUT_S),
                    max_length_s=self._number(element, "maxLength", RECORD_LENGTH_S),
                    finish_on_key=element.get("finishOnKey", "1234567890*#"),
                    has_beep=element.get("playBeep", "true") == "true",
                    status_callback=self._address(element, "recordingStatusCallback"),
                    status_callback_method=self._method(element, "recordingStatusCallbackMethod"),
                    status_events=frozenset(element.get("recordingStatusCallbackEvent", "completed").split()),
                )
            case _:
                return self._dial(element, method)

    def _dial(self, element: ElementTree.Element, method: str) -> Verb | None:
        nouns = list(element)
        if len(nouns) > 1 or (nouns and nouns[0].tag != "Number"):
            return Other(f"Dial/{nouns[0].tag}", dict(nouns[0].attrib))
        if nouns:
            self._check_attributes(nouns[0])
        number = _text(element)
        if not number:
            self._warn("<Dial> names nobody; it is left out")
            return None
        timeout_s = self._number(element, "timeout", DIAL_TIMEOUT_S)
        return Dial(number, self._address(element, "action"), method, timeout_s)

    def _prompts(self, gather: ElementTree.Element) -> tuple[Prompt, ...]:
        prompts: list[Prompt] = []
        for element in gather:
            verb = self._verb(element) if element.tag in ("Say", "Play", "Pause") else None
            if isinstance(verb, Say | Play | Pause):
                prompts.append(verb)
            else:
                self._warn(f"<{element.tag}> does not belong into <Gather>; it is left out")
        return tuple(prompts)

    def _address(self, element: ElementTree.Element, attribute: str) -> str | None:
        url = element.get(attribute)
        return None if url is None else self._resolve(url)

    def _number(self, element: ElementTree.Element, attribute: str, default: float) -> float:
        text = element.get(attribute)
        if text is None or (attribute == "timeout" and text == "auto"):
            return default
        if not text.isdecimal():
            self._warn(f"<{element.tag} {attribute}> is a whole number, got {text!r}; {default:g} is taken")
            return default
        return float(text)

    def _connect(self, element: ElementTree.Element) -> Verb | None:
        nouns = list(element)
        if len(nouns) != 1:
            self._warn(f"<Connect> holds one noun, found {len(nouns)}; it is left out")
            return None
        if nouns[0].tag != "Stream":
            return Other(f"Connect/{nouns[0].tag}", dict(nouns[0].attrib))
        stream = self._stream(nouns[0])
        return Connect(self._address(element, "action"), self._method(element, "method"), stream)

    def _stream(self, element: ElementTree.Element) -> Stream:
        self._check_attributes(element)
        return Stream(
            url=self._stream_url(element.get("url", "")),
            name=element.get("name", ""),
            track=element.get("track", "inbound_track"),
            status_callback=self._address(element, "statusCallback"),
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
