"""Twilio's webhooks: the call comes in, its stream ends, its status changes, something went wrong.

Each request passes the same doors, cheapest first: header, body, signature, schema, account. Behind them, a
route that speaks to a caller always answers 200 with TwiML, an apology at the least: for 429 and 5xx Twilio
plays its own error message (https://www.twilio.com/docs/api/errors/11217). Media is none of this file's business.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar, assert_never

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import logs
from gateway.calls.call import END_REASONS, Call, CallState, EndReason, WayBack
from gateway.errors import FormRefused, Outpaced, Refusal, StoreUnavailable
from gateway.forms import read_signed_form
from gateway.front_desk import STREAM_STATUS_PATH, TRIES, WAY_BACK_PATH, FrontDesk
from twiml.documents import dial, hang_up, redirect, say_and_hang_up
from twiml.errors import WebhookError
from twiml.webhooks import (
    DialResult,
    ErrorReport,
    StatusCallback,
    StreamEvent,
    StreamStatus,
    VoiceRequest,
    read_dial_result,
    read_error_report,
    read_status,
    read_stream_status,
    read_voice,
)

APOLOGY = "We are sorry, something went wrong on our side. Please call again in a few minutes."
NOBODY_ANSWERED = "We are sorry, nobody can take your call just now. Please call again later."

DIALLED_PATH = "/twilio/dialled"

ACT_BUDGET_S = 3.0
"""How long a caller may listen to nothing while we make up our mind: a dozen operations of a Redis that needs its
whole limit for each. To be answered late is better than the apology that ends the call; Twilio waits 15 s."""

IDEMPOTENCY_HEADER = "i-twilio-idempotency-token"
"""The same in each attempt of one webhook (https://www.twilio.com/docs/usage/webhooks)."""

TWIML_TYPE = "application/xml"

SEAT_HOLD_S = 15.0
"""For a call that was let in to begin its stream, here or on another worker. It takes a second or so; a later one
finds a seat all the same, and a caller who hung up before it does not keep others out for long."""

MOST_UNREMEMBERED = 20
"""Streams after which a call that nobody remembers is not given another: its count of resumes is forgotten, too."""

_GENERATION = re.compile(r"[0-9]{1,6}")

logger = logging.getLogger(__name__)


class _SignedForm(Protocol):
    @property
    def call_sid(self) -> str: ...
    @property
    def account_sid(self) -> str: ...


_Form = TypeVar("_Form", bound=_SignedForm)


def routes(desk: FrontDesk) -> list[Route]:
    """The webhooks, to be mounted at the root."""
    return [
        webhook(desk, "/twilio/voice", read_voice, _voice, _apologise),
        webhook(desk, WAY_BACK_PATH, read_voice, _stream_ended, _apologise),
        webhook(desk, DIALLED_PATH, read_dial_result, _dialled, _apologise),
        webhook(desk, "/twilio/fallback", read_error_report, _fallback, _apologise),
        webhook(desk, "/twilio/status", read_status, _status, _admit_failure),
        webhook(desk, STREAM_STATUS_PATH, read_stream_status, _stream_status, _admit_failure),
    ]


def webhook(
    desk: FrontDesk,
    path: str,
    read: Callable[[Mapping[str, str]], _Form],
    act: Callable[[FrontDesk, _Form, Request], Awaitable[Response]],
    fail: Callable[[], Response],
) -> Route:
    """A route whose form is read by `read` and answered by `act`; by `fail`, should we be at fault."""

    async def answer(request: Request) -> Response:
        try:
            response = await _receive(desk, request, read, act)
        except Refusal as refusal:
            response = _refuse(desk, path, refusal)
        # The edge of the request: whatever is wrong with us, the caller is told something.
        except Exception:
            logger.exception("webhook failed", extra={"route": path})
            response = fail()
        desk.metrics.webhook_requests.labels(path, str(response.status_code)).inc()
        return response

    return Route(path, answer, methods=["POST"])


async def _receive(
    desk: FrontDesk,
    request: Request,
    read: Callable[[Mapping[str, str]], _Form],
    act: Callable[[FrontDesk, _Form, Request], Awaitable[Response]],
) -> Response:
    fields = await read_signed_form(request, desk.signatures)
    try:
        form = read(fields)
    except WebhookError as error:
        raise FormRefused(400, "schema", f"{error}\n") from error
    ours = desk.settings.account_sid
    if ours and form.account_sid != ours:
        raise FormRefused(
            403,
            "foreign_account",
            f"AccountSid: this gateway answers for {ours[:4]}…{ours[-4:]} (TWILIO_ACCOUNT_SID), not for "
            f"{form.account_sid[:4]}…{form.account_sid[-4:]}.\n",
        )
    # Set for the rest of the request, which is a task of its own, so that a failure is logged with its call.
    logs.call_sid.set(form.call_sid)
    asked_again = request.headers.get(IDEMPOTENCY_HEADER)
    async with asyncio.timeout(ACT_BUDGET_S):
        if asked_again is None:
            return await _act(desk, form, request, act)
        asked = f"{request.url.path} {asked_again}"
        if answer := await desk.store.recall(form.call_sid, asked):
            return _twiml(answer)
        response = await _act(desk, form, request, act)
        if response.media_type == TWIML_TYPE:
            await desk.store.remember(form.call_sid, asked, bytes(response.body).decode())
        return response


async def _act(
    desk: FrontDesk,
    form: _Form,
    request: Request,
    act: Callable[[FrontDesk, _Form, Request], Awaitable[Response]],
) -> Response:
    for _ in range(TRIES - 1):
        try:
            return await act(desk, form, request)
        except Outpaced:
            pass  # the call is as another worker has left it: look at it again
    return await act(desk, form, request)


async def _voice(desk: FrontDesk, form: VoiceRequest, request: Request) -> Response:
    """A call comes in; or Twilio asks again; or somebody replays an old request."""
    call = await _find(desk, form.call_sid)
    if call is None:
        if form.call_status.is_final:
            return _twiml(hang_up())
        verdict = desk.gate.admit(form.call_sid, line=form.to, hold_s=SEAT_HOLD_S)
        if not verdict.is_admitted:
            desk.metrics.calls_total.labels(EndReason.OVERLOAD.value).inc()
            return _twiml(desk.gate.refuse(form, verdict, request.query_params))
        call = await desk.open_call(form)
    match call.state:
        case CallState.RINGING:
            return _twiml(await desk.offer_stream(call))
        case CallState.STREAMING | CallState.INTERRUPTED | CallState.MOVED:
            # A token for a call that is running is given on the way back only, which knows what is late.
            return _twiml(redirect(desk.way_back_url(call)))
        case CallState.ENDING | CallState.ENDED:
            return _twiml(hang_up())
        case _:
            assert_never(call.state)


async def _stream_ended(desk: FrontDesk, form: VoiceRequest, request: Request) -> Response:
    """The way back: a stream has ended, and Twilio asks what is next."""
    if form.call_status.is_final:
        await desk.end_call(form.call_sid, END_REASONS[form.call_status])
        return _twiml(hang_up())
    call = await _find(desk, form.call_sid)
    generation = _generation(request)
    if call is None:
        if generation is None or generation > MOST_UNREMEMBERED:
            logger.warning("way back of an unknown call")
            return _twiml(say_and_hang_up(APOLOGY))
        call = await desk.recover(form, generation)
    way_back = call.way_back(call.generation if generation is None else generation, desk.now())
    match way_back:
        case WayBack.FINISHED:
            await desk.end_call(call.call_sid, EndReason.AGENT_HUNG_UP)
            if call.transfer_to:
                return _twiml(dial(call.transfer_to, desk.settings.http_url(DIALLED_PATH)))
            return _twiml(say_and_hang_up(call.farewell) if call.farewell else hang_up())
        case WayBack.STALE:
            return _twiml(redirect(desk.way_back_url(call)))
        case WayBack.EXHAUSTED:
            await desk.end_call(call.call_sid, EndReason.RESUMES_EXHAUSTED)
            return _twiml(say_and_hang_up(APOLOGY))
        case WayBack.AGAIN:
            level = logging.INFO if call.state is CallState.MOVED else logging.WARNING
            logger.log(level, "stream over, offering another", extra={"generation": call.generation + 1})
            return _twiml(await desk.offer_stream(call))
        case _:
            assert_never(way_back)


async def _find(desk: FrontDesk, call_sid: str) -> Call | None:
    """The call; None if it is not known, or nobody can be asked: then the request itself says enough to go on."""
    try:
        return await desk.store.find(call_sid)
    except StoreUnavailable as error:
        logger.warning("answering without the store of calls: %s", error)
        return None


def _generation(request: Request) -> int | None:
    """The stream the request tells of: its number stands in the URL, which is signed."""
    text = request.query_params.get("generation", "")
    return int(text) if _GENERATION.fullmatch(text) else None


async def _status(desk: FrontDesk, form: StatusCallback, request: Request) -> Response:
    """The call's status changed; only its end concerns us."""
    call = await _find(desk, form.call_sid)
    if call is not None and call.is_news(form.sequence_number) and form.call_status.is_final:
        if await desk.end_call(call.call_sid, END_REASONS[form.call_status]):
            desk.on_completed(call.call_sid)
    return Response(status_code=204)


async def _stream_status(desk: FrontDesk, form: StreamStatus, request: Request) -> Response:
    """A stream's status changed. An error needs no answer here: Twilio takes the way back by itself."""
    if form.event is StreamEvent.ERROR:
        logger.error("stream failed", extra={"stream_sid": form.stream_sid, "error": form.error})
    await desk.record(form.call_sid, f"twilio.{form.event.value}", stream_sid=form.stream_sid, error=form.error)
    return Response(status_code=204)


async def _dialled(_desk: FrontDesk, form: DialResult, request: Request) -> Response:
    """Who was to take over has been dialled: nobody is left on a silent line if they did not answer."""
    return _twiml(hang_up() if form.was_answered else say_and_hang_up(NOBODY_ANSWERED))


async def _fallback(desk: FrontDesk, form: ErrorReport, request: Request) -> Response:
    """Twilio could not use our answer: the caller is told so, and the call is over."""
    logger.error("twilio fell back", extra={"error_code": form.error_code, "error_url": form.error_url})
    if await desk.end_call(form.call_sid, EndReason.FAILED):
        desk.on_completed(form.call_sid)
    return _twiml(say_and_hang_up(APOLOGY))


def _refuse(desk: FrontDesk, path: str, refusal: Refusal) -> Response:
    desk.metrics.webhook_rejected.labels(refusal.reason).inc()
    words = str(refusal)
    # Anybody can send unsigned requests by the thousand; they are counted, and no line is written for each.
    level = logging.DEBUG if refusal.reason == "no_signature" else logging.WARNING
    logger.log(level, "webhook refused", extra={"route": path, "reason": refusal.reason, "words": words})
    return PlainTextResponse(words, refusal.status_code, headers={"X-Content-Type-Options": "nosniff"})


def _apologise() -> Response:
    return _twiml(say_and_hang_up(APOLOGY))


def _admit_failure() -> Response:
    """To a request that no caller waits on, the truth, so that it shows in Twilio's debugger."""
    return PlainTextResponse("The gateway failed; its log says why.\n", 500)


def _twiml(document: str) -> Response:
    return Response(document, media_type=TWIML_TYPE)
