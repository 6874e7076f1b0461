"""The overflow ladder on the telephone: what a caller hears, and may choose, for whom there is no room.

Every rung is a document of its own, and every document names the URL of the next, with the caller's place on the
ladder in it. Nothing is remembered here between two requests but which messages are kept already, so any worker
can answer any of them. Who is let in, `calls/admission.py` decides; in which order things are offered,
`twiml/overflow.py` reads from the settings.

A caller in the queue is asked about by Twilio every few seconds. When there is room, a seat is held and `<Leave>`
takes the caller out; the action of the `<Enqueue>` sends the call to the voice URL, where it comes in like any
other.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlencode

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.calls.admission import Verdict
from gateway.front_desk import FrontDesk
from gateway.gate import Gate
from gateway.voice import webhook
from twiml.documents import (
    enqueue,
    gather_key,
    hang_up,
    leave,
    redirect,
    say_and_dial,
    say_and_hang_up,
    say_and_record,
    say_and_wait,
)
from twiml.numbers import mask
from twiml.overflow import Ladder, RungKind
from twiml.overflow_forms import (
    KeyPressed,
    QueueLeft,
    QueueWait,
    RecordingStatus,
    RecordResult,
    read_key_pressed,
    read_queue_left,
    read_queue_wait,
    read_record_result,
    read_recording_status,
)
from twiml.overflow_words import Words, words_in
from twiml.webhooks import DialResult, VoiceRequest, read_dial_result, read_voice

PATH = "/twilio/overflow"
VOICE_PATH = "/twilio/voice"

PAUSE_S = 2
"""Between two sentences, and for pressing a key: nobody is left in silence for more than three seconds."""

HOLD_S = 15.0
"""For the two webhooks from the queue to the voice URL."""

TELL_POSITION_EVERY_S = 20
"""Half of this time the caller is told the position, the other half is only thanked."""

MINUTES_LIMIT = 30
"""Twilio's average is a guess; a longer one is not told."""

CALLBACK_KEY = "1"

KEPT_LIMIT = 1_000
"""So many messages are remembered as kept, because a webhook may come twice."""

Keep = Callable[[Mapping[str, str]], Awaitable[None]]
"""Writes a message down; raises `OSError` if it cannot."""

_CALLABLE = re.compile(r"\+[1-9][0-9]{6,14}")
_NUMBER = re.compile(r"[0-9]{1,6}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the operator wants callers to meet."""

    ladder: Ladder
    queue_limit_s: int = 120
    hold_music: str = ""
    """A URL, or nothing."""
    language: str | None = None
    """The agent's."""


def routes(desk: FrontDesk, gate: Gate, plan: Plan, keep: Keep) -> list[Route]:
    """The ladder's webhooks, to be mounted at the root; from now on `gate.refuse` begins the ladder."""
    overflow = _Overflow(desk, gate, plan, keep)
    gate.refuse = overflow.begin
    fail = overflow.apologise
    return [
        webhook(desk, PATH, read_voice, overflow.step, fail),
        webhook(desk, f"{PATH}/wait", read_queue_wait, overflow.wait, fail),
        webhook(desk, f"{PATH}/wait-key", read_queue_wait, overflow.wait_key, fail),
        webhook(desk, f"{PATH}/left", read_queue_left, overflow.left, fail),
        webhook(desk, f"{PATH}/key", read_key_pressed, overflow.key, fail),
        webhook(desk, f"{PATH}/dialled", read_dial_result, overflow.dialled, fail),
        webhook(desk, f"{PATH}/recorded", read_record_result, overflow.recorded, fail),
        webhook(desk, f"{PATH}/recording", read_recording_status, overflow.recording, _admit_failure),
    ]


class _Overflow:
    """The ladder of one gateway. Methods that are routes take the desk, as every route of Twilio's does."""

    def __init__(self, desk: FrontDesk, gate: Gate, plan: Plan, keep: Keep) -> None:
        self._desk = desk
        self._gate = gate
        self._plan = plan
        self._keep = keep
        self._kept: OrderedDict[str, None] = OrderedDict()
        self._words: Words = words_in(plan.language)
        registry = desk.metrics.registry
        self._refused = Counter(
            "switchboard_calls_refused_total", "Calls not let in, by why.", ["reason"], registry=registry
        )
        self._rungs = Counter(
            "switchboard_overflow_total", "Offers made to callers not let in.", ["rung"], registry=registry
        )

    def begin(self, form: VoiceRequest, verdict: Verdict, query: Mapping[str, str]) -> str:
        """The document for a call that is not let in; `query` is the voice URL's, which a waiting caller's has."""
        self._refused.labels(verdict.value).inc()
        logger.warning("call not let in", extra={"reason": verdict.value, "from": mask(form.from_)})
        waited_s = _number(query, "waited")
        place = self._plan.ladder.place_of_queue() if waited_s else None
        if place is None:
            return self._offer(0, form.from_, form.to)
        if waited_s >= self._plan.queue_limit_s or verdict is Verdict.DRAINING:
            return self._offer(place + 1, form.from_, form.to)
        return self._queue(place, form.to, waited_s, self._words.hold)

    async def step(self, _desk: FrontDesk, form: VoiceRequest, request: Request) -> Response:
        """The rung before has come to nothing."""
        if form.call_status.is_final:
            return _twiml(hang_up())
        return _twiml(self._offer(_place(request), form.from_, form.to))

    async def wait(self, _desk: FrontDesk, form: QueueWait, request: Request) -> Response:
        """What the caller hears next in the queue; and whether there is room by now."""
        place, waited_s = _place(request), _number(request.query_params, "waited") + form.waited_s
        if waited_s >= self._plan.queue_limit_s:
            return _twiml(leave())
        verdict = self._gate.admit_waiting(
            form.call_sid, line=form.to, position=max(1, form.position), hold_s=HOLD_S
        )
        if verdict in (Verdict.ADMITTED, Verdict.DRAINING):
            return _twiml(leave())
        return _twiml(self._hold(place, form, waited_s - form.waited_s))

    async def wait_key(self, _desk: FrontDesk, form: QueueWait, request: Request) -> Response:
        """A key was pressed in the queue."""
        if form.digits == CALLBACK_KEY and await self._note_callback(form):
            self._gate.release(form.call_sid)
            return _twiml(self._say_last(self._words.will_call_back))
        return await self.wait(_desk, form, request)

    async def left(self, _desk: FrontDesk, form: QueueLeft, request: Request) -> Response:
        """The caller is out of the queue: to the agent, into the queue again, or to the next offer."""
        place, waited_s = _place(request), _number(request.query_params, "waited") + form.waited_s
        if form.result == "hangup":
            self._gate.release(form.call_sid)
            return _twiml(hang_up())
        if form.result == "leave":
            verdict = self._gate.admit(form.call_sid, line=form.to, hold_s=HOLD_S)
            if verdict is Verdict.ADMITTED:
                return _twiml(redirect(self._desk.settings.http_url(f"{VOICE_PATH}?waited={max(1, waited_s)}")))
            if waited_s < self._plan.queue_limit_s and verdict is not Verdict.DRAINING:
                # Another took the seat, as happens between two workers: the time already waited is kept.
                return _twiml(self._queue(place, form.to, waited_s, self._words.hold))
        else:
            logger.warning("not queued", extra={"result": form.result})
        return _twiml(self._offer(place + 1, form.from_, form.to))

    async def key(self, _desk: FrontDesk, form: KeyPressed, request: Request) -> Response:
        """A key was pressed when a callback was offered."""
        if form.digits == CALLBACK_KEY and await self._note_callback(form):
            return _twiml(self._say_last(self._words.will_call_back))
        return _twiml(self._offer(_place(request) + 1, form.from_, form.to))

    async def dialled(self, _desk: FrontDesk, form: DialResult, request: Request) -> Response:
        """The other number was called: who was not answered gets the next offer."""
        if form.was_answered:
            return _twiml(hang_up())
        # What comes next needs the caller's number, which this form of ours does not read: one more webhook.
        return _twiml(redirect(self._url("", _place(request) + 1)))

    async def recorded(self, _desk: FrontDesk, form: RecordResult, request: Request) -> Response:
        """The caller has left a message."""
        kept = await self._keep_once(
            form.recording_sid,
            {
                "kind": "voicemail",
                "call_sid": form.call_sid,
                "from": form.from_,
                "to": form.to,
                "recording_sid": form.recording_sid,
                "recording_url": form.recording_url,
                "seconds": str(form.seconds),
            },
        )
        if form.has_hung_up:
            return _twiml(hang_up())
        if kept:
            return _twiml(self._say_last(self._words.message_kept))
        return _twiml(self._offer(_place(request) + 1, form.from_, form.to))

    async def recording(self, _desk: FrontDesk, form: RecordingStatus, _request: Request) -> Response:
        """A message's sound is ready, or will never be: then that is kept too, beside the message."""
        if form.status != "completed":
            logger.warning("no recording", extra={"recording_sid": form.recording_sid, "status": form.status})
            lost = {"kind": "recording_absent", "call_sid": form.call_sid, "recording_sid": form.recording_sid}
            await self._keep_once(f"{form.recording_sid} {form.status}", lost | {"status": form.status})
        return Response(status_code=204)

    def apologise(self) -> Response:
        """Whatever is wrong with us, the caller hears the last word of every ladder."""
        return _twiml(self._say_last(self._words.try_later))

    def _offer(self, place: int, from_: str, to: str) -> str:
        """The document of the rung at this place, or of the next one that the caller can use."""
        rung, words = self._plan.ladder.at(place), self._words
        if rung.kind is RungKind.CALLBACK and not _CALLABLE.fullmatch(from_):
            return self._offer(place + 1, from_, to)
        self._rungs.labels(rung.kind.value).inc()
        busy = f"{words.all_busy} " if place == 0 else ""
        match rung.kind:
            case RungKind.QUEUE:
                return self._queue(place, to, 0, busy + words.wait)
            case RungKind.CALLBACK:
                return gather_key(
                    busy + words.offer_callback,
                    again=words.offer_callback,
                    action_url=self._url("/key", place),
                    redirect_url=self._url("", place + 1),
                    timeout_s=PAUSE_S,
                    language=words.language,
                )
            case RungKind.NUMBER:
                action_url = self._url("/dialled", place)
                return say_and_dial(busy + words.connecting, rung.number, action_url, words.language)
            case RungKind.VOICEMAIL:
                return say_and_record(
                    busy + words.leave_message,
                    action_url=self._url("/recorded", place),
                    status_callback_url=self._desk.settings.http_url(f"{PATH}/recording"),
                    redirect_url=self._url("", place + 1),
                    language=words.language,
                )
            case RungKind.APOLOGY:
                return self._say_last(busy + words.try_later)
            case _:
                assert_never(rung.kind)

    def _queue(self, place: int, to: str, waited_s: int, text: str) -> str:
        return enqueue(
            f"switchboard {to}"[:64],
            text=text,
            wait_url=self._url("/wait", place, waited_s),
            action_url=self._url("/left", place, waited_s),
            redirect_url=self._url("", place + 1),
            language=self._words.language,
        )

    def _hold(self, place: int, form: QueueWait, earlier_s: int) -> str:
        """A sentence, and music if there is some."""
        words, music = self._words, self._plan.hold_music
        text = self._position(form)
        if not self._offers_callback(place) or not _CALLABLE.fullmatch(form.from_):
            return say_and_wait(text, pause_s=PAUSE_S, music_url=music, language=words.language)
        return gather_key(
            f"{text} {words.press_for_callback}",
            action_url=self._url("/wait-key", place, earlier_s),
            timeout_s=PAUSE_S,
            music_url=music,
            language=words.language,
        )

    def _position(self, form: QueueWait) -> str:
        words = self._words
        if form.position == 0 or form.waited_s % TELL_POSITION_EVERY_S >= TELL_POSITION_EVERY_S / 2:
            return words.hold
        place = words.next if form.position == 1 else words.position.format(position=form.position)
        minutes = round(form.average_wait_s / 60)
        return f"{place} {words.minutes.format(minutes=minutes)}" if 2 <= minutes <= MINUTES_LIMIT else place

    def _offers_callback(self, place: int) -> bool:
        return any(rung.kind is RungKind.CALLBACK for rung in self._plan.ladder.rungs[place + 1 :])

    async def _note_callback(self, form: QueueWait | KeyPressed) -> bool:
        if not _CALLABLE.fullmatch(form.from_):
            return False
        message = {"kind": "callback", "call_sid": form.call_sid, "from": form.from_, "to": form.to}
        return await self._keep_once(f"callback {form.call_sid}", message)

    async def _keep_once(self, name: str, message: Mapping[str, str]) -> bool:
        """Whether the message is kept, now or before; the caller is told so only then."""
        if name in self._kept:
            return True
        try:
            await self._keep(message)
        except OSError:
            logger.exception("message not kept", extra={"kind": message["kind"]})
            return False
        self._kept[name] = None
        if len(self._kept) > KEPT_LIMIT:
            self._kept.popitem(last=False)
        return True

    def _say_last(self, text: str) -> str:
        return say_and_hang_up(text, self._words.language)

    def _url(self, step: str, place: int, waited_s: int = 0) -> str:
        query = {"rung": place} | ({"waited": waited_s} if waited_s else {})
        return self._desk.settings.http_url(f"{PATH}{step}?{urlencode(query)}")


def _place(request: Request) -> int:
    return _number(request.query_params, "rung")


def _number(query: Mapping[str, str], name: str) -> int:
    """A number in a URL of ours; 0 if it is not there."""
    text = query.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def _twiml(document: str) -> Response:
    return Response(document, media_type="application/xml")


def _admit_failure() -> Response:
    return PlainTextResponse("The gateway failed; its log says why.\n", 500)
