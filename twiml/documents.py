"""TwiML documents: what we tell Twilio to do with a call.

Pure: values in, text out. Written by `twilio.twiml` alone, never by string templates, after what XML 1.0
cannot carry has been taken out. Knows nothing of calls, tokens or settings; it is handed finished URLs.
Shapes and limits: https://www.twilio.com/docs/voice/twiml/stream and https://www.twilio.com/docs/voice/twiml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from twilio.twiml.voice_response import Gather, VoiceResponse

from twiml.errors import DocumentError, shorten

SAY_LIMIT_CHARS = 3_000
"""Twilio refuses a `<Say>` of more than 4,096 characters; this leaves room for what escaping adds."""

PARAMETER_LIMIT_CHARS = 500
"""Name and value of a `<Parameter>` together must be shorter than this."""

DOCUMENT_LIMIT_BYTES = 64 * 1024
"""Twilio refuses a longer document (error 11750)."""

RING_S = 25
"""Five rings: whoever has not answered by then will not."""

QUEUE_NAME_LIMIT_CHARS = 64
"""Twilio refuses a longer name of a queue."""

RECORD_LIMIT_S = 120
"""The longest message a caller may leave."""

RECORD_SILENCE_S = 3
"""Who is silent for so long has finished speaking."""

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
# https://www.w3.org/TR/xml/#charsets
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def connect_stream(
    stream_url: str,
    parameters: Mapping[str, str],
    action_url: str,
    redirect_url: str,
    status_callback_url: str,
) -> str:
    """Connects the call to our media socket, with the way back behind it.

    When the stream ends, for any reason, Twilio asks `action_url`; should it go on to the next verb instead,
    that is a `<Redirect>` to `redirect_url`. Either way the call is never left on a silent line.
    Raises `DocumentError` for what Twilio would refuse.
    """
    document = VoiceResponse()
    connect = document.connect(action=_url("action", action_url), method="POST")
    stream = connect.stream(
        url=_stream_url(stream_url),
        status_callback=_url("statusCallback", status_callback_url),
        status_callback_method="POST",
    )
    for name, value in parameters.items():
        stream.parameter(name=name, value=_parameter(name, value))
    document.redirect(_url("Redirect", redirect_url), method="POST")
    return _text(document)


def say_and_hang_up(text: str, language: str | None = None) -> str:
    """Says a sentence, then ends the call. Says nothing if nothing sayable is left of the text."""
    document = VoiceResponse()
    _say(document, text, language)
    document.hangup()
    return _text(document)


def dial(number: str, action_url: str) -> str:
    """Connects the caller to a telephone number; how that went, Twilio tells `action_url`.

    https://www.twilio.com/docs/voice/twiml/dial. `answerOnBridge` lets the caller hear it ring until then.
    """
    document = VoiceResponse()
    _dial(document, number, action_url)
    return _text(document)


def say_and_dial(text: str, number: str, action_url: str, language: str | None = None) -> str:
    """The same after a sentence."""
    document = VoiceResponse()
    _say(document, text, language)
    _dial(document, number, action_url)
    return _text(document)


def enqueue(
    name: str, *, text: str, wait_url: str, action_url: str, redirect_url: str, language: str | None = None
) -> str:
    """Says a sentence and puts the caller into a queue, which is made if there is none of that name.

    https://www.twilio.com/docs/voice/twiml/enqueue. What is heard meanwhile, `wait_url` says, again and again; when
    the caller has left the queue, by `leave` or because there was no place in it, `action_url` is asked.
    """
    if not 0 < len(name) <= QUEUE_NAME_LIMIT_CHARS:
        raise DocumentError(
            f"Enqueue: expected a name of 1 to {QUEUE_NAME_LIMIT_CHARS} characters, got {shorten(name)}"
        )
    document = VoiceResponse()
    _say(document, text, language)
    document.enqueue(
        _legal(name),
        action=_url("action", action_url),
        method="POST",
        wait_url=_url("waitUrl", wait_url),
        wait_url_method="POST",
    )
    document.redirect(_url("Redirect", redirect_url), method="POST")
    return _text(document)


def leave() -> str:
    """Takes a waiting caller out of the queue. https://www.twilio.com/docs/voice/twiml/leave"""
    document = VoiceResponse()
    document.leave()
    return _text(document)


def say_and_wait(text: str, *, pause_s: int, music_url: str = "", language: str | None = None) -> str:
    """Says a sentence in the queue, then music if there is some, else a pause; then the wait URL is asked again."""
    document = VoiceResponse()
    _say(document, text, language)
    _rest(document, pause_s, music_url)
    return _text(document)


def gather_key(
    text: str,
    *,
    action_url: str,
    timeout_s: int,
    again: str = "",
    redirect_url: str = "",
    music_url: str = "",
    language: str | None = None,
) -> str:
    """Says a sentence, perhaps again, and tells `action_url` the key pressed meanwhile or in `timeout_s` after it.

    https://www.twilio.com/docs/voice/twiml/gather: without a key the next verb follows, which is the redirect if
    there is one. `finishOnKey` is empty, so that # is a key like the others.
    """
    document = VoiceResponse()
    gather = document.gather(
        input="dtmf",
        action=_url("action", action_url),
        method="POST",
        num_digits=1,
        timeout=timeout_s,
        finish_on_key="",
    )
    _say(gather, text, language)
    if again:
        gather.pause(length=timeout_s)
        _say(gather, again, language)
    if music_url:
        gather.play(_url("Play", music_url))
    if redirect_url:
        document.redirect(_url("Redirect", redirect_url), method="POST")
    return _text(document)


def say_and_record(
    text: str, *, action_url: str, status_callback_url: str, redirect_url: str, language: str | None = None
) -> str:
    """Says a sentence and records the caller until #, a long silence or `RECORD_LIMIT_S`.

    https://www.twilio.com/docs/voice/twiml/record: `action_url` is told of the recording; of an empty one it is
    not, and the next verb follows, which is the redirect. `status_callback_url` is told when the file is ready.
    """
    document = VoiceResponse()
    _say(document, text, language)
    document.record(
        action=_url("action", action_url),
        method="POST",
        max_length=RECORD_LIMIT_S,
        timeout=RECORD_SILENCE_S,
        finish_on_key="#",
        play_beep=True,
        recording_status_callback=_url("recordingStatusCallback", status_callback_url),
        recording_status_callback_method="POST",
        recording_status_callback_event="completed absent",
    )
    document.redirect(_url("Redirect", redirect_url), method="POST")
    return _text(document)


def hang_up() -> str:
    """Ends the call."""
    document = VoiceResponse()
    document.hangup()
    return _text(document)


def reject() -> str:
    """Turns the call away before it is answered, so that it is not billed."""
    document = VoiceResponse()
    document.reject()
    return _text(document)


def redirect(url: str) -> str:
    """Makes Twilio ask another URL what to do."""
    document = VoiceResponse()
    document.redirect(_url("Redirect", url), method="POST")
    return _text(document)


def _say(parent: VoiceResponse | Gather, text: str, language: str | None) -> None:
    sayable = _legal(text)[:SAY_LIMIT_CHARS]
    if sayable.strip():
        parent.say(sayable, language=None if language is None else _legal(language))


def _rest(document: VoiceResponse, pause_s: int, music_url: str) -> None:
    if music_url:
        document.play(_url("Play", music_url))
    else:
        document.pause(length=pause_s)


def _dial(document: VoiceResponse, number: str, action_url: str) -> None:
    if not _NUMBER.fullmatch(number):
        raise DocumentError(f"Dial: expected a number like +493012345, got {shorten(number)}")
    document.dial(number, action=_url("action", action_url), method="POST", timeout=RING_S, answer_on_bridge=True)


def _legal(text: str) -> str:
    """The text without what XML 1.0 cannot carry, its line ends as a parser makes them (XML 1.0 §2.11)."""
    return _ILLEGAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def _url(place: str, url: str) -> str:
    if _VISIBLE_ASCII.fullmatch(url):
        return url
    raise DocumentError(f"{place}: expected a URL of visible ASCII characters, got {shorten(url)}")


def _stream_url(url: str) -> str:
    """Twilio strips a query, and signs the URL byte for byte, so `/media` and `/media/` are two URLs."""
    try:
        parts = urlsplit(_url("Stream url", url))
    except ValueError as error:
        raise DocumentError(f"Stream url: {error}, in {shorten(url)}") from error
    if parts.scheme not in ("wss", "ws") or not parts.netloc:
        raise DocumentError(f"Stream url: expected wss://host/path, got {shorten(url)}")
    if "?" in url or "#" in url:
        raise DocumentError(f"Stream url: expected no query and no fragment, got {shorten(url)}")
    if parts.path.strip("/") == "" or parts.path.endswith("/"):
        raise DocumentError(f"Stream url: expected a path without a trailing slash, got {shorten(url)}")
    return url


def _parameter(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise DocumentError(f"Parameter name: expected a letter, then letters, digits, _ . -, got {shorten(name)}")
    legal = _legal(value)
    length_chars = len(name) + len(legal)
    if length_chars >= PARAMETER_LIMIT_CHARS:
        raise DocumentError(
            f"Parameter {shorten(name)}: expected name and value to have fewer than {PARAMETER_LIMIT_CHARS} "
            f"characters together, got {length_chars}"
        )
    return legal


def _text(document: VoiceResponse) -> str:
    text = str(document)
    size_bytes = len(text.encode())
    if size_bytes > DOCUMENT_LIMIT_BYTES:
        raise DocumentError(f"Document: expected at most {DOCUMENT_LIMIT_BYTES} bytes, got {size_bytes}")
    return text
