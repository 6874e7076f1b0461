"""Logs: one line a record, JSON for machines or text for people, with no secret and no full number in it.

Every record carries the call and stream it is about, set once by `about` and inherited by the tasks begun inside.
The order of a JSON line's first keys is fixed: ts, level, logger, event, call_sid, stream_sid; then the extras, and
the worker where there are several.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO, cast

from twiml.numbers import HIDDEN, mask_within

call_sid: ContextVar[str | None] = ContextVar("call_sid", default=None)
stream_sid: ContextVar[str | None] = ContextVar("stream_sid", default=None)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""What every record has; anything else on it was handed in as `extra`."""

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(/twilio/media/)[^\s/?#\"'\\]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # An auth token is 32 hex digits; a SID has two letters before them and is no secret.
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])"), HIDDEN),
    # uvicorn writes the whole URL of a socket that is accepted, and a browser's key stands in a subprotocol.
    (re.compile(r"([?&](?:token|key)=)[^\s&#\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(openai-insecure-api-key\.)[^\s,\"']+"), rf"\1{HIDDEN}"),
    # A JSON web token, wherever it stands.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"), HIDDEN),
    # Keys of model providers and our own client secrets.
    (re.compile(r"\b(sk|ek)([-_])[A-Za-z0-9_-]{8,}"), rf"\1\2{HIDDEN}"),
)

# Control characters, line and paragraph separators, direction overrides, lone surrogates: whatever could begin
# a new line, steer a terminal or fail to be encoded.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@contextlib.contextmanager
def about(call: str | None, stream: str | None = None) -> Iterator[None]:
    """Records made inside are about this call, and this stream of it."""
    call_token, stream_token = call_sid.set(call), stream_sid.set(stream)
    try:
        yield
    finally:
        call_sid.reset(call_token)
        stream_sid.reset(stream_token)


def masked(text: str, secrets: Collection[str] = ()) -> str:
    """The text without media tokens, bearer tokens, auth tokens, keys, these secrets and full phone numbers."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return mask_within(text)


class JsonLines:
    """Formats a record as one JSON object on one line."""

    def __init__(self, secrets: Collection[str] = (), worker: str | None = None) -> None:
        self._secrets = secrets
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: self._clean(value) for name, value in _fields(record, self._worker).items()}
        text = json.dumps(fields, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

    def _clean(self, value: object) -> object:
        """Numbers and booleans as they are, anything else as masked text."""
        if isinstance(value, bool | int | float):
            return value
        return masked(str(value), self._secrets)


class TextLines:
    """Formats a record for people: time, level, logger, call, words, extras; a traceback indented below."""

    def __init__(self, secrets: Collection[str] = (), worker: str | None = None) -> None:
        self._secrets = secrets
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record, self._worker)
        moment = str(fields.pop("ts"))[11:23]
        level, logger, event = (fields.pop(name) for name in ("level", "logger", "event"))
        call = str(fields.pop("call_sid", ""))
        traceback = str(fields.pop("exception", ""))
        about_call = f" {call[:2]}…{call[-4:]}" if call else ""
        extras = "".join(f" {name}={value}" for name, value in fields.items())
        line = self._clean(f"{moment} {level:<7} {logger}{about_call} {event}{extras}")
        below = "".join(f"\n    {self._clean(part)}" for part in traceback.split("\n") if part)
        return line + below

    def _clean(self, text: str) -> str:
        return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], masked(text, self._secrets))


def configure(
    level: str,
    format: str,
    secrets: Collection[str] = (),
    output: TextIO | None = None,
    worker: str | None = None,
) -> Callable[[], None]:
    """Sends all logging, uvicorn's too, through one formatter to `output` (stderr). Gives what undoes it.

    `format` is `json` or `text`; `worker` stands in each line, where several write into one. uvicorn has to be
    started with `log_config=None`, or it takes its own back.
    """
    lines = JsonLines(secrets, worker) if format == "json" else TextLines(secrets, worker)
    sink = logging.StreamHandler(output or sys.stderr)
    # logging asks a formatter for nothing but `format`; it needs no relation to its class.
    sink.setFormatter(cast(logging.Formatter, lines))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = [sink]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)  # whatever another server in this process has set
        logger.propagate = True

    # A line for every request to a provider, with its whole address, is no event of ours.
    for name in ("httpx2", "httpcore2", "httpx", "httpcore", "mcp"):
        logging.getLogger(name).setLevel(logging.WARNING)

    def undo() -> None:
        root.handlers[:], level_before = before
        root.setLevel(level_before)

    return undo


def _fields(record: logging.LogRecord, worker: str | None) -> dict[str, object]:
    """The record as fields, in the order they are written; what has no value is left out."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, object | None] = {
        "ts": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage(),
        "call_sid": call_sid.get(),
        "stream_sid": stream_sid.get(),
    }
    fields.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
    fields.setdefault("worker", worker)
    if record.exc_info:
        fields["exception"] = logging.Formatter().formatException(record.exc_info)
    return {name: value for name, value in fields.items() if value is not None}
