"""What a client posts to begin a WebRTC session: its offer, and the session it wants.

    Content-Type            where the offer is              where the session is      the answer is
    application/sdp         the body                        nowhere                   SDP
    multipart/form-data     the part `sdp`                  the part `session`        SDP
    application/json        the field `sdp`                 the field `session`       JSON

(Realtime reference, sections A.2 and E.1.) `/v1/realtime/webrtc` calls the session `sessionConfig`. Fields and
parts besides are nobody's fault: clients of Inworld send some. Says nothing about what the offer or the session
object hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from starlette.requests import Request

from gateway.body import read_body
from gateway.errors import JsonRefused
from gateway.realtime.form_data import read_form_data, read_value
from gateway.realtime.handshake import MOST_MODEL_CHARS, query_of
from gateway.realtime.json_body import BODY_DEADLINE_S, LONGEST_BODY_BYTES, read_json
from twiml.errors import shorten

MOST_OFFER_BYTES: Final = 16 * 1024
"""An offer of a browser with one track and a data channel has 2 to 6 KiB, with many candidates."""

MOST_BODY_BYTES: Final = LONGEST_BODY_BYTES + 2 * MOST_OFFER_BYTES
"""The largest session object, and an offer, whose line breaks JSON writes twice as long."""

SDP_TYPE: Final = "application/sdp"
FORM_TYPE: Final = "multipart/form-data"
JSON_TYPE: Final = "application/json"

SESSION_NAMES: Final = ("session", "sessionConfig")

_UTF_8 = ("utf-8", "utf8", "us-ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferBody:
    """An offer, not yet read, and what was asked for beside it."""

    sdp: str
    session: object | None
    """The session object as it was given; None: there is none."""
    model: str | None
    """That of the address, `?model=`."""
    answers_in: Literal["sdp", "json"]


async def read_offer_body(request: Request, *, deadline_s: float = BODY_DEADLINE_S) -> OfferBody:
    """The body of a request. Raises `JsonRefused`."""
    content_type = request.headers.get("content-type", "")
    kind, parameters = read_value(content_type)
    has_other_charset = parameters.get("charset", "utf-8").lower() not in _UTF_8
    if kind not in (SDP_TYPE, FORM_TYPE, JSON_TYPE) or has_other_charset:
        expected = f"{SDP_TYPE}, {FORM_TYPE} or {JSON_TYPE}, in UTF-8"
        came = shorten(content_type) if content_type else "none"
        raise JsonRefused(415, "not_an_offer", f"Content-Type: expected {expected}, got {came}.")
    model = _model(request)
    if kind == SDP_TYPE:
        raw = await read_body(request, _refused_offer, most_bytes=MOST_OFFER_BYTES, deadline_s=deadline_s)
        return OfferBody(sdp=_checked(_text(raw)), session=None, model=model, answers_in="sdp")
    if kind == FORM_TYPE:
        whole = await read_body(request, JsonRefused, most_bytes=MOST_BODY_BYTES, deadline_s=deadline_s)
        parts = _parts(whole, parameters.get("boundary", ""))
        sdp = _checked(_text(parts.get("sdp", b"")))
        sessions = [_json(parts[name], name) for name in SESSION_NAMES if name in parts]
        return OfferBody(sdp=sdp, session=_given(sessions), model=model, answers_in="sdp")
    fields = (await read_json(request, most_bytes=MOST_BODY_BYTES, deadline_s=deadline_s)).fields
    sessions = [fields.get(name) for name in SESSION_NAMES]
    return OfferBody(sdp=_checked(fields.get("sdp")), session=_given(sessions), model=model, answers_in="json")


def _model(request: Request) -> str | None:
    model = query_of(request.scope).get("model")
    if model is not None and not 0 < len(model) <= MOST_MODEL_CHARS:
        words = f"Invalid model: expected a name of at most {MOST_MODEL_CHARS} characters."
        raise JsonRefused(400, "invalid_model", words, "model")
    return model


def _refused_offer(status_code: int, reason: str, words: str) -> JsonRefused:
    """The body's refusal, in an offer's words where the body is the offer."""
    return _too_large() if status_code == 413 else JsonRefused(status_code, reason, words)


def _too_large() -> JsonRefused:
    return JsonRefused(413, "offer_too_large", f"The offer: expected at most {MOST_OFFER_BYTES} bytes.", "sdp")


def _parts(body: bytes, boundary: str) -> dict[str, bytes]:
    try:
        return read_form_data(body, boundary)
    except ValueError as error:
        raise JsonRefused(400, "invalid_form", f"The body is no {FORM_TYPE}: {error}.") from error


def _json(raw: bytes, name: str) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonRefused(400, "invalid_json", f"The part '{name}' is no JSON: {error}.", name) from error


def _given(sessions: Iterable[object]) -> object | None:
    """The first that is there; null says no more than nothing does."""
    return next((session for session in sessions if session is not None), None)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise JsonRefused(400, "invalid_offer", f"The offer is no UTF-8: {error.reason}.", "sdp") from error


def _checked(sdp: object) -> str:
    if sdp is None or sdp == "":
        raise JsonRefused(400, "missing_required_parameter", "Missing required parameter: 'sdp'.", "sdp")
    if not isinstance(sdp, str):
        words = f"Invalid value: 'sdp': expected the offer as a text, got {type(sdp).__name__}."
        raise JsonRefused(400, "invalid_value", words, "sdp")
    if len(sdp.encode()) > MOST_OFFER_BYTES:
        raise _too_large()
    return sdp
